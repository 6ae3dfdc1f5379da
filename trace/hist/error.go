package hist

import (
	"strings"

	"golang.org/x/sys/unix"
)

// Error is an error in the parameters of a trigger.
type Error struct {
	// Errno is what write(2) returns.
	Errno unix.Errno
	// Text is Linux's text for the error log, or "" if Linux logs nothing.
	Text string
	// Position is the index in the command, which begins with "hist:".
	Position int
	// Before is an error that is logged before this one, or nil.
	Before *Error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Text == "" {
		return e.Errno.Error()
	}
	return e.Text
}

// Unwrap returns the Errno.
func (e *Error) Unwrap() error { return e.Errno }

// The texts of errors (Linux: kernel/trace/trace_events_hist.c). NamedMismatch, Exists,
// NothingToClear and BadClock are those of the trigger's owner.
const (
	NamedMismatch  = "Named hist trigger doesn't match existing named trigger (includes variables)"
	Exists         = "Hist trigger already exists"
	NothingToClear = "Can't clear or continue a nonexistent hist trigger"
	BadClock       = "Couldn't set trace_clock"

	errDuplicateVar   = "Variable already defined"
	errManyVars       = "Too many variables defined"
	errAssignment     = "Malformed assignment"
	errModifier       = "Invalid field modifier"
	errSubexpressions = "Too many subexpressions (3 max)"
	errAction         = "No action found"
	errNoVariable     = "Couldn't find variable"
	errNoField        = "Couldn't find field"
	errEmpty          = "Empty assignment"
	errSortModifier   = "Invalid sort modifier"
	errEmptySort      = "Empty sort field"
	errManySort       = "Too many sort fields (Max = 2)"
	errSortField      = "Sort field must be a key or a val"
	errTextOperand    = "String type can not be an operand in expression"
	errNumber         = "Expecting numeric literal"
	errUnaryMinus     = "Unary minus not supported in sub-expressions"
	errDivision       = "Division by zero"
)

// fail returns an error at the first place in the command that has the text of piece, as
// Linux searches it.
func (p *parser) fail(text, piece string) error {
	return p.errorAt(text, piece)
}

func (p *parser) errorAt(text, piece string) *Error {
	return &Error{Errno: unix.EINVAL, Text: text, Position: max(strings.Index(p.command, piece), 0)}
}

// At returns an error with an errno at the first place in the spec's command that has the
// text of piece.
func (s *Spec) At(errno unix.Errno, text, piece string) error {
	return &Error{Errno: errno, Text: text, Position: max(strings.Index(s.command, piece), 0)}
}

// plain is an error that Linux does not log.
func plain(errno unix.Errno) error { return &Error{Errno: errno} }
