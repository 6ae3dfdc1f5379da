package amd64

// selectors are the data segment registers of a program. In 64-bit mode they do
// nothing but keep what was loaded, and each program must find its own. They
// are a control (controls.go) that the program changes itself: saveState reads
// them back.
type selectors struct{ ds, es, fs, gs uint16 }

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
// off. The selectors were in these registers in user mode, so the descriptor
// table, which never changes, allows them.
//
//go:nosplit
func (s selectors) load() {
	loadDS(s.ds)
	loadES(s.es)
	loadFS(s.fs)
	loadGS(s.gs)
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
