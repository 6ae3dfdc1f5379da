package function

import (
	"fmt"
	"slices"
	"strings"

	"slowpath/uprobe/insn"
)

// Kind is the kind of an Exit.
type Kind uint8

// The kinds.
const (
	// Return is a near return.
	Return Kind = iota
	// TailJump is a jump to another function.
	TailJump
	// ConditionalTailJump is a conditional jump to another function. The hit decides by
	// the flags whether the function is left.
	ConditionalTailJump
	// IndirectJump is a jump through a register or memory. The hit decides by the target
	// whether the function is left: see Layout.
	IndirectJump
)

// Exit is an instruction by which control leaves a function for good.
type Exit struct {
	Offset uint64
	Kind   Kind
}

// Layout is what is known about the code of a function.
type Layout struct {
	// Exits are the instructions by which control leaves the function.
	Exits []Exit
	// Parts are the places of all of its code: the function, and its cold parts that the
	// compiler has put elsewhere.
	Parts []Extent
}

// Layout decodes all of a function. It returns an error that wraps ErrNotDecoded if it does
// not understand all of the code: an instruction, a jump into the middle of another
// instruction or another function, or code without an end. A function that never returns
// has no exits. A jump to the function's own start stays inside.
func (i *Image) Layout(f Function) (Layout, error) {
	a, err := i.analyze(f)
	if err != nil {
		return Layout{}, err
	}
	l := Layout{Exits: a.exits}
	for _, p := range a.parts {
		l.Parts = append(l.Parts, p.Extent)
	}
	return l, nil
}

// Limits of an analysis, above those of real functions.
const (
	maxFunctionSize = 1 << 20
	maxParts        = 32
	maxDecoded      = 4 << 20 // bytes, also of functions that jumps go to
)

// part is decoded code. A bit of starts is set for each offset at which an instruction
// begins.
type part struct {
	Extent
	starts []uint64
	jumps  []branch
}

// branch is a jump or, if leaves is set, an exit that has no fixed target.
type branch struct {
	offset, target uint64
	kind           Kind
	leaves         bool
}

// lock is the prefix.
const lock = 0xf0

// mark records the start of an instruction, relative to that of the part.
func (p *part) mark(n uint64) { p.starts[n/64] |= 1 << (n % 64) }

func (p *part) isStart(offset uint64) bool {
	n := offset - p.Start
	return p.starts[n/64]>>(n%64)&1 != 0
}

// analysis is the decoded function.
type analysis struct {
	image   *Image
	parts   []*part
	exits   []Exit
	decoded uint64 // bytes
}

func notDecoded(offset uint64, why string) error {
	return fmt.Errorf("%w: at file offset %#x: %s", ErrNotDecoded, offset, why)
}

func (i *Image) analyze(f Function) (analysis, error) {
	a := analysis{image: i}
	if err := a.addPart(Extent{f.Start, f.End}); err != nil {
		return analysis{}, err
	}
	// The loop sees the parts that it adds.
	for n := 0; n < len(a.parts); n++ {
		for _, b := range a.parts[n].jumps {
			if err := a.classify(b); err != nil {
				return analysis{}, err
			}
		}
	}
	return a, nil
}

func (a *analysis) addPart(e Extent) error {
	if len(a.parts) == maxParts {
		return notDecoded(e.Start, "the function has too many parts")
	}
	p, err := a.decode(e)
	if err != nil {
		return err
	}
	a.parts = append(a.parts, p)
	return nil
}

// decode decodes the instructions of an extent.
func (a *analysis) decode(e Extent) (*part, error) {
	i, size := a.image, e.End-e.Start
	if e.End < e.Start || size > maxFunctionSize {
		return nil, notDecoded(e.Start, "the function is too long")
	}
	if a.decoded += size; a.decoded > maxDecoded {
		return nil, notDecoded(e.Start, "the function jumps to too much code")
	}
	code, err := i.file.bytes(e.Start, size)
	if err != nil {
		return nil, err
	}
	address, ok := i.address(e.Start)
	if !ok {
		return nil, notDecoded(e.Start, "no code")
	}
	p := &part{Extent: e, starts: make([]uint64, size/64+1)}
	ends := false // what is before does not continue here
	for at := uint64(0); at < size; {
		in, err := insn.Decode(code[at:])
		if err != nil {
			return nil, notDecoded(e.Start+at, err.Error())
		}
		if in.IsFar() {
			return nil, notDecoded(e.Start+at, "a far branch")
		}
		p.mark(at)
		if code[at] == lock {
			p.mark(at + 1) // glibc jumps over the prefix while there is one thread
		}
		p.add(&in, e.Start+at, i.target(&in, address+at))
		ends = endsBlock(&in) || ends && in.Pads()
		at += uint64(in.Len())
	}
	if !ends {
		return nil, notDecoded(e.End, "the code continues behind the end of the function")
	}
	return p, nil
}

// endsBlock reports whether control does not continue after the instruction. A call at the
// end of a function is one that does not return.
func endsBlock(in *insn.Instruction) bool {
	return in.IsReturn() || in.IsCall() || in.IsJump() && !in.Conditional() || in.Stops()
}

