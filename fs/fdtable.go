package fs

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// FDTable is the file descriptors of a task. Threads share one (clone(2),
// CLONE_FILES), so it counts its users. It is safe for concurrent use. What
// closes a descriptor may sleep, since the file's last reference releases it;
// the rest does not.
type FDTable struct {
	users atomic.Int32

	mu          sync.Mutex // guards what follows
	files       []*File    // by descriptor, nil where free
	closeOnExec bitmap
	used        bitmap
}

// bitmap has one bit a descriptor.
type bitmap []uint64

func (b bitmap) has(i int) bool { return i>>6 < len(b) && b[i>>6]&(1<<(i&63)) != 0 }

func (b bitmap) put(i int, on bool) {
	if on {
		b[i>>6] |= 1 << (i & 63)
	} else {
		b[i>>6] &^= 1 << (i & 63)
	}
}

// nextZero returns the first clear bit at i or above, which may lie behind the
// end.
func (b bitmap) nextZero(i int) int {
	for word := i >> 6; word < len(b); word++ {
		free := ^b[word]
		if word == i>>6 {
			free &= ^uint64(0) << (i & 63)
		}
		if free != 0 {
			return word<<6 + bits.TrailingZeros64(free)
		}
	}
	return max(i, len(b)<<6)
}

// nextOne returns the first set bit at i or above, or the bitmap's end.
func (b bitmap) nextOne(i int) int {
	for word := i >> 6; word < len(b); word++ {
		set := b[word]
		if word == i>>6 {
			set &= ^uint64(0) << (i & 63)
		}
		if set != 0 {
			return word<<6 + bits.TrailingZeros64(set)
		}
	}
	return len(b) << 6
}

// MaxDescriptors bounds descriptors whatever RLIMIT_NOFILE says
// (/proc/sys/fs/nr_open).
const MaxDescriptors = 1 << 20

// NewFDTable returns an empty table with one user.
func NewFDTable() *FDTable {
	t := &FDTable{}
	t.users.Store(1)
	return t
}

// Share adds a user and returns t.
func (t *FDTable) Share() *FDTable {
	t.users.Add(1)
	return t
}

// Users returns how many tasks share the table.
func (t *FDTable) Users() int { return int(t.users.Load()) }

// Copy returns a table of its own with the same files (fork(2)).
func (t *FDTable) Copy() *FDTable {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := &FDTable{
		files:       append([]*File(nil), t.files...),
		closeOnExec: append(bitmap(nil), t.closeOnExec...),
		used:        append(bitmap(nil), t.used...),
	}
	n.users.Store(1)
	for _, f := range n.files {
		if f != nil {
			f.IncRef()
		}
	}
	return n
}

// Release takes one user away; the last closes every descriptor. It is called
// without locks.
func (t *FDTable) Release() {
	if t.users.Add(-1) == 0 {
		t.CloseRange(0, MaxDescriptors)
	}
}

// Get returns the file of a descriptor with a reference that the caller gives
// back by DecRef. Error: EBADF, also for a file opened with O_PATH.
func (t *FDTable) Get(fd int) (*File, error) {
	f, err := t.GetPath(fd)
	if err == nil && f.PathOnly() {
		f.DecRef()
		return nil, unix.EBADF
	}
	return f, err
}

// GetPath is Get for calls that take a file opened with O_PATH too.
func (t *FDTable) GetPath(fd int) (*File, error) {
	var f *File
	t.mu.Lock()
	if fd >= 0 && fd < len(t.files) {
		f = t.files[fd]
	}
	if f != nil {
		f.IncRef()
	}
	t.mu.Unlock()
	if f == nil {
		return nil, unix.EBADF
	}
	return f, nil
}

