package unwind

import (
	"encoding/binary"

	"slowpath/probe/frames"
)

// DWARF numbers of registers.
const (
	rbp = 6
	rsp = 7
	rip = 16
)

// maxFrames is the maximum number of frames.
const maxFrames = 128

// state is the state of a frame: its registers, where they are known.
type state struct {
	registers [frames.Registers]uint64
	known     [frames.Registers]bool
	stack     []byte // from the stack pointer of the hit upwards
	base      uint64 // the address of stack[0]
}

// word reads a word of the stack.
func (s *state) word(address uint64) (uint64, bool) {
	at := address - s.base
	if at+8 > uint64(len(s.stack)) || at+8 < at {
		return 0, false
	}
	return binary.LittleEndian.Uint64(s.stack[at:]), true
}

// Point is the kind of the instruction at which a hit was.
type Point uint8

// The kinds.
const (
	// AtInstruction is an instruction that is executed next.
	AtInstruction Point = iota
	// AfterReturn is the instruction behind a call that has returned.
	AfterReturn
)

// Unwind returns the frames of a stack, the innermost first. registers are those of
// probespec.Hit. It ends where the stack ends or nothing tells how it goes on.
func (u *Unwinder) Unwind(process uint32, registers, stack []byte, at Point) []Frame {
	if len(registers) < frames.Registers*8 {
		return nil
	}
	s := &state{stack: stack}
	for i := range s.registers {
		s.registers[i] = binary.LittleEndian.Uint64(registers[8*i:])
		s.known[i] = true
	}
	s.base = s.registers[rsp]
	var all []Frame
	caller := at == AfterReturn // the instruction is a return address
	for innermost := !caller; len(all) < maxFrames; innermost = false {
		pc := s.registers[rip]
		p, found := u.find(process, pc)
		if !found {
			if pc != 0 {
				all = append(all, Frame{Address: pc})
			}
			return all
		}
		lookup := p.address
		if caller && lookup > 0 {
			lookup--
		}
		all = u.describe(all, p, pc, lookup)
		signal, ok := s.up(p, lookup, innermost)
		if !ok {
			return all
		}
		caller = !signal
	}
	return all
}

// up changes the state to that of the caller. signal is true if the caller was interrupted
// by a signal: its address is that of an instruction that did not execute yet.
func (s *state) up(p place, lookup uint64, innermost bool) (signal, ok bool) {
	before := s.registers[rsp]
	if p.module != nil {
		if row, found := p.module.frames.Row(lookup); found {
			signal, ok = row.Signal, s.byRules(&row)
			return signal, ok && s.registers[rsp] > before
		}
	}
	atEntry := false
	if p.module != nil && innermost {
		atEntry = p.module.object.AtEntry(lookup)
	}
	if atEntry {
		return false, s.byReturnAddress()
	}
	return false, s.byFramePointer() && s.registers[rsp] > before
}

// byReturnAddress goes up from the entry of a function, which has pushed nothing yet.
func (s *state) byReturnAddress() bool {
	back, ok := s.word(s.registers[rsp])
	if !ok || back == 0 {
		return false
	}
	s.registers[rip] = back
	s.registers[rsp] += 8
	return true
}

// byFramePointer goes up by RBP, which points to the caller's RBP and the return address.
func (s *state) byFramePointer() bool {
	frame := s.registers[rbp]
	next, okFrame := s.word(frame)
	back, okBack := s.word(frame + 8)
	if !s.known[rbp] || !okFrame || !okBack || back == 0 {
		return false
	}
	s.registers[rip], s.registers[rbp], s.registers[rsp] = back, next, frame+16
	return true
}

// byRules goes up by a row of the call frame information.
func (s *state) byRules(row *frames.Row) bool {
	cfa, ok := s.cfa(row)
	if !ok || row.Registers[row.ReturnAddress].Kind == frames.Undefined {
		return false // an undefined return address marks the outermost frame
	}
	next := *s
	for i := range row.Registers {
		next.registers[i], next.known[i] = s.apply(&row.Registers[i], i, cfa)
	}
	if row.Registers[rsp].Kind == frames.Same {
		next.registers[rsp], next.known[rsp] = cfa, true
	}
	back := row.ReturnAddress
	next.registers[rip], next.known[rip] = next.registers[back], next.known[back]
	*s = next
	return s.known[rip] && s.registers[rip] != 0
}

// cfa returns the canonical frame address.
func (s *state) cfa(row *frames.Row) (uint64, bool) {
	rule := &row.CFA
	switch rule.Kind {
	case frames.Sum:
		if rule.Register >= frames.Registers || !s.known[rule.Register] {
			return 0, false
		}
		return s.registers[rule.Register] + uint64(rule.Offset), true
	case frames.Computed:
		return s.evaluate(rule.Expression, 0)
	}
	return 0, false
}

// apply returns the caller's value of a register.
func (s *state) apply(rule *frames.Rule, register int, cfa uint64) (uint64, bool) {
	switch rule.Kind {
	case frames.Same:
		return s.registers[register], s.known[register] && register != rip
	case frames.Saved:
		return s.word(cfa + uint64(rule.Offset))
	case frames.Sum:
		return cfa + uint64(rule.Offset), true
	case frames.Copied:
		if rule.Register < frames.Registers {
			return s.registers[rule.Register], s.known[rule.Register]
		}
	case frames.SavedAt:
		if address, ok := s.evaluate(rule.Expression, cfa); ok {
			return s.word(address)
		}
	case frames.Computed:
		return s.evaluate(rule.Expression, cfa)
	}
	return 0, false
}
