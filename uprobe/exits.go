package uprobe

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/mm"
	"slowpath/task"
	"slowpath/uprobe/function"
)

// A return probe does not touch the stack if possible: it has breakpoints on the
// instructions by which control leaves the function. So stacks that move, longjmp,
// exceptions and unwinders are safe. A call that was in progress when the probe was added
// reports its return too.

// exitRole is an instruction by which control may leave the function of a probe.
type exitRole struct {
	probe *Probe
	kind  function.Kind
}

// images are what is known about the functions of the files that have return probes. The
// lock of Probes guards them.
type images map[mm.Mappable]*image

// image is the image of one file. It is released with the last probe that uses it.
type image struct {
	*function.Image // nil if the file is not understood
	users           int
}

// imageBytes is the most that an image needs of the kernel's heap (function.Open).
const imageBytes = 16 << 20

// take returns the image of a file. The caller calls drop later. ENOMEM.
func (l images) take(o object) (*image, error) {
	i := l[o.mapped]
	if i == nil {
		size := o.size()
		if err := o.memory.Admit(min(int64(size), imageBytes)); err != nil {
			return nil, err
		}
		i = new(image)
		if opened, err := function.Open(o, int64(size)); err == nil {
			i.Image = opened
		}
		l[o.mapped] = i
	}
	i.users++
	return i, nil
}

// drop undoes take.
func (l images) drop(o object) {
	i := l[o.mapped]
	if i.users--; i.users == 0 {
		delete(l, o.mapped)
	}
}

// findExits gives a return probe its exits, or decides that it replaces the return address.
// Errors: ENOMEM, and EOPNOTSUPP for a function of Go whose exits are not known, because
// its stack may move.
func (b *Probe) findExits() error {
	p := b.probes
	i, err := p.images.take(b.object)
	if err != nil {
		return err
	}
	b.imaged = true
	if i.Image == nil {
		b.hijacks = true
		return nil
	}
	f, err := i.At(b.offset)
	if err != nil {
		b.hijacks = true
		return unlessGo(i.Go())
	}
	exits, known := b.exitsOf(i.Image, f)
	if known {
		err = b.addExits(exits)
	}
	switch {
	case err == unix.ENOMEM:
		return err
	case known && err == nil:
		return nil
	}
	b.hijacks = true
	return unlessGo(f.Go)
}

func unlessGo(isGo bool) error {
	if isGo {
		return unix.EOPNOTSUPP
	}
	return nil
}

// exitsOf returns the exits of a function if the probe is at its beginning.
func (b *Probe) exitsOf(i *function.Image, f function.Function) (exits []function.Exit, known bool) {
	if b.offset != f.Start {
		if body, err := i.Body(f); err != nil || body != b.offset {
			return nil, false
		}
	}
	l, err := i.Layout(f)
	if err != nil {
		return nil, false
	}
	b.parts = l.Parts
	return l.Exits, true
}

// addExits gives the sites of the exits a role for the probe.
func (b *Probe) addExits(exits []function.Exit) error {
	added := len(b.sites)
	for _, e := range exits {
		s, err := b.probes.siteAt(b.object, e.Offset)
		if err == nil && s.kind > emulated {
			err = ENOTSUPP
		}
		if err != nil {
			b.dropExits(added)
			return err
		}
		s.addExit(exitRole{b, e.Kind})
		b.sites = append(b.sites, s)
	}
	return nil
}

// dropExits takes the roles of the probe's last sites back.
func (b *Probe) dropExits(kept int) {
	for _, s := range b.sites[kept:] {
		s.dropExit(b)
		if s.unused() {
			delete(b.probes.sites, s.place)
		}
	}
	b.sites = b.sites[:kept]
}

// leave runs the consumers of the return probes whose functions the task has left: f is the
// state after the instruction of s, which was at the address at.
func (s *site) leave(t *task.Task, f *amd64.Frame, exits []exitRole, at uint64) {
	for i := range exits {
		e := &exits[i]
		if c := e.probe.consumer; e.leaves(s, f.RIP, at) && c.wants(t) {
			c.Return(t, f, at-s.offset+e.probe.offset)
		}
	}
}

// leaves reports whether the instruction has left the function for the address next.
func (e *exitRole) leaves(s *site, next, at uint64) bool {
	switch e.kind {
	case function.ConditionalTailJump:
		return next != at+s.length
	case function.IndirectJump:
		target := next - at + s.offset
		for _, p := range e.probe.parts {
			if target >= p.Start && target < p.End {
				return false
			}
		}
	}
	return true
}
