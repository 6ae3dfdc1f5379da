package check

import "slowpath/entry"

// The bound of a run, besides what is raised in it: every handler once for
// each stage of its duty, and EnterUser's test twice. Each raise allows one
// handler and one test more.
var boundHandlers = len(contract.entry) + len(contract.exit) + len(contract.loop) + len(contract.last)

const boundTests = 2

// place is where in a run the trace is.
type place uint8

const (
	outside place = iota // of a system call
	atEntry
	inCall
	atExit
)

// judge follows the trace of a run.
type judge struct {
	place   place
	rank    int8       // of the handler that ran last at this stage
	owed    entry.Flag // raised, and their handler has not started since
	turn    entry.Flag // what was owed when this pass of the loop began
	levels  entry.Flag // what the level flags must be
	due     entry.Flag // levels that this stage must serve
	entered entry.Flag // paired duties that saw an entry and no exit

	ran                     entry.Flag // duties whose handlers ran, but for the last step's
	calls, exits            int
	handlers, tests, raises int
	skipped, gone, settled  bool
	slow, stepping          bool // a duty saw the call's entry; TF was set
	looping                 bool // a pass of the loop goes on
}

// judge returns the first property that the last run violates.
func (t *Task) judge() Property {
	var j judge
	found := j.follow(t.trace.Events(), t.plan.Kind)
	t.handlers, t.tests = j.handlers, j.tests
	if found != Right {
		return found
	}
	last := t.trace.events[t.trace.n-1].What
	switch entersUser := last == BySYSRET || last == ByIRET; {
	case t.failed:
		return AssertionsHold
	case t.stuck || !entersUser && !t.leaving:
		return Terminates
	case j.entered != 0:
		return Pairs
	case t.panicked:
		return Right
	case entersUser && t.found != t.want:
		return RegistersRestored
	case t.told != j.ran:
		return ServedAsTold
	}
	return Right
}

// follow takes in the events up to the first violation.
func (j *judge) follow(events []Event, kind Kind) Property {
	for i := range events {
		if p := j.see(&events[i], kind); p != Right {
			return p
		}
	}
	return Right
}

// see takes in one event.
func (j *judge) see(e *Event, kind Kind) Property {
	if e.What == Arrived {
		return j.arrived(e, kind)
	}
	if p := j.word(e); p != Right {
		return p
	}
	if e.What.IsHandler() {
		return j.handler(e)
	}
	return j.milestone(e)
}

// arrived begins a run.
func (j *judge) arrived(e *Event, kind Kind) Property {
	j.owed, j.levels = e.Word&claimed, e.Word&levels
	j.settled, j.stepping = e.Settled, kind == SteppedSyscall
	if ways[kind].call {
		j.place = inCall
	}
	if kind == ForkedChild { // its parent's clone returns in it
		j.place, j.rank, j.due = atExit, -1, e.Word&unpairedExit
	}
	return Right
}

// unpairedExit are the levels that are served at the exit of a call whether
// they were at its entry or not.
var unpairedExit = exitStage.mask &^ contract.paired

// word follows who changes the work word.
func (j *judge) word(e *Event) Property {
	switch e.What {
	case Raised:
		j.raises++
		j.owed |= e.Flag & claimed
		j.levels |= e.Flag & levels
		j.expect(e.Flag)
	case Lowered:
		j.levels &^= e.Flag
		j.due &^= e.Flag
	}
	if e.Word&levels != j.levels {
		return LevelsStay
	}
	return Right
}

// expect adds a level that was set while its stage goes on to what the stage
// must serve, if its turn is still to come.
func (j *judge) expect(f entry.Flag) {
	switch {
	case j.gone:
	case j.place == atEntry && f&entryStage.mask != 0 && entryStage.rank[bit(f)] > j.rank:
		j.due |= f
	case j.place == atExit && f&unpairedExit != 0 && exitStage.rank[bit(f)] > j.rank:
		j.due |= f
	}
}

// handler is the start of any handler.
func (j *judge) handler(e *Event) Property {
	if j.handlers++; j.handlers > boundHandlers+j.raises {
		return Terminates
	}
	if e.Interrupts != (e.What != ServedLast) {
		return InterruptsAsStated
	}
	if e.What == ServedLast {
		return j.claim(e)
	}
	j.ran |= e.Flag
	switch e.What {
	case Entered:
		return j.enteredCall(e)
	case Exited:
		return j.exitedCall(e)
	}
	if p := j.endCall(); p != Right {
		return p
	}
	return j.served(e)
}

