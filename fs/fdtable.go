package fs

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/clock"
	"slowpath/guard"
	"slowpath/mm"
)

// FDTable is the file descriptors of a task. Threads share one (clone(2),
// CLONE_FILES), so it counts its users. It is safe for concurrent use. A method
// that closes descriptors may sleep, because dropping the last reference to a
// file releases it. The other methods do not sleep.
type FDTable struct {
	users   atomic.Int32
	records atomic.Int64 // record locks that the table owns
	memory  *mm.Memory   // admits the table's growth
	held    atomic.Int64 // the last count of HeldMemory
	counted atomic.Int64 // when that was, clock.Monotonic

	mu          sync.Mutex // guards the fields below
	files       []*File    // by descriptor; nil if it is free
	closeOnExec bitmap
	used        bitmap
}

// ExecAction is what execve(2) does with a descriptor.
type ExecAction bool

// The exec actions. CloseOnExec is the flag FD_CLOEXEC.
const (
	KeepOnExec  ExecAction = false
	CloseOnExec ExecAction = true
)

// bitmap has one bit per descriptor.
type bitmap []uint64

func (b bitmap) has(i int) bool { return i>>6 < len(b) && b[i>>6]&(1<<(i&63)) != 0 }

func (b bitmap) add(i int) { b[i>>6] |= 1 << (i & 63) }

func (b bitmap) remove(i int) { b[i>>6] &^= 1 << (i & 63) }

// nextZero returns the first clear bit at i or above. The result may be beyond
// the end of the bitmap.
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

// nextOne returns the first set bit at i or above, or the end of the bitmap.
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

// MaxDescriptors is the upper bound of descriptors, even if RLIMIT_NOFILE is
// larger (/proc/sys/fs/nr_open).
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

// SetMemory sets the memory that admits the table's growth. Without it all growth is
// admitted. It is called before the table is shared.
func (t *FDTable) SetMemory(memory *mm.Memory) { t.memory = memory }

// Copy returns a new table with the same files and one user (fork(2)). It is as
// large as the files need, not as large as t has ever been. Error: ENOMEM.
func (t *FDTable) Copy() (*FDTable, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	words := len(t.used)
	for words > 1 && t.used[words-1] == 0 {
		words--
	}
	slots := min(words<<6, len(t.files))
	size := int64(slots) * descriptorBytes
	if err := t.memory.Reserve(size); err != nil {
		return nil, err
	}
	defer t.memory.Unreserve(size)
	n := &FDTable{
		memory:      t.memory,
		files:       append([]*File(nil), t.files[:slots]...),
		closeOnExec: append(bitmap(nil), t.closeOnExec[:words]...),
		used:        append(bitmap(nil), t.used[:words]...),
	}
	n.users.Store(1)
	for fd, f := range n.files {
		if f != nil {
			f.IncRef()
		} else if n.used.has(fd) {
			n.used.remove(fd) // reserved by a call of another thread
		}
	}
	return n, nil
}

// descriptorBytes is about what a slot of the table needs of the kernel's heap, and
// fileBytes what an open file does without the memory of its kind.
const (
	descriptorBytes = 10
	fileBytes       = 512
)

// HeldMemory returns about how many bytes of the kernel's heap the table and its
// open files need. It counts at most once in heldPeriod, and while another task uses
// the table it returns the last count: the OOM killer calls it for every process, and
// must not wait. The caller may hold locks of files.
func (t *FDTable) HeldMemory() int64 {
	now := clock.Monotonic()
	if counted := t.counted.Load(); counted != 0 && now-counted < heldPeriod || !t.mu.TryLock() {
		return t.held.Load()
	}
	defer t.mu.Unlock()
	held := int64(len(t.files))*descriptorBytes + t.records.Load()*RecordBytes
	for _, f := range t.files {
		if f != nil {
			held += f.HeldMemory()
		}
	}
	t.held.Store(held)
	t.counted.Store(clock.Monotonic())
	return held
}

// heldPeriod is the least time between two counts of HeldMemory, in nanoseconds.
const heldPeriod = 500e6

// Release removes one user. The last one closes all descriptors. The caller
// holds no locks.
func (t *FDTable) Release() {
	if t.users.Add(-1) == 0 {
		t.CloseRange(0, MaxDescriptors)
	}
}

// Get returns the file of a descriptor with a reference, which the caller drops
// by DecRef. Error: EBADF, also for a file opened with O_PATH.
func (t *FDTable) Get(fd int) (*File, error) {
	f, err := t.GetPath(fd)
	if err == nil && f.PathOnly() {
		f.DecRef()
		return nil, unix.EBADF
	}
	return f, err
}

