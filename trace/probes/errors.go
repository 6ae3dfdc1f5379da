package probes

import (
	"strings"

	"golang.org/x/sys/unix"
)

// failure is an error in a definition.
type failure struct {
	errno unix.Errno
	// text is the error's text in error_log. Without a text, nothing is logged.
	text string
	// word is the index of the word of the definition that is wrong, and offset the index
	// in it. An index behind the last word points behind the definition.
	word, offset int
}

// Error implements error.
func (f *failure) Error() string {
	if f.text == "" {
		return f.errno.Error()
	}
	return f.text
}

// Unwrap returns the errno, which is the result of write(2).
func (f *failure) Unwrap() error { return f.errno }

// position returns the definition as error_log shows it, and the index of the error in it
// (Linux: __trace_probe_log_err).
func (f *failure) position(words []string) (command string, at int) {
	command = strings.Join(words, " ")
	if f.word >= len(words) {
		return command, len(command) + 1
	}
	for _, w := range words[:f.word] {
		at += len(w) + 1
	}
	return command, at + f.offset
}

// The texts of errors (Linux: kernel/trace/trace_probe.h).
const (
	errFileNotFound   = "Failed to find the given file"
	errNoRegularFile  = "Not a regular file"
	errBadRefCount    = "Invalid reference counter offset"
	errRefCountBrace  = "Reference counter brace is not closed"
	errRefCountSuffix = "Reference counter has wrong suffix"
	errBadOffset      = "Invalid uprobe offset"
	errBadSuffix      = "Invalid probed address suffix"
	errNoGroupName    = "Group name is not specified"
	errGroupTooLong   = "Group name is too long"
	errBadGroupName   = "Group name must follow the same rules as C identifiers"
	errNoEventName    = "Event name is not specified"
	errEventTooLong   = "Event name is too long"
	errBadEventName   = "Event name must follow the same rules as C identifiers"
	errEventExists    = "Given group/event name is already used by another event"
	errRetvalOnProbe  = "$retval is not available on probe"
	errBadVariable    = "Invalid $-variable specified"
	errBadRegister    = "Invalid register name"
	errBadAddress     = "Invalid memory address"
	errBadImmediate   = "Invalid immediate value"
	errStringNotEnded = "String is not closed with '\"'"
	errBadFileOffset  = "Invalid file offset value"
	errSymbol         = "Symbol is not available with uprobe"
	errTooManyOps     = "Dereference is too much nested"
	errDerefBrace     = "Dereference needs a brace"
	errDerefOffset    = "Invalid dereference offset"
	errDerefNotEnded  = "Dereference brace is not closed"
	errCommDeref      = "$comm can not be dereferenced"
	errBadFetch       = "Invalid fetch argument"
	errArrayNotEnded  = "Array is not closed"
	errArraySuffix    = "Array has wrong suffix"
	errArrayNumber    = "Invalid array size"
	errArrayTooBig    = "Array number is too big"
	errBadType        = "Unknown type is specified"
	errBadString      = "String accepts only memory argument"
	errBadSymbol      = "Symbol String doesn't accept data/userdata"
	errBadBitfield    = "Invalid bitfield"
	errNameTooLong    = "Argument name is too long"
	errNoName         = "Argument name is not specified"
	errBadName        = "Argument name must follow the same rules as C identifiers"
	errUsedName       = "This argument name is already used"
	errArgTooLong     = "Argument expression is too long"
	errNoBody         = "No argument expression"
	errDiffProbe      = "Probe type is different from existing probe"
	errDiffArgument   = "Argument type or name is different from existing probe"
	errSameProbe      = "There is already the exact same probe event"
	errEventTooBig    = "Event too big (too many fields?)"
)