func (j *judge) enteredCall(e *Event) Property {
	rank := entryStage.rank[bit(e.Flag)]
	switch {
	case j.place != atEntry || rank <= j.rank || j.dueBefore(entryStage, rank):
		return InOrder
	case j.skipped:
		return CallOnce
	case !e.Settled:
		return FrameWhole
	}
	j.rank = rank
	j.due &^= e.Flag
	j.entered |= e.Flag & contract.paired
	return Right
}

func (j *judge) exitedCall(e *Event) Property {
	rank := exitStage.rank[bit(e.Flag)]
	paired := e.Flag&contract.paired != 0
	switch {
	case paired && j.entered&e.Flag == 0:
		return Pairs
	case j.gone && !paired:
		return LeavingTasksLeave
	case j.place != atExit || rank <= j.rank || j.dueBefore(exitStage, rank):
		return InOrder
	case !e.Settled:
		return FrameWhole
	}
	j.rank, j.settled = rank, true
	j.due &^= e.Flag
	j.entered &^= e.Flag
	return Right
}

// dueBefore reports whether a duty of a lower rank still waits for its turn.
func (j *judge) dueBefore(s *stage, rank int8) bool {
	for rest := j.due & s.mask; rest != 0; rest &= rest - 1 {
		if s.rank[bit(rest)] < rank {
			return true
		}
	}
	return false
}

// served is a handler of the loop. A pass begins with the first handler, and
// again when a handler's rank is not above that of the last one.
func (j *judge) served(e *Event) Property {
	if e.What == ServedFrame && !e.Settled {
		return FrameWhole
	}
	if e.What == Served && e.Settled != j.settled {
		return FrameUntouched
	}
	j.settled = e.Settled
	rank := loopStage.rank[bit(e.Flag)]
	if !j.looping || rank <= j.rank {
		j.looping, j.turn = true, j.owed&loopStage.mask
	}
	if p := j.claim(e); p != Right {
		return p
	}
	j.turn &^= e.Flag
	for rest := j.turn & j.owed; rest != 0; rest &= rest - 1 {
		if loopStage.rank[bit(rest)] < rank {
			return InOrder
		}
	}
	j.rank = rank
	return Right
}

// claim is the start of a handler that needs a raise and takes its bit.
func (j *judge) claim(e *Event) Property {
	if j.owed&e.Flag == 0 || e.Word&e.Flag != 0 {
		return OncePerClaim
	}
	j.owed &^= e.Flag
	return Right
}

// milestone is any event that is neither a handler nor a change of the word.
func (j *judge) milestone(e *Event) Property {
	switch e.What {
	case Began:
		j.place, j.rank, j.due, j.slow = atEntry, -1, e.Word&entryStage.mask, true
	case Skipped:
		j.skipped = true
		j.leaveCall(e)
	case Called:
		return j.called()
	case Returned:
		j.leaveCall(e)
	case Entering:
		j.looping, j.settled = false, e.Settled
		if e.CallOver {
			return j.endCall()
		}
	case Tested:
		j.tests++
		if j.tests > boundTests+j.raises {
			return Terminates
		}
	case Panicked:
		j.gone, j.due, j.place, j.rank = true, 0, atExit, -1
	case Left:
		j.gone, j.due = true, 0
	case BySYSRET, ByIRET:
		return j.user(e)
	case Stuck:
		return Terminates
	}
	return Right
}

// called is the call itself: every duty of the entry has had its turn.
func (j *judge) called() Property {
	if j.calls++; j.skipped || j.calls > 1 {
		return CallOnce
	}
	if j.due != 0 {
		return LevelsServed
	}
	j.place = inCall
	return Right
}

// leaveCall begins the exit.
func (j *judge) leaveCall(e *Event) {
	j.place, j.rank, j.due = atExit, -1, e.Word&unpairedExit
	if j.gone {
		j.due = 0
	}
	j.settled = e.Settled
}

// endCall is the end of the exit, which the first event after it shows. A call
// over which the program steps has a complete frame from then on.
func (j *judge) endCall() Property {
	if j.place == outside {
		return Right
	}
	switch {
	case j.place != atExit:
		return CallOnce
	case j.entered != 0:
		return Pairs
	case j.due != 0:
		return LevelsServed
	}
	if j.stepping && !j.slow {
		j.settled = true
	}
	j.place = outside
	return Right
}

// user is the entry into user mode.
func (j *judge) user(e *Event) Property {
	switch {
	case j.gone:
		return LeavingTasksLeave
	case e.Word&claimed != 0:
		return NothingPending
	case j.owed != 0:
		return NoRaiseLost
	case j.due != 0:
		return LevelsServed
	case j.entered != 0:
		return Pairs
	}
	return Right
}