// nowhere is the target of a jump that leaves the code of the file: to a weak symbol that
// nothing defines.
const nowhere = ^uint64(0)

// target returns the file offset to which an instruction at an address branches.
func (i *Image) target(in *insn.Instruction, address uint64) uint64 {
	if offset, ok := i.offset(in.Target(address)); ok {
		return offset
	}
	return nowhere
}

// add records a branch.
func (p *part) add(in *insn.Instruction, offset, target uint64) {
	switch {
	case in.IsReturn():
		p.jumps = append(p.jumps, branch{offset: offset, kind: Return, leaves: true})
	case in.IsCall():
	case in.Indirect():
		p.jumps = append(p.jumps, branch{offset: offset, kind: IndirectJump, leaves: true})
	case in.Conditional():
		p.jumps = append(p.jumps, branch{offset: offset, kind: ConditionalTailJump, target: target})
	case in.Relative():
		p.jumps = append(p.jumps, branch{offset: offset, kind: TailJump, target: target})
	}
}

// classify decides whether a branch leaves the function. It adds the part that it goes to.
func (a *analysis) classify(b branch) error {
	if b.leaves {
		a.exits = append(a.exits, Exit{b.offset, b.kind})
		return nil
	}
	if p := a.partAt(b.target); p != nil {
		return a.checkInside(p, b)
	}
	to, err := a.destination(b)
	if err != nil {
		return err
	}
	if to.outside {
		a.exits = append(a.exits, Exit{b.offset, b.kind})
		return nil
	}
	if err := a.addPart(to.Extent); err != nil {
		return err
	}
	return a.checkInside(a.parts[len(a.parts)-1], b)
}

func (a *analysis) partAt(offset uint64) *part {
	for _, p := range a.parts {
		if p.contains(offset) {
			return p
		}
	}
	return nil
}

func (a *analysis) checkInside(p *part, b branch) error {
	if !p.isStart(b.target) {
		return notDecoded(b.offset, "a jump into an instruction")
	}
	return nil
}

// destination is where a jump out of a function's extent goes: to another function, or to a
// part of the same.
type destination struct {
	Extent
	outside bool
}

var outside = destination{outside: true}

// destination finds out where a jump goes that leaves the known parts of the function.
func (a *analysis) destination(b branch) (destination, error) {
	i := a.image
	for _, s := range i.stubs {
		if s.contains(b.target) {
			return outside, nil
		}
	}
	address, ok := i.address(b.target)
	if !ok {
		return outside, nil
	}
	if _, e, err := i.golang.find(i, address); err != ErrUnknown {
		return namedDestination(Function{Start: e.Start, End: e.End}, b, err)
	}
	if s, ok := i.symbols.at(b.target); ok {
		name, err := i.symbols.name(i.file, s)
		return namedDestination(Function{Start: s.start, End: s.start + uint64(s.size), Name: name}, b, err)
	}
	if f := frameAt(i.frames, b.target); f != nil {
		return a.unnamedDestination(*f, b)
	}
	return destination{}, notDecoded(b.offset, "a jump to unknown code")
}

// namedDestination decides about a jump to a function with a name.
func namedDestination(f Function, b branch, err error) (destination, error) {
	switch {
	case err != nil:
		return destination{}, err
	case isCold(f.Name):
		return destination{Extent: Extent{f.Start, f.End}}, nil
	case b.target == f.Start:
		return outside, nil
	}
	return destination{}, notDecoded(b.offset, "a jump into another function")
}

// isCold reports whether a name is of the cold part of a function, as GCC and LLVM name them:
// f.cold, f.cold.3. They are only entered by jumps of that function. A part like f.part.0
// is a function, which others call.
func isCold(name string) bool {
	_, after, found := strings.Cut(name, ".cold")
	return found && strings.Trim(after, ".0123456789") == ""
}

// unnamedDestination decides about a jump to code of which only the call frame information
// is known. A cold part has another stack than the entry of a function, or jumps back
// into the middle of the function. Code that never returns is a part too, because control
// does not leave the function by it: a cold part that calls abort is like this.
func (a *analysis) unnamedDestination(f frame, b branch) (destination, error) {
	e := Extent{f.start, f.start + uint64(f.size)}
	if f.inside {
		return destination{Extent: e}, nil
	}
	if p, err := a.decode(e); err == nil && (p.returnsTo(a.parts[0]) || p.neverReturns()) {
		return destination{Extent: e}, nil
	}
	if b.target != e.Start {
		return destination{}, notDecoded(b.offset, "a jump into another function")
	}
	return outside, nil
}

// returnsTo reports whether the code jumps into the middle of a function.
func (p *part) returnsTo(main *part) bool {
	return slices.ContainsFunc(p.jumps, func(b branch) bool {
		return !b.leaves && b.target != main.Start && main.contains(b.target)
	})
}

// neverReturns reports whether control does not leave the code, except by calls.
func (p *part) neverReturns() bool {
	return !slices.ContainsFunc(p.jumps, func(b branch) bool { return b.leaves || !p.contains(b.target) })
}
