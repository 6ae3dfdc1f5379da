package fs_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/fs/fstest"
	"slowpath/fs/tmpfs"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newTmpfs(w *fstest.World) *tmpfs.Filesystem {
	return tmpfs.New(w.Memory, tmpfs.Config{})
}

func TestInstallReturnsTheLowestFreeDescriptor(t *testing.T) {
	w := fstest.New(t, 512)
	w.Write("/f", "")
	table := fs.NewFDTable()
	for want := range 130 {
		f, err := w.At("/f").Open(unix.O_RDONLY, 0)
		must(t, err)
		if fd, err := table.Install(f, 0, 1024, want%2 == 0); fd != want || err != nil {
			t.Fatalf("Install = %d, %v, want %d", fd, err, want)
		}
	}
	for _, fd := range []int{5, 77} {
		must(t, table.Close(fd))
	}
	if err := table.Close(5); err != unix.EBADF {
		t.Errorf("second close: %v", err)
	}
	f, _ := w.At("/f").Open(unix.O_RDONLY, 0)
	if fd, _ := table.Install(f, 6, 1024, fs.KeepOnExec); fd != 77 {
		t.Errorf("Install from 6 = %d, want 77", fd)
	}
	g, _ := w.At("/f").Open(unix.O_RDONLY, 0)
	if _, err := table.Install(g, 0, 5, fs.KeepOnExec); err != unix.EMFILE {
		t.Errorf("Install beyond the limit: %v", err)
	}
	g.DecRef()
	table.CloseOnExec()
	n := 0
	for fd := table.NextOpen(0); fd >= 0; fd = table.NextOpen(fd + 1) {
		n++
	}
	if n != 64 {
		t.Errorf("%d descriptors survive exec, want 64", n)
	}
	table.Release()
}

func TestLastReferenceFreesAnUnlinkedFile(t *testing.T) {
	w := fstest.New(t, 512)
	w.Write("/f", "abc")
	table := fs.NewFDTable()
	f, _ := w.At("/f").Open(unix.O_RDONLY, 0)
	table.Install(f, 0, 10, fs.KeepOnExec)
	copied, err := table.Copy()
	if err != nil {
		t.Fatal(err)
	}
	held, err := table.Get(0)
	must(t, err)
	must(t, w.At("/f").Unlink())
	table.Release()
	copied.Release()
	if got := fstest.ReadAll(t, held); got != "abc" {
		t.Errorf("a held file lost its contents: %q", got)
	}
	before := w.Memory.Stats().Free
	held.DecRef()
	if w.Memory.Stats().Free <= before {
		t.Error("the last reference of an unlinked file did not free its page")
	}
}

func TestRecordLocksSplitMergeAndConflict(t *testing.T) {
	w := fstest.New(t, 512)
	w.Write("/f", "")
	f := w.Open("/f", unix.O_RDWR, 0)
	a, b := fs.NewFDTable(), fs.NewFDTable()
	lock := func(owner fs.LockOwner, kind fs.LockKind, start, end int64) error {
		return f.SetRecord(fs.RecordLock{Kind: kind, Start: start, End: end, Owner: owner})
	}
	must(t, lock(a, fs.ExclusiveLock, 0, 99))
	if err := lock(b, fs.SharedLock, 50, 60); err != unix.EAGAIN {
		t.Errorf("overlap with an exclusive lock: %v", err)
	}
	must(t, lock(a, fs.Unlocked, 40, 69)) // leaves 0-39 and 70-99
	must(t, lock(b, fs.SharedLock, 50, 60))
	must(t, lock(a, fs.SharedLock, 40, 69))
	if err := lock(b, fs.ExclusiveLock, 50, 60); err != unix.EAGAIN {
		t.Errorf("upgrade with another's shared lock held: %v", err)
	}
	got, blocked := f.Inode().Base().Locks().TestRecord(fs.RecordLock{Kind: fs.ExclusiveLock, Start: 65, End: fs.EndOfFile, Owner: b})
	if !blocked || got.Owner != fs.LockOwner(a) {
		t.Errorf("TestRecord returned %+v, %v", got, blocked)
	}
	f.Inode().Base().Locks().ReleaseRecords(a)
	must(t, lock(b, fs.ExclusiveLock, 0, fs.EndOfFile))
}