// Install gives f the lowest free descriptor that is at least minimum and
// below limit, which is RLIMIT_NOFILE. The table takes over the caller's
// reference; on EMFILE the caller keeps it. EINVAL if minimum is at or above
// limit, as for F_DUPFD.
func (t *FDTable) Install(f *File, minimum int, limit uint64, closeOnExec bool) (int, error) {
	if minimum < 0 || uint64(minimum) >= limit && minimum > 0 {
		return 0, unix.EINVAL
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	fd := t.used.nextZero(minimum)
	if uint64(fd) >= min(limit, MaxDescriptors) {
		return 0, unix.EMFILE
	}
	t.set(fd, f, closeOnExec)
	return fd, nil
}

// InstallPair installs two files or neither (pipe2(2), socketpair(2)).
func (t *FDTable) InstallPair(a, b *File, limit uint64, closeOnExec bool) (int, int, error) {
	first, err := t.Install(a, 0, limit, closeOnExec)
	if err != nil {
		return 0, 0, err
	}
	second, err := t.Install(b, 0, limit, closeOnExec)
	if err != nil {
		a.IncRef() // the caller keeps its reference on an error
		t.Close(first)
		return 0, 0, err
	}
	return first, second, nil
}

// Replace makes fd refer to f (dup3(2)); what it referred to before is closed.
// The table takes over the caller's reference, unless there is an error: EBADF
// for a descriptor at or above limit.
func (t *FDTable) Replace(fd int, f *File, limit uint64, closeOnExec bool) error {
	if fd < 0 || uint64(fd) >= min(limit, MaxDescriptors) {
		return unix.EBADF
	}
	t.mu.Lock()
	var old *File
	if fd < len(t.files) {
		old = t.files[fd]
	}
	t.set(fd, f, closeOnExec)
	t.mu.Unlock()
	t.closed(old)
	return nil
}

// set stores f at fd. t.mu is held.
func (t *FDTable) set(fd int, f *File, closeOnExec bool) {
	if fd >= len(t.files) {
		t.grow(fd + 1)
	}
	t.files[fd] = f
	t.used.put(fd, f != nil)
	t.closeOnExec.put(fd, closeOnExec)
}

func (t *FDTable) grow(atLeast int) {
	size := max(64, len(t.files))
	for size < atLeast {
		size *= 2
	}
	t.files = append(t.files, make([]*File, size-len(t.files))...)
	t.used = append(t.used, make(bitmap, size/64-len(t.used))...)
	t.closeOnExec = append(t.closeOnExec, make(bitmap, size/64-len(t.closeOnExec))...)
}

// Close is close(2): EBADF.
func (t *FDTable) Close(fd int) error {
	f, err := t.Detach(fd)
	if err == nil {
		f.DecRef()
	}
	return err
}

// Detach is Close for a caller that takes over the table's reference, to drop
// it when it holds no locks.
func (t *FDTable) Detach(fd int) (*File, error) {
	t.mu.Lock()
	if fd < 0 || fd >= len(t.files) || t.files[fd] == nil {
		t.mu.Unlock()
		return nil, unix.EBADF
	}
	f := t.files[fd]
	t.set(fd, nil, false)
	t.mu.Unlock()
	t.unlock(f)
	return f, nil
}

// unlock releases the POSIX locks on a file, since a process that closes any
// descriptor of it loses them (fcntl(2)).
func (t *FDTable) unlock(f *File) { f.Inode().Base().locks.ReleaseRecords(t) }

// closed drops a file that the table referred to, if it did to any.
func (t *FDTable) closed(f *File) {
	if f == nil {
		return
	}
	t.unlock(f)
	f.DecRef()
}

// CloseRange closes the descriptors from first to last, both included
// (close_range(2)). Those that are not open are passed over.
func (t *FDTable) CloseRange(first, last int) {
	for _, f := range t.takeRange(first, last, &t.used) {
		t.closed(f)
	}
}

// CloseOnExec closes the descriptors that exec does not keep (O_CLOEXEC).
func (t *FDTable) CloseOnExec() {
	for _, f := range t.takeRange(0, MaxDescriptors, &t.closeOnExec) {
		t.closed(f)
	}
}

// takeRange empties the descriptors of a range that one of the bitmaps has.
func (t *FDTable) takeRange(first, last int, which *bitmap) []*File {
	t.mu.Lock()
	defer t.mu.Unlock()
	var taken []*File
	for fd := which.nextOne(max(first, 0)); fd < len(t.files) && fd <= last; fd = which.nextOne(fd + 1) {
		taken = append(taken, t.files[fd])
		t.set(fd, nil, false)
	}
	return taken
}

// GetCloseOnExec returns the FD_CLOEXEC flag of a descriptor: EBADF.
func (t *FDTable) GetCloseOnExec(fd int) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if fd < 0 || fd >= len(t.files) || t.files[fd] == nil {
		return false, unix.EBADF
	}
	return t.closeOnExec.has(fd), nil
}

// SetCloseOnExec sets the flag of the descriptors from first to last that are
// open; it returns EBADF if first is not open and the range is only that.
func (t *FDTable) SetCloseOnExec(first, last int, on bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if first == last && (first < 0 || first >= len(t.files) || t.files[first] == nil) {
		return unix.EBADF
	}
	for fd := max(first, 0); fd < len(t.files) && fd <= last; fd++ {
		if t.files[fd] != nil {
			t.closeOnExec.put(fd, on)
		}
	}
	return nil
}

// Descriptors returns the open descriptors in ascending order, for
// /proc/pid/fd.
func (t *FDTable) Descriptors() []int {
	t.mu.Lock()
	defer t.mu.Unlock()
	var fds []int
	for fd, f := range t.files {
		if f != nil {
			fds = append(fds, fd)
		}
	}
	return fds
}

// Size returns how many descriptors the table has room for (FDSize in
// /proc/pid/status).
func (t *FDTable) Size() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(64, len(t.files))
}
