package amd64

// segments are the data segment registers of a program. None of them does
// anything in 64-bit mode but keep what was loaded, and each program finds its
// own.
type segments struct{ ds, es, fs, gs uint16 }

// readSegments returns what this CPU has loaded. Interrupts are off.
//
//go:nosplit
func readSegments() segments {
	return segments{ds: readDS(), es: readES(), fs: readFS(), gs: readGS()}
}

// load loads the registers; GS base changes, FS base does not. Interrupts are
// off. The selectors were in these registers in user mode, so the descriptor
// table, which never changes, allows them.
//
//go:nosplit
func (s segments) load() {
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
