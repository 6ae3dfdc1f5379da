package tty

import (
	"sync"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/fs"
	"slowpath/guard"
	"slowpath/wait"
)

// ptyMajor is the major device number of the slaves of pseudo terminals.
const ptyMajor = 136

// masterSize is the size of a master's buffer for the slave's output, in bytes.
const masterSize = 16 << 10

// master implements the operations of an open /dev/ptmx, and Output for its
// slave.
type master struct {
	fs.FileBase
	pts    *PTS
	index  int
	slave  *Terminal
	queue  wait.Queue
	waiter wait.Waiter // on the slave's queue, for room for input

	mu     sync.Mutex // guards the fields below; taken with the slave's lock held
	buffer []byte
	locked bool // TIOCSPTLCK: the slave cannot be opened yet
	slaves int  // number of open files of the slave
	opened bool // the slave was opened at least once
	closed bool
}

// newMaster makes a pseudo terminal.
func newMaster(p *PTS, index int, control JobControl) *master {
	m := &master{pts: p, index: index, locked: true}
	m.slave = New(fs.DeviceNumber(ptyMajor, uint32(index)), m, control)
	m.waiter = wait.Waiter{Mask: wait.Writable, Notify: func(*wait.Waiter, wait.Events) { m.queue.Wake(wait.Writable) }}
	m.slave.queue.Add(&m.waiter)
	return m
}

// Room implements Output.
func (m *master) Room() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return masterSize
	}
	return masterSize - len(m.buffer)
}

// Send implements Output. It discards the bytes after the master was closed.
func (m *master) Send(p []byte) {
	locked := guard.Lock(&m.mu)
	defer locked.Release()
	if !m.closed {
		m.buffer = append(m.buffer, p[:min(len(p), masterSize+expansion-len(m.buffer))]...)
	}
	locked.Release()
	m.queue.Wake(wait.Readable)
}

// Read implements fs.FileOperations. It reads the slave's output. It fails with
// EIO after the last slave was closed.
func (m *master) Read(_ *fs.File, dst fs.Sink, _ int64) (int, error) {
	if dst.Remaining() == 0 {
		return 0, nil
	}
	locked := guard.Lock(&m.mu)
	defer locked.Release()
	if len(m.buffer) == 0 {
		gone := m.opened && m.slaves == 0
		locked.Release()
		if gone {
			return 0, unix.EIO
		}
		return 0, unix.EAGAIN
	}
	n := min(len(m.buffer), dst.Remaining())
	p := append([]byte(nil), m.buffer[:n]...)
	m.buffer = append(m.buffer[:0], m.buffer[n:]...)
	locked.Release()
	m.slave.queue.Wake(wait.Writable)
	return fs.PutAll(dst, p)
}

// Write implements fs.FileOperations. The bytes become input of the slave.
func (m *master) Write(_ *fs.File, src fs.Source, _ int64) (int, int64, error) {
	total := 0
	for src.Remaining() > 0 {
		room := m.slave.room()
		if room == 0 {
			n, err := fs.Moved(total, unix.EAGAIN)
			return n, 0, err
		}
		p, err := fs.GetAll(src, min(room, writePiece))
		if err != nil {
			n, err := fs.Moved(total, err)
			return n, 0, err
		}
		m.slave.Input(p)
		total += len(p)
	}
	return total, 0, nil
}

// FillsWrites implements fs.Stream.
func (m *master) FillsWrites() {}

// Readiness implements fs.FileOperations.
func (m *master) Readiness() wait.Events {
	var ready wait.Events
	if m.slave.room() > 0 {
		ready |= wait.Writable
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.buffer) > 0 {
		ready |= wait.Readable
	}
	if m.opened && m.slaves == 0 {
		ready |= wait.Hup
	}
	return ready
}

// Queue implements fs.FileOperations.
func (m *master) Queue() *wait.Queue { return &m.queue }

// Ioctl implements fs.FileOperations. It passes requests that are not specific
// to a master to the slave, because both ends share the settings.
func (m *master) Ioctl(f *fs.File, c fs.Caller, request uint32, argument uint64) (uint64, error) {
	switch request {
	case unix.TIOCGPTN:
		return 0, abi.CopyOut(c, argument, int32(m.index))
	case unix.TIOCSPTLCK:
		return 0, m.setLock(c, argument)
	case unix.TIOCGPTLCK:
		return 0, abi.CopyOut(c, argument, m.lockState())
	case unix.TIOCINQ:
		m.mu.Lock()
		n := len(m.buffer)
		m.mu.Unlock()
		return 0, abi.CopyOut(c, argument, int32(n))
	case unix.TIOCSCTTY, unix.TIOCNOTTY:
		return 0, unix.ENOTTY
	}
	return (&file{terminal: m.slave}).Ioctl(f, c, request, argument)
}

func (m *master) setLock(c fs.Caller, address uint64) error {
	locked, err := abi.CopyIn[int32](c, address)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.locked = locked != 0
	return nil
}

func (m *master) lockState() int32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locked {
		return 1
	}
	return 0
}

// openSlave opens the slave. It fails with EIO while the slave is locked
// (unlockpt(3)), and after the master was closed.
func (m *master) openSlave(r fs.OpenRequest) (fs.FileOperations, error) {
	m.mu.Lock()
	if m.locked || m.closed {
		m.mu.Unlock()
		return nil, unix.EIO
	}
	m.slaves++
	m.opened = true
	m.mu.Unlock()
	operations, err := m.slave.Open(r)
	if err != nil {
		m.slaveClosed()
		return nil, err
	}
	operations.(*file).released = m.slaveClosed
	return operations, nil
}

func (m *master) slaveClosed() {
	m.mu.Lock()
	m.slaves--
	last := m.slaves == 0
	m.mu.Unlock()
	if last {
		m.queue.Wake(wait.Hup | wait.Readable)
	}
}

// Release implements fs.FileOperations. It hangs up the slave.
func (m *master) Release() {
	m.mu.Lock()
	m.closed = true
	m.buffer = nil
	m.mu.Unlock()
	m.slave.queue.Remove(&m.waiter)
	m.pts.remove(m.index)
	m.slave.HangUp()
}
