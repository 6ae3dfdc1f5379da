package fs

// Terminal is a terminal as the session sees whose controlling terminal it is.
// It must be comparable: a pointer.
type Terminal interface {
	// DeviceNumber is the terminal's device number, for proc(5).
	DeviceNumber() uint64
}
