// Package devfs populates /dev: the memory devices (null(4), random(4)), the
// kernel log (kmsg), and the links and directories that programs expect.
// Package fs/tty registers the drivers of the terminals.
package devfs

import (
	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
)

// Config has the functions that implement the devices.
type Config struct {
	// Random fills p with unpredictable random bytes.
	Random func(p []byte)
	// Log adds a line that a program wrote to /dev/kmsg to the kernel log. It
	// may be nil.
	Log func(line string)
	// ReadLog returns the kernel log, for reads of /dev/kmsg. It may be nil.
	ReadLog func() []byte
}

// Device numbers of Documentation/admin-guide/devices.txt in Linux.
var (
	numberNull    = fs.DeviceNumber(1, 3)
	numberZero    = fs.DeviceNumber(1, 5)
	numberFull    = fs.DeviceNumber(1, 7)
	numberRandom  = fs.DeviceNumber(1, 8)
	numberURandom = fs.DeviceNumber(1, 9)
	numberKmsg    = fs.DeviceNumber(1, 11)
	numberTTY     = fs.DeviceNumber(5, 0)
	numberConsole = fs.DeviceNumber(5, 1)
	numberPtmx    = fs.DeviceNumber(5, 2)
)

// Register adds the drivers of the memory devices to m.
func Register(m *fs.Mounts, c Config) {
	for number, operations := range map[uint64]fs.FileOperations{
		numberNull: null{}, numberZero: zero{}, numberFull: full{},
		numberRandom: random{fill: c.Random}, numberURandom: random{fill: c.Random},
	} {
		m.RegisterDevice(number, func(fs.Inode, fs.OpenRequest) (fs.FileOperations, error) { return operations, nil })
	}
	m.RegisterDevice(numberKmsg, func(_ fs.Inode, r fs.OpenRequest) (fs.FileOperations, error) {
		if r.Reads() && m.Settings.DMesgRestrict.Get() != 0 && !r.Caller.Credentials().Has(cred.SysLog) {
			return nil, unix.EPERM
		}
		return newKmsg(c), nil
	})
}

// Populate makes the nodes, links and directories in directory, which is /dev.
func Populate(caller fs.Caller, directory string) error {
	at := func(name string) fs.At { return fs.At{Caller: caller, Name: directory + "/" + name} }
	for _, n := range []struct {
		name   string
		mode   uint32
		number uint64
	}{
		{"null", 0o666, numberNull}, {"zero", 0o666, numberZero}, {"full", 0o666, numberFull},
		{"random", 0o666, numberRandom}, {"urandom", 0o666, numberURandom}, {"kmsg", 0o644, numberKmsg},
		{"tty", 0o666, numberTTY}, {"console", 0o600, numberConsole}, {"ptmx", 0o666, numberPtmx},
	} {
		p, err := at(n.name).MakeNode(unix.S_IFCHR|n.mode, n.number)
		if err != nil {
			return err
		}
		if err := p.ChangeMode(caller, n.mode); err != nil { // MakeNode applied the umask
			return err
		}
	}
	if err := at("pts").MakeDirectory(0o755); err != nil {
		return err
	}
	shm, err := at("shm").MakeNode(unix.S_IFDIR|0o777, 0)
	if err != nil {
		return err
	}
	if err := shm.ChangeMode(caller, unix.S_ISVTX|0o777); err != nil { // writable for all users, like /tmp
		return err
	}
	for _, l := range [][2]string{
		{"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"},
	} {
		if err := at(l[0]).MakeLink(l[1]); err != nil {
			return err
		}
	}
	return nil
}
