package linux313

import (
	"fmt"
	"strings"

	"slowpath/entry"
)

// Listing returns the steps as text in the style of the assembly, with labels in the
// first column.
func (m *Model) Listing() string {
	var b strings.Builder
	for _, s := range m.steps {
		if s.label != "" {
			fmt.Fprintf(&b, "%s:\n", s.label)
		}
		fmt.Fprintf(&b, "\t%s\n", m.describe(s))
	}
	return b.String()
}

// describe returns the text of a step.
func (m *Model) describe(s step) string {
	switch s.do {
	case disableInterrupts:
		return "cli"
	case enableInterrupts:
		return "sti"
	case loadMask:
		return "edi = " + m.maskName(s.mask)
	case narrowMask:
		return "edi &= ~" + m.maskName(s.mask)
	case readFlags:
		return "edx = flags & edi"
	case jump:
		return "goto " + s.to
	case jumpIfSnapshot:
		return fmt.Sprintf("if edx & %s goto %s", m.maskName(s.mask), s.to)
	case jumpUnlessInWord:
		return fmt.Sprintf("if !(flags & %s) goto %s", m.maskName(s.mask), s.to)
	case call:
		return "call " + s.handler.Name
	}
	return s.exit.String()
}

// maskName returns a text for a mask that uses the named masks if possible.
func (m *Model) maskName(mask entry.Flag) string {
	if mask == every {
		return "ANY"
	}
	for _, n := range m.Masks() {
		switch mask {
		case n.Flags:
			return n.Name
		case n.Flags &^ entry.SyscallAudit:
			return "(" + n.Name + " without SYSCALL_AUDIT)"
		case n.Flags | entry.SyscallEmu:
			return "(" + n.Name + "|SYSCALL_EMU)"
		}
	}
	return mask.String()
}