// GetPath is Get for calls that also accept a file opened with O_PATH.
func (t *FDTable) GetPath(fd int) (*File, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if fd < 0 || fd >= len(t.files) || t.files[fd] == nil {
		return nil, unix.EBADF
	}
	f := t.files[fd]
	f.IncRef()
	return f, nil
}

// Refers reports whether fd is open and refers to f.
func (t *FDTable) Refers(fd int, f *File) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fd >= 0 && fd < len(t.files) && t.files[fd] == f
}

// Install gives f the lowest free descriptor that is at least minimum and below
// limit, which is RLIMIT_NOFILE. The table takes over the caller's reference;
// on an error the caller keeps it. Errors: EMFILE, ENOMEM, and EINVAL if minimum is
// not below limit (F_DUPFD).
func (t *FDTable) Install(f *File, minimum int, limit uint64, onExec ExecAction) (int, error) {
	fd, err := t.Reserve(minimum, limit)
	if err == nil {
		t.Fill(fd, f, onExec)
	}
	return fd, err
}

// Reserve reserves the descriptor that Install would use. It is not open, and no
// other call can use it, until Fill or Cancel. A call reserves its descriptor before
// it has an effect that it cannot undo. Errors: those of Install.
func (t *FDTable) Reserve(minimum int, limit uint64) (int, error) {
	if minimum < 0 || uint64(minimum) >= limit && minimum > 0 {
		return 0, unix.EINVAL
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	fd := t.used.nextZero(minimum)
	if uint64(fd) >= min(limit, MaxDescriptors) {
		return 0, unix.EMFILE
	}
	if err := t.memory.Admit(fileBytes); err != nil {
		return 0, err
	}
	if err := t.grow(fd + 1); err != nil {
		return 0, err
	}
	t.used.add(fd)
	return fd, nil
}

// ReservePair reserves two descriptors or none (pipe2(2), socketpair(2)). Errors:
// EMFILE, ENOMEM.
func (t *FDTable) ReservePair(limit uint64) (first, second int, err error) {
	if first, err = t.Reserve(0, limit); err != nil {
		return 0, 0, err
	}
	if second, err = t.Reserve(0, limit); err != nil {
		t.Cancel(first)
		return 0, 0, err
	}
	return first, second, nil
}

// Fill opens a reserved descriptor. The table takes over the caller's reference to
// f.
func (t *FDTable) Fill(fd int, f *File, onExec ExecAction) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.set(fd, f, onExec)
}

// Cancel frees a reserved descriptor.
func (t *FDTable) Cancel(fd int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear(fd)
}

// Replace makes fd refer to f and closes the file that it referred to before
// (dup3(2)). The table takes over the caller's reference; on an error the
// caller keeps it. Errors: EBADF if fd is negative or not below limit, ENOMEM, EBUSY
// if fd is reserved.
func (t *FDTable) Replace(fd int, f *File, limit uint64, onExec ExecAction) error {
	if fd < 0 || uint64(fd) >= min(limit, MaxDescriptors) {
		return unix.EBADF
	}
	locked := guard.Lock(&t.mu)
	defer locked.Release()
	if err := t.grow(fd + 1); err != nil {
		return err
	}
	old := t.files[fd]
	if old == nil && t.used.has(fd) {
		return unix.EBUSY
	}
	t.set(fd, f, onExec)
	locked.Release()
	t.closed(old)
	return nil
}

// set stores f at fd, for which the table is large enough. t.mu is held.
func (t *FDTable) set(fd int, f *File, onExec ExecAction) {
	t.files[fd] = f
	t.used.add(fd)
	t.setAction(fd, onExec)
}

// clear frees fd, which is in use. t.mu is held.
func (t *FDTable) clear(fd int) {
	t.files[fd] = nil
	t.used.remove(fd)
	t.closeOnExec.remove(fd)
}

func (t *FDTable) setAction(fd int, onExec ExecAction) {
	if onExec == CloseOnExec {
		t.closeOnExec.add(fd)
	} else {
		t.closeOnExec.remove(fd)
	}
}

// grow makes the table large enough for a number of descriptors. t.mu is held.
// Error: ENOMEM.
func (t *FDTable) grow(atLeast int) error {
	if atLeast <= len(t.files) {
		return nil
	}
	size := max(64, len(t.files))
	for size < atLeast {
		size *= 2
	}
	bytes := int64(size) * descriptorBytes
	if err := t.memory.Reserve(bytes); err != nil {
		return err
	}
	defer t.memory.Unreserve(bytes)
	t.files = extended(t.files, size)
	t.used = extended(t.used, size/64)
	t.closeOnExec = extended(t.closeOnExec, size/64)
	return nil
}

