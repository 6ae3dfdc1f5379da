package check

// Property is a condition that every run must satisfy.
type Property uint8

// The properties.
const (
	// Right means that a run violates no property.
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
	FrameComplete
	FrameUntouched
	InterruptsAsStated
	RegistersRestored
	ExitIsFinal
	ServedAsReported
	AssertionsHold
	properties
)

// statement has the name and the definition of a property.
type statement struct{ name, text string }

var statements = [properties]statement{
	Right:              {"right", "no property is violated"},
	Terminates:         {"terminates", "the run ends in user mode, or with the task, within the stated bound"},
	NothingPending:     {"nothing pending", "no duty of the loop or of the last step is set when user mode is entered"},
	NoRaiseLost:        {"no raise lost", "after each raise of a duty its handler starts before user mode is entered"},
	OncePerClaim:       {"once per claim", "a handler of the loop starts only for a duty that was raised, with its bit claimed"},
	LevelsStay:         {"levels stay", "the code under test does not change the bit of a level"},
	LevelsServed:       {"levels served", "a level that is set when its stage reaches it is served, even if an earlier handler set it"},
	InOrder:            {"in order", "duties are served in the order of the contract, stage by stage"},
	Pairs:              {"pairs", "a paired duty sees the exit of a call exactly if it saw the entry"},
	CallOnce:           {"call once", "a call runs once, or not at all if a duty skips it, and has one exit"},
	FrameComplete:      {"frame complete", "a handler that needs the frame gets a complete one"},
	FrameUntouched:     {"frame untouched", "the frame is not completed for duties that do not need it"},
	InterruptsAsStated: {"interrupts as stated", "the last step runs with interrupts off, every other handler with interrupts on"},
	RegistersRestored:  {"registers restored", "RIP, RCX, R11 and RFLAGS in user mode have the values that the program expects"},
	ExitIsFinal:        {"exit is final", "an exiting task does not enter user mode and does not serve unpaired duties at the exit of its call"},
	ServedAsReported:   {"served as reported", "the duties that the visit reports as served are those with handlers that ran"},
	AssertionsHold:     {"assertions hold", "the code under test does not panic"},
}

// String returns the property's name.
func (p Property) String() string { return statements[p].name }

// Statement returns the property's definition.
func (p Property) Statement() string { return statements[p].text }

// Properties returns all properties that a run can violate.
func Properties() []Property {
	var all []Property
	for p := Right + 1; p < properties; p++ {
		all = append(all, p)
	}
	return all
}
