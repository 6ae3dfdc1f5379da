package fs

// Terminal is the controlling terminal of a session. It must be comparable: use
// a pointer.
type Terminal interface {
	// DeviceNumber returns the terminal's device number, for proc(5).
	DeviceNumber() uint64
}

// TerminalRead is a successful read(2) from a terminal.
type TerminalRead struct {
	Terminal Terminal
	// Canonical and Echo are the terminal's flags ICANON and ECHO.
	Canonical, Echo bool
	// Data is what the program gets. It is valid during the call.
	Data []byte
}
