package amd64

// selectors are the data segment registers of a program. In 64-bit mode they do
// nothing but keep what was loaded, and each program must find its own. They
// are a control (controls.go) that the program changes itself: saveState reads
// them back.
type selectors struct{ ds, es, fs, gs uint16 }

// SegmentRegister is one of the data segment registers.
type SegmentRegister uint8

// The data segment registers, in the order of struct user_regs_struct.
const (
	DS SegmentRegister = iota
	ES
	FS
	GS
)

func (s *selectors) register(r SegmentRegister) *uint16 {
	return [...]*uint16{&s.ds, &s.es, &s.fs, &s.gs}[r]
}

// Selectors returns the data segment registers of f's program. The caller is f's own
// goroutine, or f's task is stopped; Release was called.
func (f *Frame) Selectors() (ds, es, fs, gs uint64) {
	s := &f.controls.selectors
	return uint64(s.ds), uint64(s.es), uint64(s.fs), uint64(s.gs)
}

// SetSelector sets a segment register of f's program. FS base and GS base do not
// change. The CPU loads 0 in place of a selector that it does not accept, as on Linux.
// The caller is as for Selectors.
func (f *Frame) SetSelector(r SegmentRegister, selector uint16) {
	*f.controls.selectors.register(r) = selector
}

// loadable returns the selector if a data segment register can hold it, because it is
// null or that of a segment of user mode that can be read, and else 0. A tracer may
// choose any. c has the program's TLS, and ldt is its LDT or nil.
//
//go:nosplit
func loadable(selector uint16, c *controls, ldt *LDT) uint16 {
	if selector <= 3 || selector == User32CS || selector == UserSS || selector == UserCS {
		return selector
	}
	if descriptorOf(selector, c, ldt).loadsData(selector) {
		return selector
	}
	return 0
}

// readSelectors returns what this CPU has loaded. Interrupts are off.
//
//go:nosplit
func readSelectors() selectors {
	return selectors{ds: readDS(), es: readES(), fs: readFS(), gs: readGS()}
}

// keepSelectors moves what f's program has in the segment registers, read, to
// its frame. While f and have differ, LoadControls did not run since f's state
// was loaded: then read is another program's, and f keeps what it wants.
//
//go:nosplit
func keepSelectors(f *Frame, have *controls, read selectors) {
	if f.controls.selectors == have.selectors {
		f.controls.selectors, have.selectors = read, read
	}
}

// load loads the registers. GS base changes, FS base does not. Interrupts are
// off.
//
//go:nosplit
func (s *selectors) load(c *controls, ldt *LDT) {
	loadDS(loadable(s.ds, c, ldt))
	loadES(loadable(s.es, c, ldt))
	loadFS(loadable(s.fs, c, ldt))
	loadGS(loadable(s.gs, c, ldt))
}

//go:noescape
func readDS() uint16

//go:noescape
func readES() uint16

//go:noescape
func readFS() uint16

//go:noescape
func readGS() uint16

//go:noescape
func loadDS(selector uint16)

//go:noescape
func loadES(selector uint16)

// loadFS keeps FS base.
//
//go:noescape
func loadFS(selector uint16)

//go:noescape
func loadGS(selector uint16)