func TestRecordLockDeadlockIsEDEADLK(t *testing.T) {
	w := fstest.New(t, 512)
	w.Write("/f", "")
	f := w.Open("/f", unix.O_RDWR, 0)
	owners := []*fs.FDTable{fs.NewFDTable(), fs.NewFDTable(), fs.NewFDTable()}
	set := func(owner int, at int64) error {
		return f.AwaitRecord(fs.RecordLock{Kind: fs.ExclusiveLock, Start: at, End: at, Owner: owners[owner]})
	}
	for i := range owners {
		must(t, set(i, int64(i)))
	}
	if err := set(0, 1); err != unix.EAGAIN {
		t.Fatalf("0 waits for 1: %v", err)
	}
	if err := set(1, 2); err != unix.EAGAIN {
		t.Fatalf("1 waits for 2: %v", err)
	}
	if err := set(2, 0); err != unix.EDEADLK {
		t.Errorf("2 waits for 0, which closes the cycle: %v, want EDEADLK", err)
	}
	f.StopWaiting(owners[0])
	if err := set(2, 0); err != unix.EAGAIN {
		t.Errorf("after owner 0 stopped waiting: %v, want EAGAIN", err)
	}
}

func TestFlockSharedAndExclusive(t *testing.T) {
	w := fstest.New(t, 512)
	w.Write("/f", "")
	a, b := w.Open("/f", unix.O_RDWR, 0), w.Open("/f", unix.O_RDWR, 0)
	locks := a.Inode().Base().Locks()
	must(t, locks.SetWhole(a, fs.SharedLock))
	must(t, locks.SetWhole(b, fs.SharedLock))
	if err := locks.SetWhole(a, fs.ExclusiveLock); err != unix.EAGAIN {
		t.Errorf("upgrade with another shared lock held: %v", err)
	}
	must(t, locks.SetWhole(b, fs.Unlocked))
	must(t, locks.SetWhole(a, fs.ExclusiveLock))
}

// slowHolder is a file whose HeldMemory waits for the test.
type slowHolder struct {
	fs.FileBase
	entered, leave chan struct{}
}

func (s *slowHolder) HeldMemory() int64 {
	s.entered <- struct{}{}
	<-s.leave
	return 1 << 20
}

func TestHeldMemoryNeverWaitsForTheTable(t *testing.T) {
	w := fstest.New(t, 512)
	s := &slowHolder{entered: make(chan struct{}), leave: make(chan struct{})}
	table := fs.NewFDTable()
	_, err := table.Install(w.Mounts.NewAnonymous("slow", 0, s), 0, 10, fs.KeepOnExec)
	must(t, err)
	counted := make(chan int64)
	go func() { counted <- table.HeldMemory() }()
	<-s.entered // the count holds the table now
	if held := table.HeldMemory(); held != 0 {
		t.Errorf("HeldMemory of a table in use is %d, want 0, the last count", held)
	}
	close(s.leave)
	if held := <-counted; held < 1<<20 {
		t.Errorf("HeldMemory is %d, want more than 1 MiB", held)
	}
	if held := table.HeldMemory(); held < 1<<20 { // does not enter the file again
		t.Errorf("HeldMemory right after a count is %d, want the same", held)
	}
	table.Release()
}

// TestReleaseOfLargeTableAllocatesNothing releases tables with many descriptors. Many
// processes are killed at once when memory is short: the exit of each must not need
// memory in proportion to its descriptors.
func TestReleaseOfLargeTableAllocatesNothing(t *testing.T) {
	w := fstest.New(t, 512)
	w.Write("/f", "")
	const descriptors = 4096
	f, err := w.At("/f").Open(unix.O_RDONLY, 0)
	must(t, err)
	defer f.DecRef()
	full := fs.NewFDTable()
	for range descriptors {
		f.IncRef()
		_, err := full.Install(f, 0, descriptors, fs.KeepOnExec)
		must(t, err)
	}
	const runs = 10
	tables := make([]*fs.FDTable, runs+1) // AllocsPerRun calls the function once more
	for i := range tables {
		tables[i], err = full.Copy()
		must(t, err)
	}
	next := 0
	allocations := testing.AllocsPerRun(runs, func() {
		tables[next].Release()
		next++
	})
	if allocations > 1 {
		t.Errorf("the release of a table with %d descriptors makes %v allocations", descriptors, allocations)
	}
	full.Release()
}
