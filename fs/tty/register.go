package tty

import (
	"golang.org/x/sys/unix"

	"slowpath/fs"
)

// Device numbers of Documentation/admin-guide/devices.txt in Linux.
var (
	numberControlling = fs.DeviceNumber(5, 0)
	numberPtmx        = fs.DeviceNumber(5, 2)
)

// NumberConsole is the device number of /dev/console.
func NumberConsole() uint64 { return fs.DeviceNumber(5, 1) }

// Register adds the file system type devpts and the devices /dev/tty and
// /dev/ptmx, and /dev/console unless console is nil.
func Register(m *fs.Mounts, pts *PTS, console *Terminal) {
	m.Register("devpts", func(string) (fs.Filesystem, error) { return pts, nil })
	m.RegisterDevice(numberPtmx, pts.OpenMaster)
	m.RegisterDevice(numberControlling, openControlling)
	if console != nil {
		m.RegisterDevice(console.number, func(_ fs.Inode, r fs.OpenRequest) (fs.FileOperations, error) { return console.Open(r) })
	}
}

// openControlling opens the caller's controlling terminal. It fails with ENXIO
// if there is none (tty(4)).
func openControlling(_ fs.Inode, r fs.OpenRequest) (fs.FileOperations, error) {
	p, ok := r.Caller.(Process)
	if !ok {
		return nil, unix.ENXIO
	}
	t, ok := p.ControllingTerminal().(*Terminal)
	if !ok {
		return nil, unix.ENXIO
	}
	return t.Open(r)
}
