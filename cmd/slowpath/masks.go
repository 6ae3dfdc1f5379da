package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"sync"
)

// computedMasks returns the report, which takes seconds to compute: it is the
// same at each call. Who changes it copies it first.
var computedMasks = sync.OnceValue(newMaskReport)

// maskFlags is the command line of masks.
type maskFlags struct{ fix, asJSON, asHTML bool }

// flagSet declares the flags of masks.
func (f *maskFlags) flagSet() *flag.FlagSet {
	set := flag.NewFlagSet("masks", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.BoolVar(&f.fix, "fix", false, "show what adding UPROBE to 3.13's _TIF_DO_NOTIFY_MASK does")
	set.BoolVar(&f.asJSON, "json", false, "print everything as JSON")
	set.BoolVar(&f.asHTML, "html", false, "print everything as one HTML page, which needs no network")
	return set
}

// masksHelp prints the help of the subcommand masks.
func masksHelp(w io.Writer) {
	fmt.Fprint(w, `Usage: slowpath masks [FLAG...]

Prints the masks of Linux 3.13 and those of the kernel side by side: every flag,
which masks hold it, who clears it, and what happens on each way to user mode
when it stands alone. It ends with what Al Viro's mail found, and where the mail
and the source differ. Nothing of it is stored: it is computed from a model of
3.13's code, and by running the kernel's own table.

Flags:
`)
	writeFlags(w, new(maskFlags).flagSet())
}

// showMasks is the subcommand masks: the masks and flags of Linux 3.13 and of
// Slowpath, side by side.
func showMasks(std standard, args []string) int {
	var flags maskFlags
	set := flags.flagSet()
	if err := set.Parse(args); err != nil {
		return fail(std, "%v; slowpath masks takes --fix, --json and --html", err)
	}
	if set.NArg() != 0 || flags.asJSON && flags.asHTML {
		return fail(std, "slowpath masks takes --fix, and one of --json and --html; it takes no arguments")
	}
	r := *computedMasks()
	r.ShowFix = flags.fix
	if err := r.print(std.out, flags.asJSON, flags.asHTML); err != nil {
		return fail(std, "cannot print the masks: %v", err)
	}
	return exitSuccess
}

func (r *maskReport) print(w io.Writer, asJSON, asHTML bool) error {
	switch {
	case asJSON:
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	case asHTML:
		return r.printHTML(w)
	}
	_, err := fmt.Fprint(w, r.text())
	return err
}