// extended returns a copy of s with n elements. Unlike append it allocates no more.
func extended[S ~[]E, E any](s S, n int) S {
	longer := make(S, n)
	copy(longer, s)
	return longer
}

// Close is close(2). Error: EBADF.
func (t *FDTable) Close(fd int) error {
	f, err := t.Detach(fd)
	if err == nil {
		f.DecRef()
	}
	return err
}

// Detach removes a descriptor and returns its file with the table's reference.
// The caller drops the reference when it holds no locks. Error: EBADF.
func (t *FDTable) Detach(fd int) (*File, error) {
	locked := guard.Lock(&t.mu)
	defer locked.Release()
	if fd < 0 || fd >= len(t.files) || t.files[fd] == nil {
		return nil, unix.EBADF
	}
	f := t.files[fd]
	t.clear(fd)
	locked.Release()
	t.unlock(f)
	return f, nil
}

// unlock releases the process's record locks on a file: closing any descriptor
// of the file releases them (fcntl(2)).
func (t *FDTable) unlock(f *File) { f.Inode().Base().locks.ReleaseRecords(t) }

// closed drops the table's reference to a file. f may be nil.
func (t *FDTable) closed(f *File) {
	if f == nil {
		return
	}
	t.unlock(f)
	f.DecRef()
}

// CloseRange closes the open descriptors from first to last, both included
// (close_range(2)).
func (t *FDTable) CloseRange(first, last int) {
	t.closeAll(first, last, &t.used)
}

// CloseOnExec closes the descriptors that execve(2) closes (O_CLOEXEC).
func (t *FDTable) CloseOnExec() {
	t.closeAll(0, MaxDescriptors, &t.closeOnExec)
}

// closeBatch is how many descriptors are closed at a time. The exit of a process must
// not need memory in proportion to its descriptors: many processes are killed at once
// when memory is short.
const closeBatch = 64

// closeAll closes the descriptors of a range that are set in one of the bitmaps.
func (t *FDTable) closeAll(first, last int, which *bitmap) {
	var batch [closeBatch]*File
	for next := max(first, 0); next <= last; {
		n, after := t.takeBatch(&batch, next, last, which)
		if n == 0 {
			return
		}
		for _, f := range batch[:n] {
			t.closed(f)
		}
		next = after
	}
}

// takeBatch frees descriptors of a range that are set in one of the bitmaps, and stores
// their files in batch. It returns their number and where the next call begins.
func (t *FDTable) takeBatch(batch *[closeBatch]*File, first, last int, which *bitmap) (n, next int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fd := which.nextOne(first)
	for ; n < len(batch) && fd < len(t.files) && fd <= last; fd = which.nextOne(fd + 1) {
		if f := t.files[fd]; f != nil { // nil if it is reserved
			batch[n] = f
			n++
			t.clear(fd)
		}
	}
	return n, fd
}

// GetExecAction returns the exec action of a descriptor (F_GETFD). Error:
// EBADF.
func (t *FDTable) GetExecAction(fd int) (ExecAction, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if fd < 0 || fd >= len(t.files) || t.files[fd] == nil {
		return KeepOnExec, unix.EBADF
	}
	return ExecAction(t.closeOnExec.has(fd)), nil
}

// SetExecAction sets the exec action of the open descriptors from first to
// last, both included. Error: EBADF if the range is a single descriptor that is
// not open.
func (t *FDTable) SetExecAction(first, last int, onExec ExecAction) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if first == last && (first < 0 || first >= len(t.files) || t.files[first] == nil) {
		return unix.EBADF
	}
	for fd := max(first, 0); fd < len(t.files) && fd <= last; fd++ {
		if t.files[fd] != nil {
			t.setAction(fd, onExec)
		}
	}
	return nil
}

// NextOpen returns the lowest open descriptor that is at least fd, or -1 if there is
// none.
func (t *FDTable) NextOpen(fd int) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	for fd = t.used.nextOne(max(fd, 0)); fd < len(t.files); fd = t.used.nextOne(fd + 1) {
		if t.files[fd] != nil { // nil if it is reserved
			return fd
		}
	}
	return -1
}

// Size returns the number of descriptors for which the table has room (FDSize
// in /proc/pid/status).
func (t *FDTable) Size() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(64, len(t.files))
}
