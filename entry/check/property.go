package check

// Property is something that must be true of every run.
type Property uint8

// The properties.
const (
	// Right: the run violates none.
	Right Property = iota
	Terminates
	NothingPending
	NoRaiseLost
	OncePerClaim
	LevelsStay
	LevelsServed
	InOrder
	Pairs
	CallOnce
	FrameWhole
	FrameUntouched
	InterruptsAsStated
	RegistersRestored
	LeavingTasksLeave
	ServedAsTold
	AssertionsHold
	properties
)

// statement is a property for readers.
type statement struct{ name, text string }

var statements = [properties]statement{
	Right:              {"right", "no property is violated"},
	Terminates:         {"terminates", "the run ends in user mode, or with the task, within the stated bound"},
	NothingPending:     {"nothing pending", "no duty of the loop or of the last step is set when user mode is entered"},
	NoRaiseLost:        {"no raise lost", "after each raise of a duty its handler starts before user mode is entered"},
	OncePerClaim:       {"once per claim", "a handler of the loop starts only for a duty that was raised, with its bit claimed"},
	LevelsStay:         {"levels stay", "only those who switch a level flag change it; no path claims it"},
	LevelsServed:       {"levels served", "a level that is set when its turn comes is served, also if an earlier handler set it"},
	InOrder:            {"in order", "duties are served in the order of the contract, stage by stage"},
	Pairs:              {"pairs", "a paired duty sees the exit of exactly those calls of which it saw the entry"},
	CallOnce:           {"call once", "a call runs once, or not at all if a duty skips it, and has one exit"},
	FrameWhole:         {"frame whole", "a handler that takes the register frame gets a complete one"},
	FrameUntouched:     {"frame untouched", "duties that take no frame leave it as it was"},
	InterruptsAsStated: {"interrupts as stated", "the last step runs with interrupts off, every other handler with interrupts on"},
	RegistersRestored:  {"registers restored", "RIP, RCX, R11 and RFLAGS in user mode are those that the exit instruction owes"},
	LeavingTasksLeave:  {"leaving tasks leave", "a task that is about to exit does not see user mode, nor unpaired stops"},
	ServedAsTold:       {"served as told", "the duties of which the code says that it served them are those whose handlers ran"},
	AssertionsHold:     {"assertions hold", "the code does not panic by itself"},
}

// String is the property's name.
func (p Property) String() string { return statements[p].name }

// Statement says what must be true.
func (p Property) Statement() string { return statements[p].text }

// Properties returns all that a run can violate.
func Properties() []Property {
	var all []Property
	for p := Right + 1; p < properties; p++ {
		all = append(all, p)
	}
	return all
}
