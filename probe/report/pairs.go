package report

// call identifies a call of a function that has not returned.
type call struct {
	function  uint64 // address of the function in its file
	file      string
	stack     uint64 // the thread, or the goroutine
	goroutine bool
	depth     uint64
}

// pairs joins entries and returns. A function that a longjmp, a panic or an exit leaves has
// no return: its entry stays until another call of the function begins at the same place of
// the stack, or until there are too many.
type pairs struct{ entries map[call]uint64 }

// maxCalls is the maximum number of calls that are kept.
const maxCalls = 1 << 20

func newPairs() *pairs { return &pairs{entries: map[call]uint64{}} }

// returnAddress is what RET removes from the stack, in bytes.
const returnAddress = 8

// callOf returns the call that an event belongs to.
func callOf(e *Event) call {
	c := call{file: e.Probe.Site.Object.Path, function: e.Probe.Site.Function.Address, depth: e.Call.Depth}
	c.stack = uint64(e.Process)<<32 | uint64(e.Thread)
	if e.Call.Goroutine != 0 {
		// The address of a g is only unique in its process.
		c.stack, c.goroutine = uint64(e.Process)<<48^e.Call.Goroutine, true
	}
	return c
}

// enter records the entry of a call.
func (p *pairs) enter(e *Event) {
	if len(p.entries) >= maxCalls {
		clear(p.entries)
	}
	p.entries[callOf(e)] = e.Time
}

// leave returns the time of the entry of the call that returns. At a return the return
// address has been removed from the stack; at a tail jump it has not.
func (p *pairs) leave(e *Event) (entry uint64, ok bool) {
	c := callOf(e)
	for _, removed := range []uint64{returnAddress, 0} {
		c.depth = e.Call.Depth + removed
		if entry, ok = p.entries[c]; ok {
			delete(p.entries, c)
			return entry, true
		}
	}
	return 0, false
}
