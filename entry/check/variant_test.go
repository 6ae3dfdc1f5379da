package check

import (
	"slowpath/arch/amd64"
	"slowpath/entry"
)

// faults are the mistakes that a variant of the code can have. The zero value
// is code that does the same as the kernel's; a test proves that.
type faults struct {
	dropUser, addUser  entry.Flag // in the mask of the loop and of EnterUser's test
	dropRow            entry.Flag // handlers that are never called, though the mask has their bit
	dropEntry          entry.Flag
	claimAfterHandler  bool
	claimWithSignals   entry.Flag // cleared along with SIGPENDING
	claimLevels        bool
	claimNoLast        bool
	handlerTwice       bool
	entryWordCached    bool // across handlers that sleep
	narrowedMask       bool // what was served once is masked for the rest of the visit, as EDI was
	exitTopDown        bool
	loopBottomUp       bool
	pairAtExit         bool // whether an exit is due is decided at the exit alone
	noExitAfterSkip    bool
	callAfterSkip      bool
	exitWhenLeaving    bool
	noExitOfFastCalls  bool
	settleForAll       bool
	settleForNone      bool
	clearedBeforeTable bool // the loop's duties are cleared before the first handler
	noLast             bool // the last test does not look for the last step's duties
	iretOnly           bool // it does not look whether RCX and R11 are in the frame
	untold             entry.Flag
}

// variant is a second implementation of the flow, with faults.
type variant struct {
	faults
	rows       []variantRow
	user, last entry.Flag // masks
	narrowed   entry.Flag
}

type variantRow struct {
	entry.Duty
	handlers entry.Handlers[*Task]
}

// with returns a system of the variant with faults.
func with(f faults) System { return reordered(f, entry.Duties()) }

// reordered is with, over other rows than the kernel's.
func reordered(f faults, duties []entry.Duty) System {
	return System{Flow: func(t *Task) Flow {
		v := &variant{faults: f}
		for i, h := range HandlersOf(t, duties) {
			v.rows = append(v.rows, variantRow{duties[i], h})
			switch {
			case duties[i].When&entry.BeforeUser != 0:
				v.user |= h.Flag
			case duties[i].When&entry.LastStep != 0:
				v.last |= h.Flag
			}
		}
		return v
	}}
}

// row returns the i-th row, or the i-th from the end.
func (v *variant) row(i int, fromEnd bool) *variantRow {
	if fromEnd {
		i = len(v.rows) - 1 - i
	}
	return &v.rows[i]
}

func (v *variant) userMask() entry.Flag { return (v.user | v.addUser) &^ v.dropUser &^ v.narrowed }

func (v *variant) Syscall(t *Task, f *amd64.Frame, call func(*Task, *amd64.Frame), done func(*Task) bool) entry.Flag {
	v.narrowed = 0
	f.Settle()
	entered, skip := v.enter(t, f)
	if !skip || v.callAfterSkip {
		call(t, f)
	}
	if skip && v.noExitAfterSkip {
		f.Flags |= amd64.CallOver
		return entered
	}
	return entered | v.leave(t, f, entered, done)
}

func (v *variant) enter(t *Task, f *amd64.Frame) (entered entry.Flag, skip bool) {
	word := entry.Pending(&f.ThreadFlags)
	for i := range v.rows {
		d := v.row(i, false)
		if !v.entryWordCached {
			word = entry.Pending(&f.ThreadFlags)
		}
		if d.When&entry.AtSyscallEntry == 0 || word&d.Flag&^v.dropEntry == 0 {
			continue
		}
		if v.claimLevels {
			entry.Lower(&f.ThreadFlags, d.Flag)
		}
		entered |= d.Flag
		if d.handlers.Entry(t, f) == entry.Skip {
			return entered, true
		}
	}
	return entered, false
}

func (v *variant) leave(t *Task, f *amd64.Frame, entered entry.Flag, done func(*Task) bool) (left entry.Flag) {
	for i := range v.rows {
		d := v.row(i, !v.exitTopDown)
		if d.When&entry.AtSyscallExit == 0 {
			continue
		}
		due := entry.Pending(&f.ThreadFlags)&d.Flag != 0 && (v.exitWhenLeaving || !done(t))
		if d.Paired && !v.pairAtExit {
			due = entered&d.Flag != 0
		}
		if due {
			f.Settle()
			d.handlers.Exit(t, f)
			left |= d.Flag
		}
	}
	f.Flags |= amd64.CallOver
	return left
}

func (v *variant) SyscallExit(t *Task, f *amd64.Frame, done func(*Task) bool) entry.Flag {
	v.narrowed = 0
	if v.noExitOfFastCalls {
		f.Flags |= amd64.CallOver
	}
	if f.Flags&amd64.CallOver == 0 {
		return v.leave(t, f, 0, done)
	}
	return 0
}

func (v *variant) ExitToUser(t *Task, f *amd64.Frame, done func(*Task) bool) (served, stuck entry.Flag) {
	for pass := range maxEvents {
		if entry.Pending(&f.ThreadFlags)&v.userMask() == 0 || pass != 0 && done(t) {
			return served &^ v.untold, 0
		}
		served |= v.round(t, f)
	}
	return served, entry.Pending(&f.ThreadFlags) & v.userMask()
}

func (v *variant) round(t *Task, f *amd64.Frame) (served entry.Flag) {
	if v.clearedBeforeTable {
		entry.Lower(&f.ThreadFlags, v.user)
	}
	for i := range v.rows {
		d := v.row(i, v.loopBottomUp)
		if d.When&entry.BeforeUser != 0 && v.dropRow&d.Flag == 0 && entry.Pending(&f.ThreadFlags)&d.Flag != 0 {
			v.serve(t, f, d)
			served |= d.Flag
		}
	}
	return served
}

func (v *variant) serve(t *Task, f *amd64.Frame, d *variantRow) {
	if !v.claimAfterHandler {
		entry.Claim(&f.ThreadFlags, d.Flag)
	}
	if d.Flag == entry.SigPending {
		entry.Lower(&f.ThreadFlags, v.claimWithSignals)
	}
	if (d.Frame || v.settleForAll) && !v.settleForNone {
		f.Settle()
	}
	times := 1
	if v.handlerTwice {
		times = 2
	}
	for range times {
		if d.Frame {
			d.handlers.WorkFrame(t, f)
		} else {
			d.handlers.Work(t)
		}
	}
	if v.claimAfterHandler {
		entry.Claim(&f.ThreadFlags, d.Flag)
	}
	if v.narrowedMask {
		v.narrowed |= d.Flag
	}
}

func (v *variant) LastTest(f *amd64.Frame) amd64.Exit {
	word := entry.Pending(&f.ThreadFlags)
	switch callOver := f.Flags&amd64.CallOver != 0; {
	case word&v.userMask() != 0, f.Stepping(), !callOver && word&^v.last != 0:
		return amd64.Stay
	}
	if !v.noLast {
		v.serveLast(f)
	}
	if f.Flags&amd64.LeaveByIRET == 0 && !v.iretOnly {
		return amd64.BySYSRET
	}
	return amd64.ByIRETQ
}

func (v *variant) serveLast(f *amd64.Frame) {
	for i := range v.rows {
		d := v.row(i, false)
		if d.When&entry.LastStep != 0 && entry.Pending(&f.ThreadFlags)&d.Flag != 0 {
			if !v.claimNoLast {
				entry.Claim(&f.ThreadFlags, d.Flag)
			}
			d.handlers.Last(f)
		}
	}
}
