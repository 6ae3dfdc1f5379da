package fs

// Terminal is the controlling terminal of a session. It must be comparable: use
// a pointer.
type Terminal interface {
	// DeviceNumber returns the terminal's device number, for proc(5).
	DeviceNumber() uint64
}
