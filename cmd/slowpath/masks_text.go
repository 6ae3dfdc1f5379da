package main

import (
	"fmt"
	"slices"
	"strings"
)

// text returns the report as text of at most 100 columns.
func (r *maskReport) text() string {
	var b strings.Builder
	r.textMasks(&b)
	r.textFlags(&b)
	r.textAlone(&b)
	r.textSweeps(&b)
	if r.ShowFix {
		r.textFix(&b)
	}
	r.textFindings(&b)
	return b.String()
}

func (r *maskReport) textMasks(b *strings.Builder) {
	b.WriteString("THE MASKS\n\n  Linux 3.13, written by hand         Slowpath, the OR of the rows of one table\n")
	for i := range max(len(r.Linux.Masks), len(r.Slowpath.Masks)) {
		left, right := "", ""
		if i < len(r.Linux.Masks) {
			left = fmt.Sprintf("%-10s %s", r.Linux.Masks[i].Name, r.Linux.Masks[i].Value)
		}
		if i < len(r.Slowpath.Masks) {
			right = fmt.Sprintf("%-12s %s", r.Slowpath.Masks[i].Name, r.Slowpath.Masks[i].Value)
		}
		b.WriteString(strings.TrimRight(fmt.Sprintf("  %-35s %s", left, right), " ") + "\n")
	}
}

// maskLetters shows which of 3.13's masks contain a flag, one column for each
// mask.
func (r *maskReport) maskLetters(row flagRow) string {
	letters := ""
	for _, m := range r.Linux.Masks {
		letter := "."
		if row.Linux != nil && m.mask&row.flag != 0 {
			letter = m.Name[:1]
		}
		letters += letter + " "
	}
	return letters
}

func (r *maskReport) textFlags(b *strings.Builder) {
	b.WriteString(`
THE FLAGS: which masks contain them, what clears them

  (E)NTRY E(X)IT (W)ORK (A)LLWORK (D)O_NOTIFY; a level flag is cleared when its cause ends

  bit flag                  3.13's masks  cleared in 3.13 by  Slowpath serves it   and it is
`)
	for _, row := range r.Flags {
		cleared := "(not in 3.13)"
		if row.Linux != nil {
			cleared = strings.Join(row.Linux.ClearedBy, ", ")
		}
		fmt.Fprintf(b, "  %3d %-21s %-13s %-19s %-20s %s\n", row.Bit, row.Name, r.maskLetters(row), cleared,
			row.Slowpath.Stages, row.Slowpath.Nature())
	}
}

// Nature describes the row's properties in words. The HTML template uses it
// too.
func (f slowpathFlag) Nature() string {
	words := []string{"claimed"}
	if f.Level {
		words[0] = "level"
	}
	if f.Frame {
		words = append(words, "frame")
	}
	if f.Paired {
		words = append(words, "pair")
	}
	return strings.Join(words, ", ")
}

func (r *maskReport) textAlone(b *strings.Builder) {
	b.WriteString(`
ALONE: what happens when only this flag is set (+: its handler ran)

`)
	heads := fmt.Sprintf("  %-30s", "flag")
	for _, w := range r.Ways {
		heads += fmt.Sprintf(" %-9s", w.Name)
	}
	b.WriteString(strings.TrimRight(heads, " ") + "\n")
	for _, row := range r.Flags {
		if row.Linux != nil {
			aloneLine(b, row.Name, "3.13", row.Alone, func(a aloneOnPath) string { return a.Linux })
			if r.ShowFix && row.changes() {
				aloneLine(b, "", "fixed", row.Alone, func(a aloneOnPath) string { return a.Fixed })
			}
			aloneLine(b, "", "Slowpath", row.Alone, func(a aloneOnPath) string { return a.Slowpath })
			continue
		}
		aloneLine(b, row.Name, "Slowpath", row.Alone, func(a aloneOnPath) string { return a.Slowpath })
	}
}

// changes reports whether the fix of 3.13 changes what the flag does.
func (row flagRow) changes() bool {
	return slices.ContainsFunc(row.Alone, func(a aloneOnPath) bool { return a.Linux != a.Fixed })
}

func aloneLine(b *strings.Builder, name, side string, all []aloneOnPath, cell func(aloneOnPath) string) {
	line := fmt.Sprintf("  %-21s %-8s", name, side)
	for _, a := range all {
		text := cell(a)
		if text == "" {
			text = "-"
		}
		line += fmt.Sprintf(" %-9s", text)
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}

func (r *maskReport) textSweeps(b *strings.Builder) {
	fmt.Fprintf(b, "\nEVERY COMBINATION of 3.13's thirteen flags (%d), and of all 18 bits of its masks (%d)\n\n",
		r.Linux.Sweeps[0].Words, r.Linux.WideSweeps[0].Words)
	textLinuxSweeps(b, r.Linux)
	fmt.Fprintf(b, "\nEVERY COMBINATION of Slowpath's duties (%d)\n\n", r.Slowpath.Sweeps[0].Words)
	fmt.Fprintf(b, "  %-30s %9s %9s %9s %9s\n", "entry", "SYSRET", "SYSRETL", "IRET", "wrong")
	for _, s := range r.Slowpath.Sweeps {
		fmt.Fprintf(b, "  %-30s %9d %9d %9d %9d\n", s.Way, s.SYSRET, s.SYSRETL, s.IRET, s.Wrong)
	}
	b.WriteString("  (a task that exits does not return to user mode)\n")
}

func textLinuxSweeps(b *strings.Builder, side linuxSide) {
	fmt.Fprintf(b, "  %-26s %9s %9s %9s %9s %9s   %s\n", "path", "SYSRET", "IRET", "SYSEXIT", "livelock", "undone",
		"livelock of 18 bits")
	for i, s := range side.Sweeps {
		fmt.Fprintf(b, "  %-26s %9d %9d %9d %9d %9d   %d\n", s.Path, s.SYSRET, s.IRET, s.SYSEXIT, s.Livelock, s.Undone,
			side.WideSweeps[i].Livelock)
	}
}

func (r *maskReport) textFix(b *strings.Builder) {
	fmt.Fprintf(b, "\nTHE FIX: UPROBE added to 3.13's DO_NOTIFY, which is then %s\n\n", r.Fixed.Masks[len(r.Fixed.Masks)-1].Value)
	textLinuxSweeps(b, r.Fixed)
	fmt.Fprintf(b, "\n  The dead bits %s of WORK still hang: no handler clears them.\n", r.Fixed.DeadBits)
}

func (r *maskReport) textFindings(b *strings.Builder) {
	b.WriteString("\nAl Viro's mail of January 2014, and the source of 3.13\n")
	for _, f := range r.Findings {
		verdict := "they differ"
		if f.Agree {
			verdict = "they agree"
		}
		fmt.Fprintf(b, "\n  %s: %s\n    mail    %s\n    source  %s\n", f.Topic, verdict, f.Mail, f.Model)
	}
}
