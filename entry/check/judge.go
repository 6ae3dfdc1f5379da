package check

import "slowpath/entry"

// boundHandlers and boundTests are the maximum numbers of handlers and of
// EnterUser's tests in a run without raises: every handler once for each stage
// of its duty, and two tests. Each raise adds one to both.
var boundHandlers = len(contract.entry) + len(contract.exit) + len(contract.loop) + len(contract.last)

const boundTests = 2

// place is the position of a run in relation to a system call.
type place uint8

const (
	outside place = iota
	atEntry
	inCall
	atExit
)

// judge checks the trace of a run, event by event.
type judge struct {
	place   place
	rank    int8       // position of the last handler of this stage
	owed    entry.Flag // raised duties; the start of the handler clears them
	turn    entry.Flag // duties that were owed at the beginning of this pass of the loop
	levels  entry.Flag // the levels that must be set
	due     entry.Flag // levels that this stage must still serve
	entered entry.Flag // paired duties that saw an entry but not the exit

	ran                       entry.Flag // duties with a handler that ran, without the last step
	calls, exits              int
	handlers, tests, raises   int
	skipped, exiting, settled bool
	rolledBack                bool       // the call has no exit for duties that are not paired
	cancelled                 bool       // the number has no call
	slow, stepping            bool       // the call is on the slow path; TF was set
	abi32                     bool       // the call is of the ABI I386
	listed                    entry.Flag // the duties that admit the call by its number
	looping                   bool       // a pass of the loop has begun
	requested                 bool       // a requested call has not begun
	deferred                  entry.Flag
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
	switch entersUser := last == BySYSRET || last == BySYSRET32 || last == ByIRET; {
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
	case t.reported != j.ran:
		return ServedAsReported
	}
	return Right
}

// follow processes the events up to the first violation.
func (j *judge) follow(events []Event, kind Kind) Property {
	for i := range events {
		if p := j.process(&events[i], kind); p != Right {
			return p
		}
	}
	return Right
}

