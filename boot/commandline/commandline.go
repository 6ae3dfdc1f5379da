// Package commandline parses the kernel's command line: words separated by blanks,
// double quotes around words with blanks, and the program's arguments after "--"
// (Linux, Documentation/admin-guide/kernel-parameters).
package commandline

import (
	"fmt"
	"strconv"
	"strings"
)

// Options are the parsed command line.
type Options struct {
	// Init is the path of the program to run if the initramfs has no run file.
	// If it is empty, the kernel looks in the usual places.
	Init string
	// Args are the program's arguments, without its name.
	Args []string
	// LogLevel, 0 to 7: messages with a lower level go to the console.
	LogLevel int
	// Console is the console's name: "ttyS0", or "" or "null" for none.
	Console string
	// Panic is what follows a panic. A negative number ends the machine
	// immediately, 0 stops it for a debugger, a positive number ends it after as
	// many seconds.
	Panic int
	// NoRandomize disables address space layout randomisation
	// (slowpath.norandom).
	NoRandomize bool
	// Core sends the host the last core file that was written (slowpath.core).
	Core bool
	// Exits sends the host a record of every return to user mode
	// (slowpath.exits).
	Exits bool
	// Audit is audit=.
	Audit Audit
	// AuditBacklog is audit_backlog_limit= in records, or 0 for the default.
	AuditBacklog uint32
	// Vsyscall is vsyscall=.
	Vsyscall Vsyscall
	// Isolated are the CPUs of isolcpus=, and NoHZ those of nohz_full=.
	Isolated, NoHZ CPUs
	// VirtioMMIO are the devices from virtio_mmio.device=.
	VirtioMMIO []VirtioDevice
	// Unknown are the other words. Linux passes them to init; the kernel logs
	// them.
	Unknown []string
}

// Audit is the value of audit=.
type Audit uint8

// The values of audit=.
const (
	AuditDefault Audit = iota // there is no such option
	AuditOff
	AuditOn
)

// Vsyscall is the value of vsyscall=.
type Vsyscall uint8

// The values of vsyscall=, in the order of package vsyscall's modes.
const (
	VsyscallExecuteOnly Vsyscall = iota // xonly, the default
	VsyscallEmulate                     // emulate
	VsyscallNone                        // none
)

// Levels of kernel messages (syslog(2)).
const (
	levelQuiet   = 4
	levelDefault = 7
	levelMost    = 7
)

// option is one option of the kernel.
type option struct {
	name string
	set  func(o *Options, value string) error
}

var options = []option{
	{"init", func(o *Options, v string) error { o.Init = v; return absolute(v) }},
	{"console", func(o *Options, v string) error { o.Console, _, _ = strings.Cut(v, ","); return known(o.Console) }},
	{"loglevel", func(o *Options, v string) error { return number(&o.LogLevel, v, 0, levelMost) }},
	{"quiet", func(o *Options, v string) error { o.LogLevel = levelQuiet; return empty(v) }},
	{"audit", func(o *Options, v string) error { return auditMode(&o.Audit, v) }},
	{"audit_backlog_limit", func(o *Options, v string) error { return records(&o.AuditBacklog, v) }},
	{"vsyscall", func(o *Options, v string) error { return vsyscallMode(&o.Vsyscall, v) }},
	{"isolcpus", setIsolated},
	{"nohz_full", func(o *Options, v string) error { return o.NoHZ.parse(v) }},
	{"virtio_mmio.device", func(o *Options, v string) error { return virtioDevice(&o.VirtioMMIO, v) }},
	{"panic", func(o *Options, v string) error { return number(&o.Panic, v, -1, 3600) }},
	{"slowpath.core", func(o *Options, v string) error { o.Core = true; return empty(v) }},
	{"slowpath.exits", func(o *Options, v string) error { o.Exits = true; return empty(v) }},
	{"slowpath.norandom", func(o *Options, v string) error { o.NoRandomize = true; return empty(v) }},
}

// Parse parses a command line. The error, a sentence for the user, is about the
// first option with an invalid value. The other options are set all the same.
func Parse(line string) (Options, error) {
	o := Options{LogLevel: levelDefault, Console: "ttyS0", Panic: -1}
	var first error
	words := split(line)
	for i, word := range words {
		if word == "--" {
			o.Args = words[i+1:]
			break
		}
		if err := o.apply(word); err != nil && first == nil {
			first = err
		}
	}
	return o, first
}

func (o *Options) apply(word string) error {
	name, value, _ := strings.Cut(word, "=")
	for _, known := range options {
		if known.name != name {
			continue
		}
		if err := known.set(o, value); err != nil {
			return fmt.Errorf("the kernel's option %s cannot be %q; %w", name, value, err)
		}
		return nil
	}
	o.Unknown = append(o.Unknown, word)
	return nil
}

// split splits the line into words. Between double quotes, blanks are part of the
// word.
func split(line string) []string {
	var words []string
	var word strings.Builder
	quoted, begun := false, false
	for _, r := range []byte(line) {
		switch {
		case r == '"':
			quoted, begun = !quoted, true
		case !quoted && (r == ' ' || r == '\t' || r == '\n'):
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteByte(r)
			begun = true
		}
	}
	if begun {
		words = append(words, word.String())
	}
	return words
}

func absolute(v string) error {
	if !strings.HasPrefix(v, "/") {
		return fmt.Errorf("give an absolute path")
	}
	return nil
}

func known(console string) error {
	if console != "ttyS0" && console != "" && console != "null" {
		return fmt.Errorf("give ttyS0, or null for no console")
	}
	return nil
}

func number(to *int, v string, least, most int) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > most {
		return fmt.Errorf("give a number from %d to %d", least, most)
	}
	*to = n
	return nil
}

// auditMode is on after an invalid value, as on Linux.
func auditMode(to *Audit, v string) error {
	switch {
	case v == "0" || strings.EqualFold(v, "off"):
		*to = AuditOff
		return nil
	case v == "1" || strings.EqualFold(v, "on"):
		*to = AuditOn
		return nil
	}
	*to = AuditOn
	return fmt.Errorf("give 0 or 1")
}

// vsyscallModes has the values of vsyscall= by name.
var vsyscallModes = map[string]Vsyscall{"xonly": VsyscallExecuteOnly, "emulate": VsyscallEmulate, "none": VsyscallNone}

func vsyscallMode(to *Vsyscall, v string) error {
	mode, known := vsyscallModes[v]
	if !known {
		return fmt.Errorf("give emulate, xonly or none")
	}
	*to = mode
	return nil
}

func records(to *uint32, v string) error {
	n, err := strconv.ParseUint(v, 0, 32)
	if err != nil {
		return fmt.Errorf("give a number of records")
	}
	*to = uint32(n)
	return nil
}

func empty(v string) error {
	if v != "" {
		return fmt.Errorf("leave the value out")
	}
	return nil
}
