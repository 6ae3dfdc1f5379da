package uprobe

import (
	"slices"
	"sync/atomic"

	"slowpath/mm"
	"slowpath/uprobe/insn"
)

// site is an instruction of a file that has a breakpoint, for one or more probes (Linux:
// struct uprobe). It exists while a probe needs it. The lock of Probes guards its changes.
type site struct {
	place
	instruction insn.Instruction
	outOfLine   insn.OutOfLine
	length      uint64 // of the instruction, in bytes
	kind        execution
	patch       *mm.Patch
	counter     *mm.Patch // nil if the probes have no reference counter
	counterAt   uint64    // offset of the counter, or 0
	installed   map[*mm.Patch]bool
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
	emulated execution = iota
	steppedOutOfLine
	systemCall
	tryAgain // only a result of cannotEmulate
)

// roles are the probes that need the breakpoint of a site.
type roles struct {
	entries []*Probe // whose location the site is
	exits   []*Probe // whose function the instruction may leave
}

func newSite(o object, offset uint64) (*site, error) {
	i, err := o.instruction(offset)
	if err != nil {
		return nil, err
	}
	s := &site{
		place: place{o.mapped, offset}, instruction: i, outOfLine: i.OutOfLine(),
		length: uint64(i.Len()), kind: executionOf(&i), installed: make(map[*mm.Patch]bool),
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
	case i.Emulated():
		return emulated
	}
	return steppedOutOfLine
}

// wantsSpace reports whether a probe of the site wants the breakpoint in an address space.
func (s *site) wantsSpace(as *mm.AddressSpace) bool {
	r := s.roles.Load()
	wants := func(b *Probe) bool { return b.consumer.WantsSpace == nil || b.consumer.WantsSpace(as) }
	return slices.ContainsFunc(r.entries, wants) || slices.ContainsFunc(r.exits, wants)
}

// unused reports whether no probe needs the site.
func (s *site) unused() bool {
	r := s.roles.Load()
	return len(r.entries) == 0 && len(r.exits) == 0
}

// filtered reports whether some address spaces may not want the breakpoint.
func (s *site) filtered() bool {
	r := s.roles.Load()
	filters := func(b *Probe) bool { return b.consumer.WantsSpace != nil }
	return slices.ContainsFunc(r.entries, filters) || slices.ContainsFunc(r.exits, filters)
}

// addEntry adds a probe at the site.
func (s *site) addEntry(b *Probe) {
	r := s.roles.Load()
	s.roles.Store(&roles{entries: append(slices.Clip(r.entries), b), exits: r.exits})
}

// addExit adds a probe whose function the instruction may leave.
func (s *site) addExit(b *Probe) {
	r := s.roles.Load()
	s.roles.Store(&roles{entries: r.entries, exits: append(slices.Clip(r.exits), b)})
}

// drop removes a probe from all roles.
func (s *site) drop(b *Probe) {
	r := s.roles.Load()
	without := func(list []*Probe) []*Probe {
		return slices.DeleteFunc(slices.Clone(list), func(other *Probe) bool { return other == b })
	}
	s.roles.Store(&roles{entries: without(r.entries), exits: without(r.exits)})
}
