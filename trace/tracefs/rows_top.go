package tracefs

import (
	_ "embed"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The modes of files.
const (
	readMode  = 0o440
	writeMode = 0o640
)

// readme is the file README: the parts of Linux's text about what this kernel has. Tools
// search it for the syntax that a kernel understands.
//
//go:embed readme.txt
var readme string

// topRows are the files that exist once.
var topRows = []Row{
	{Name: "README", Mode: readMode, read: constant(readme)},
	{Name: "available_events", Mode: readMode, read: func(s *subject) (string, error) {
		var b strings.Builder
		for _, e := range s.registry().Events() {
			if !e.Fixed {
				b.WriteString(e.System + ":" + e.Name + "\n")
			}
		}
		return b.String(), nil
	}},
	{Name: "printk_formats", Mode: readMode, read: constant("")},
	{Name: "saved_cmdlines", Mode: readMode, read: func(s *subject) (string, error) { return s.registry().SavedNames(), nil }},
	{Name: "saved_cmdlines_size", Mode: writeMode,
		read: func(s *subject) (string, error) { return strconv.Itoa(s.registry().SavedLimit()) + "\n", nil },
		write: decimalCommand(func(s *subject, n uint64) error {
			if !s.registry().SetSavedLimit(n) {
				return unix.EINVAL
			}
			return nil
		})},
	{Name: "saved_tgids", Mode: readMode, read: func(s *subject) (string, error) { return s.registry().SavedProcesses(), nil }},
}