// process processes one event.
func (j *judge) process(e *Event, kind Kind) Property {
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

// arrived processes the first event of a run.
func (j *judge) arrived(e *Event, kind Kind) Property {
	j.owed, j.levels = e.Word&claimed, e.Word&levels
	j.settled, j.stepping, j.abi32 = e.Settled, kind.stepped(), kind.abi32()
	j.skipped = kind == RefusedCall32
	if kind == ListedCall32 {
		j.listed = e.Word & admissible
	}
	if kindTable[kind].call {
		j.place = inCall
	}
	if kind == ForkedChild { // the child begins at the exit of its parent's clone
		j.place, j.rank, j.due = atExit, -1, e.Word&unpairedExit
	}
	return Right
}

// unpairedExit has the levels that are served at the exit of a call even if they
// did not see its entry.
var unpairedExit = exitStage.mask &^ contract.paired

// word checks the changes of the thread flags word.
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

// expect adds a level that was set during its stage to the due levels, if the
// stage has not passed its position yet.
func (j *judge) expect(f entry.Flag) {
	switch {
	case j.exiting:
	case j.place == atEntry && f&entryStage.mask != 0 && entryStage.rank[bit(f)] > j.rank:
		j.due |= f
	case j.rolledBack:
	case j.place == atExit && f&unpairedExit != 0 && exitStage.rank[bit(f)] > j.rank:
		j.due |= f
	}
}

// handler processes the start of a handler.
func (j *judge) handler(e *Event) Property {
	if e.What == Entered {
		j.beginRequested()
	}
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
	if p := j.passCancelled(e); p != Right {
		return p
	}
	if p := j.endCall(); p != Right {
		return p
	}
	return j.served(e)
}

// enteredCall processes the start of a handler of the entry.
func (j *judge) enteredCall(e *Event) Property {
	rank := entryStage.rank[bit(e.Flag)]
	switch {
	case j.place != atEntry || rank <= j.rank || j.dueBefore(entryStage, rank):
		return InOrder
	case j.skipped:
		return CallOnce
	}
	if p := j.frame(e); p != Right {
		return p
	}
	j.rank = rank
	j.due &^= e.Flag
	j.entered |= e.Flag & contract.paired
	return Right
}

// frame checks the frame of a handler of the entry or exit. The fast path does not complete
// it for duties that only observe the call. It has all arguments of a call of the ABI I386.
func (j *judge) frame(e *Event) Property {
	switch {
	case j.abi32 && e.Flag&contract.observing != 0:
		if !e.Arguments {
			return FrameComplete
		}
	case !j.slow && e.Flag&contract.observing != 0:
		if e.Settled != j.settled {
			return FrameUntouched
		}
	case !e.Settled:
		return FrameComplete
	}
	return Right
}

// passCancelled goes from the entry of a cancelled call to its exit: there is no call in
// between. All due duties of the entry must have been served.
func (j *judge) passCancelled(e *Event) Property {
	if j.place != atEntry || !j.cancelled {
		return Right
	}
	if j.due != 0 {
		return LevelsServed
	}
	j.leaveCall(e)
	return Right
}

// exitedCall processes the start of a handler of the exit.
func (j *judge) exitedCall(e *Event) Property {
	if p := j.passCancelled(e); p != Right {
		return p
	}
	rank := exitStage.rank[bit(e.Flag)]
	paired := e.Flag&contract.paired != 0
	switch {
	case paired && j.entered&e.Flag == 0:
		return Pairs
	case j.exiting && !paired:
		return ExitIsFinal
	case j.rolledBack && !paired:
		return InOrder
	case j.place != atExit || rank <= j.rank || j.dueBefore(exitStage, rank):
		return InOrder
	}
	if p := j.frame(e); p != Right {
		return p
	}
	j.rank, j.settled = rank, e.Settled
	j.due &^= e.Flag
	j.entered &^= e.Flag
	return Right
}

// dueBefore reports whether a due level has a lower rank.
func (j *judge) dueBefore(s *stage, rank int8) bool {
	for rest := j.due & s.mask; rest != 0; rest &= rest - 1 {
		if s.rank[bit(rest)] < rank {
			return true
		}
	}
	return false
}

// served processes the start of a handler of the loop. A pass begins with the
// first handler. A new pass begins with a handler that has no higher rank than
// the last one.
func (j *judge) served(e *Event) Property {
	if e.What == ServedFrame && !e.Settled {
		return FrameComplete
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

// claim checks that a handler's duty was raised and that its bit is cleared.
func (j *judge) claim(e *Event) Property {
	if j.owed&e.Flag == 0 || e.Word&e.Flag != 0 {
		return OncePerClaim
	}
	j.owed &^= e.Flag
	return Right
}

// milestone processes an event that is neither a handler nor a change of the
// thread flags word.
func (j *judge) milestone(e *Event) Property {
	switch e.What {
	case Began:
		j.place, j.rank, j.due = atEntry, -1, e.Word&entryStage.mask
		j.slow = j.abi32 || e.Word&^contract.observing != 0
	case Admitted:
		return j.admitted(e)
	case RolledBack:
		j.skipped, j.rolledBack = true, true
		j.leaveCall(e)
	case Skipped:
		j.skipped = true
		j.leaveCall(e)
	case Cancelled:
		j.cancelled = true
	case Called:
		j.beginRequested()
		return j.called(e)
	case Deferred:
		j.deferred |= e.Flag
		j.handlers-- // it runs again
	case Requested:
		j.requested = true
	case Resumed:
		j.owed |= j.deferred
		j.deferred = 0
	case Dismissed:
		j.entered &^= e.Flag
	case Withdrawn:
		j.requested, j.deferred = false, 0
	case Returned:
		j.leaveCall(e)
	case Entering:
		if p := j.passCancelled(e); p != Right {
			return p
		}
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
		j.exiting, j.due, j.place, j.rank = true, 0, atExit, -1
		j.slow = true // the frame is completed for the exits
	case Left:
		j.exiting, j.due = true, 0
	case BySYSRET, BySYSRET32, ByIRET:
		return j.user(e)
	case Stuck:
		return Terminates
	}
	return Right
}

// beginRequested begins the call that UPROBE has requested, at its first event. The duties
// that were put off until then are owed again.
func (j *judge) beginRequested() {
	if !j.requested {
		return
	}
	j.requested = false
	j.owed |= j.deferred
	j.deferred = 0
	j.place, j.rank, j.due, j.slow = atEntry, -1, j.levels&entryStage.mask, true
}

// admitted processes a call that its duties admit to the fast path. No other duty may be
// due, and none of the loop or of the last step may wait for the slow
// path.
func (j *judge) admitted(e *Event) Property {
	if !e.Arguments {
		return FrameComplete
	}
	if j.place != atEntry || j.rank >= 0 || j.due != e.Flag || j.owed != 0 {
		return LevelsServed
	}
	j.due, j.place, j.slow = 0, inCall, false
	return Right
}

// called processes the start of the call. All due duties of the entry must have
// been served.
func (j *judge) called(e *Event) Property {
	if j.calls++; j.skipped || j.cancelled || j.calls > 1 {
		return CallOnce
	}
	if j.listed != 0 && e.Word == j.listed && j.due != 0 {
		return j.admitted(&Event{Flag: j.listed, Arguments: true})
	}
	if j.due != 0 {
		return LevelsServed
	}
	j.place = inCall
	return Right
}

// leaveCall begins the exit of the call.
func (j *judge) leaveCall(e *Event) {
	j.place, j.rank, j.due = atExit, -1, e.Word&unpairedExit
	if j.exiting || j.rolledBack {
		j.due = 0
	}
	j.settled = e.Settled
}

// endCall ends the exit of the call. It is called at the first event after the
// exit. After a stepped call the frame is complete.
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
	if j.stepping {
		j.settled = true
	}
	j.place = outside
	return Right
}

// user checks the state at the entry into user mode.
func (j *judge) user(e *Event) Property {
	switch {
	case j.exiting:
		return ExitIsFinal
	case e.Word&claimed != 0:
		return NothingPending
	case j.owed != 0:
		return NoRaiseLost
	case j.requested:
		return CallOnce
	case j.due != 0:
		return LevelsServed
	case j.entered != 0:
		return Pairs
	}
	return Right
}
