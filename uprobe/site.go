package uprobe

import (
	"slices"
	"sync/atomic"

	"slowpath/arch/amd64"
	"slowpath/mm"
	"slowpath/task"
	"slowpath/uprobe/insn"
)

// site is an instruction of a file that has a breakpoint, for one or more probes (Linux:
// struct uprobe). It exists while a probe needs it. The lock of Probes guards its changes.
type site struct {
	place
	id          uint64 // above 0, and never used again
	instruction insn.Instruction
	outOfLine   insn.OutOfLine
	length      uint64 // of the instruction, in bytes
	kind        execution
	patch       *mm.Patch
	counter     *mm.Patch // nil if the probes have no reference counter
	counterAt   uint64    // offset of the counter, or 0
	installed   bool      // patch is applied to memory
	counted     bool      // counter is
	// roles are read by hits without a lock. They do not change once they are stored.
	roles atomic.Pointer[roles]
}

// place identifies an instruction of a file.
type place struct {
	mapped mm.Mappable
	offset uint64
}

// execution says how the original instruction is executed.
type execution uint8

const (
	nothing execution = iota // the instruction does nothing but advance RIP
	emulated
	steppedOutOfLine
	systemCall
	tryAgain // only a result of cannotEmulate
)

// roles are the probes that need the breakpoint of a site.
type roles struct {
	first   *hitRole // of the entries that have a function for hits
	entries []*Probe // whose location the site is
	hijacks []*Probe // of the entries: those that replace the return address
	exits   []exitRole
}

// hitRole has the functions of a consumer, in a list.
type hitRole struct {
	hit   func(t *task.Task, f *amd64.Frame)
	wants func(t *task.Task) bool
	next  *hitRole
}

// newRoles returns the roles of probes.
func newRoles(entries []*Probe, exits []exitRole) *roles {
	r := &roles{entries: entries, exits: exits}
	for _, b := range entries {
		if b.hijacks {
			r.hijacks = append(r.hijacks, b)
		}
	}
	for _, b := range slices.Backward(entries) {
		if c := b.consumer; c.Hit != nil {
			r.first = &hitRole{c.Hit, c.Wants, r.first}
		}
	}
	return r
}

func newSite(o object, offset, id uint64) (*site, error) {
	i, err := o.instruction(offset)
	if err != nil {
		return nil, err
	}
	s := &site{
		place: place{o.mapped, offset}, id: id, instruction: i, outOfLine: i.OutOfLine(),
		length: uint64(i.Len()), kind: executionOf(&i),
	}
	code := i.Bytes()
	s.patch = &mm.Patch{Offset: offset, Original: slices.Clone(code[:i.Len()]), Wants: s.wantsSpace, Owner: s}
	s.roles.Store(new(roles))
	return s, nil
}

func executionOf(i *insn.Instruction) execution {
	switch {
	case i.IsSyscall():
		return systemCall
	case i.IsNop():
		return nothing
	case i.Emulated():
		return emulated
	}
	return steppedOutOfLine
}

// wantsSpace reports whether a probe of the site wants the breakpoint in an address space.
func (s *site) wantsSpace(as *mm.AddressSpace) bool {
	r := s.roles.Load()
	wants := func(b *Probe) bool { return b.consumer.WantsSpace == nil || b.consumer.WantsSpace(as) }
	return r.any(wants)
}

// any reports whether f is true for one of the probes.
func (r *roles) any(f func(b *Probe) bool) bool {
	return slices.ContainsFunc(r.entries, f) || slices.ContainsFunc(r.exits, func(e exitRole) bool { return f(e.probe) })
}

// unused reports whether no probe needs the site.
func (s *site) unused() bool {
	r := s.roles.Load()
	return len(r.entries) == 0 && len(r.exits) == 0
}

// filtered reports whether some address spaces may not want the breakpoint.
func (s *site) filtered() bool {
	r := s.roles.Load()
	return r.any(func(b *Probe) bool { return b.consumer.WantsSpace != nil })
}

// addEntry adds a probe at the site.
func (s *site) addEntry(b *Probe) {
	r := s.roles.Load()
	s.roles.Store(newRoles(append(slices.Clip(r.entries), b), r.exits))
}

// addExit adds a probe whose function the instruction may leave.
func (s *site) addExit(e exitRole) {
	r := s.roles.Load()
	s.roles.Store(newRoles(r.entries, append(slices.Clip(r.exits), e)))
}

// dropExit undoes addExit.
func (s *site) dropExit(b *Probe) {
	r := s.roles.Load()
	s.roles.Store(newRoles(r.entries, withoutExits(r.exits, b)))
}

func withoutExits(exits []exitRole, b *Probe) []exitRole {
	left := slices.DeleteFunc(slices.Clone(exits), func(e exitRole) bool { return e.probe == b })
	if len(left) == 0 {
		return nil
	}
	return left
}

// drop removes a probe from all roles.
func (s *site) drop(b *Probe) {
	r := s.roles.Load()
	entries := slices.DeleteFunc(slices.Clone(r.entries), func(other *Probe) bool { return other == b })
	s.roles.Store(newRoles(entries, withoutExits(r.exits, b)))
}
