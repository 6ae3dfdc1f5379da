package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/spf13/pflag"
)

// computedMasks returns the report. It takes seconds to compute, so it is
// computed once; a caller that changes it must copy it first.
var computedMasks = sync.OnceValue(newMaskReport)

// maskFlags is the command line of masks.
type maskFlags struct{ fix, asJSON, asHTML bool }

// flagSet declares the flags of masks.
func (f *maskFlags) flagSet() *pflag.FlagSet {
	set := newFlagSet("masks")
	set.BoolVar(&f.fix, "fix", false, "show the effect of adding UPROBE to 3.13's _TIF_DO_NOTIFY_MASK")
	set.BoolVar(&f.asJSON, "json", false, "print everything as JSON")
	set.BoolVar(&f.asHTML, "html", false, "print everything as one HTML page, which needs no network")
	addNegations(set)
	return set
}

// masksHelp prints the help of the subcommand masks.
func masksHelp(w io.Writer) {
	fmt.Fprint(w, `Usage: slowpath masks [FLAG...]

Prints the masks of Linux 3.13 and those of the kernel side by side: for every
flag, the masks that contain it, the code that clears it, and what happens on
each path to user mode when no other flag is set. The last part compares Al
Viro's mail with the source. Nothing is stored: all of it is computed from a
model of 3.13's code and by running the kernel's own table.

Flags:
`)
	writeFlags(w, new(maskFlags).flagSet())
}

// showMasks is the subcommand masks. It prints the masks and flags of Linux
// 3.13 and of Slowpath side by side.
func showMasks(std standard, args []string) int {
	var flags maskFlags
	set := flags.flagSet()
	err := set.Parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		masksHelp(std.out)
		return exitSuccess
	}
	if err != nil {
		return fail(std, "%v; slowpath masks takes --fix, --json and --html", explainFlagError(set, err))
	}
	if set.NArg() != 0 || flags.asJSON && flags.asHTML {
		return fail(std, "slowpath masks takes --fix, and one of --json and --html; it takes no arguments")
	}
	r := *computedMasks()
	r.ShowFix = flags.fix
	if err := r.print(std.out, flags); err != nil {
		return fail(std, "cannot print the masks: %v", err)
	}
	return exitSuccess
}

// print writes the report in the format that the flags choose; text is the
// default.
func (r *maskReport) print(w io.Writer, flags maskFlags) error {
	switch {
	case flags.asJSON:
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	case flags.asHTML:
		return r.printHTML(w)
	}
	_, err := fmt.Fprint(w, r.text())
	return err
}
