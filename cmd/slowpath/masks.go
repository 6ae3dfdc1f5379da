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

// showMasks is the subcommand masks: the masks and flags of Linux 3.13 and of
// Slowpath, side by side.
func showMasks(std standard, args []string) int {
	set := flag.NewFlagSet("masks", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	fix := set.Bool("fix", false, "show what adding UPROBE to 3.13's _TIF_DO_NOTIFY_MASK does")
	asJSON := set.Bool("json", false, "print everything as JSON")
	asHTML := set.Bool("html", false, "print everything as one HTML page, which needs no network")
	if err := set.Parse(args); err != nil {
		return fail(std, "%v; slowpath masks takes --fix, --json and --html", err)
	}
	if set.NArg() != 0 || *asJSON && *asHTML {
		return fail(std, "slowpath masks takes --fix, and one of --json and --html; it takes no arguments")
	}
	r := *computedMasks()
	r.ShowFix = *fix
	if err := r.print(std.out, *asJSON, *asHTML); err != nil {
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
