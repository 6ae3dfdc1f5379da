package procfs

import (
	"bytes"
	"fmt"

	"slowpath/cred"
	"slowpath/fs"
)

// Symbol is a function of the kernel.
type Symbol struct {
	Address uint64
	Name    string
}

// symbolsEntry returns the entry of /proc/kallsyms, or nil if the kernel gives no symbols.
func (f *Filesystem) symbolsEntry() []entry {
	if f.extra.Symbols == nil {
		return nil
	}
	return []entry{f.openEntry("kallsyms", 0o444, func(c fs.Caller) (opened, error) {
		visible := c.Credentials().Has(cred.SysLog)
		return opened{read: func(identity) ([]byte, error) {
			return fmtText(func(b *bytes.Buffer) { writeSymbols(b, f.extra.Symbols(), visible) })
		}}, nil
	}, nil)}
}

// writeSymbols prints a line for each symbol. Without visible, as for a program without
// CAP_SYSLOG, all addresses are 0 (Linux: kallsyms_show_value).
func writeSymbols(b *bytes.Buffer, symbols []Symbol, visible bool) {
	for _, s := range symbols {
		if !visible {
			s.Address = 0
		}
		fmt.Fprintf(b, "%016x T %s\n", s.Address, s.Name)
	}
}
