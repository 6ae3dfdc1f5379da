package epoll_test

import (
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/fs/epoll"
	"slowpath/fs/eventfd"
	"slowpath/fs/fstest"
	"slowpath/fs/pipe"
	"slowpath/wait"
)

type rig struct {
	*fstest.World
	file *fs.File
	set  *epoll.Set
	r, w *fs.File
}

func newRig(t *testing.T) *rig {
	w := fstest.New(t, 64)
	rig := &rig{World: w, file: epoll.New(w.Mounts, w.Caller)}
	rig.set = epoll.Of(rig.file)
	rig.r, rig.w, _ = pipe.New(w.Mounts, w.Caller, 0)
	t.Cleanup(rig.file.DecRef)
	return rig
}

func (r *rig) send(text string) { r.w.Write(fs.NewBytesSource([]byte(text))) }
func (r *rig) take(n int)       { r.r.Read(fs.NewBytesSink(make([]byte, n))) }

func (r *rig) expect(t *testing.T, what string, want ...uint32) {
	t.Helper()
	got := r.set.Collect(10)
	if len(got) != len(want) {
		t.Fatalf("%s: %d events, want %d", what, len(got), len(want))
	}
	for i := range want {
		if got[i].Events != want[i] {
			t.Errorf("%s: event %#x, want %#x", what, got[i].Events, want[i])
		}
	}
}

func TestLevelTriggeredReportsWhileReady(t *testing.T) {
	r := newRig(t)
	if err := r.set.Add(r.r, 3, epoll.Event{Events: unix.EPOLLIN, Data: 42}); err != nil {
		t.Fatal(err)
	}
	r.expect(t, "empty pipe")
	r.send("ab")
	r.expect(t, "data", unix.EPOLLIN)
	r.expect(t, "data, collected again", unix.EPOLLIN)
	r.take(2)
	r.expect(t, "drained")
	r.w.DecRef()
	r.expect(t, "writer gone", unix.EPOLLHUP)
	r.r.DecRef()
	r.expect(t, "closed files leave the set")
}

func TestEdgeTriggeredReportsOncePerEvent(t *testing.T) {
	r := newRig(t)
	r.send("a")
	r.set.Add(r.r, 3, epoll.Event{Events: unix.EPOLLIN | unix.EPOLLET})
	r.expect(t, "ready when added", unix.EPOLLIN)
	r.expect(t, "no new edge")
	r.send("b")
	r.expect(t, "new data", unix.EPOLLIN)
	r.set.Modify(r.r, 3, epoll.Event{Events: unix.EPOLLIN | unix.EPOLLET})
	r.expect(t, "rearmed by EPOLL_CTL_MOD", unix.EPOLLIN)
}

func TestOneShotDisablesAfterOneEvent(t *testing.T) {
	r := newRig(t)
	r.set.Add(r.r, 3, epoll.Event{Events: unix.EPOLLIN | unix.EPOLLONESHOT})
	r.send("a")
	r.expect(t, "first", unix.EPOLLIN)
	r.send("b")
	r.expect(t, "disarmed")
	r.set.Modify(r.r, 3, epoll.Event{Events: unix.EPOLLIN | unix.EPOLLONESHOT})
	r.expect(t, "rearmed", unix.EPOLLIN)
}

func TestEventsThatArePutBackAreReportedAgain(t *testing.T) {
	r := newRig(t)
	for n, behaviour := range []uint32{0, unix.EPOLLET, unix.EPOLLONESHOT} {
		if err := r.set.Add(r.r, n, epoll.Event{Events: unix.EPOLLIN | behaviour}); err != nil {
			t.Fatal(err)
		}
	}
	r.send("ab")
	events := r.set.Collect(10)
	if len(events) != 3 {
		t.Fatalf("%d events, want 3", len(events))
	}
	r.set.PutBack(events)
	r.expect(t, "put back", unix.EPOLLIN, unix.EPOLLIN, unix.EPOLLIN)
	r.expect(t, "taken", unix.EPOLLIN)
}

func TestEpollCtlReturnsLinuxErrors(t *testing.T) {
	r := newRig(t)
	r.Write("/f", "")
	regular := r.Open("/f", unix.O_RDONLY, 0)
	in := epoll.Event{Events: unix.EPOLLIN}
	for what, c := range map[string]struct{ got, want error }{
		"regular file":          {r.set.Add(regular, 1, in), unix.EPERM},
		"itself":                {r.set.Add(r.file, 2, in), unix.EINVAL},
		"modify a missing item": {r.set.Modify(r.r, 3, in), unix.ENOENT},
		"delete a missing item": {r.set.Delete(r.r, 3), unix.ENOENT},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", what, c.got, c.want)
		}
	}
	r.set.Add(r.r, 3, in)
	if err := r.set.Add(r.r, 3, in); err != unix.EEXIST {
		t.Errorf("second add: %v", err)
	}
	if err := r.set.Add(r.r, 4, in); err != nil {
		t.Errorf("add of the same file with another descriptor: %v", err)
	}
}

func TestNestedSetsWorkAndCyclesAreELOOP(t *testing.T) {
	r := newRig(t)
	in := epoll.Event{Events: unix.EPOLLIN}
	outer := epoll.New(r.Mounts, r.Caller)
	defer outer.DecRef()
	r.set.Add(r.r, 3, in)
	if err := epoll.Of(outer).Add(r.file, 5, in); err != nil {
		t.Fatal(err)
	}
	if err := r.set.Add(outer, 6, in); err != unix.ELOOP {
		t.Errorf("a cycle of two sets: %v, want ELOOP", err)
	}
	r.send("x")
	if got := epoll.Of(outer).Collect(5); len(got) != 1 {
		t.Errorf("the outer set returned %d events, want 1", len(got))
	}
	r.take(1)
	if outer.Readiness()&wait.In != 0 {
		t.Error("the outer set is still readable")
	}
	top := outer
	var err error
	for range 8 {
		next := epoll.New(r.Mounts, r.Caller)
		defer next.DecRef()
		if err = epoll.Of(next).Add(top, 1, in); err != nil {
			break
		}
		top = next
	}
	if err != unix.ELOOP {
		t.Errorf("a chain of sets that is too long: %v, want ELOOP", err)
	}
}

// TestNestingIsBoundedFromEitherEnd builds chains of sets from the bottom, from the
// top and by joining two chains: at most four sets are above the lowest one.
func TestNestingIsBoundedFromEitherEnd(t *testing.T) {
	r := newRig(t)
	in := epoll.Event{Events: unix.EPOLLIN}
	newSet := func() *fs.File {
		f := epoll.New(r.Mounts, r.Caller)
		t.Cleanup(f.DecRef)
		return f
	}
	watch := func(above, below *fs.File) error { return epoll.Of(above).Add(below, 1, in) }
	chain := func(length int, link func(next, end *fs.File) error) (sets []*fs.File) {
		sets = append(sets, newSet())
		for len(sets) < length {
			next := newSet()
			if err := link(next, sets[len(sets)-1]); err != nil {
				break
			}
			sets = append(sets, next)
		}
		return sets
	}
	down := func(next, end *fs.File) error { return watch(end, next) }
	if n := len(chain(900, watch)); n != 5 {
		t.Errorf("a chain built from the bottom has %d sets, want 5", n)
	}
	if n := len(chain(900, down)); n != 5 {
		t.Errorf("a chain built from the top has %d sets, want 5", n)
	}
	upper, lower := chain(3, watch), chain(3, watch)
	if err := watch(upper[0], lower[2]); err != unix.ELOOP {
		t.Errorf("joining two chains of three sets: %v, want ELOOP", err)
	}
	if err := watch(upper[1], lower[2]); err != nil {
		t.Errorf("joining chains of two and three sets: %v", err)
	}
}

// TestWakeUpPathsAreLimited checks that a file may be in any number of sets, but
// that the number of paths through further sets is limited.
func TestWakeUpPathsAreLimited(t *testing.T) {
	r := newRig(t)
	in := epoll.Event{Events: unix.EPOLLIN}
	file := eventfd.New(r.Mounts, 0, 0)
	defer file.DecRef()
	above := func(f *fs.File, limit int) (added int, err error) {
		for added < limit && err == nil {
			next := epoll.New(r.Mounts, r.Caller)
			t.Cleanup(next.DecRef)
			if err = epoll.Of(next).Add(f, 1, in); err == nil {
				added++
			}
		}
		return added, err
	}
	if n, err := above(file, 1200); n != 1200 {
		t.Errorf("a file in %d sets: %v", n, err)
	}
	r.set.Add(r.r, 3, in)
	if n, err := above(r.file, 1200); n != 500 || err != unix.EINVAL {
		t.Errorf("a set with a file is in %d sets, then %v; want 500, EINVAL", n, err)
	}
	r.set.Delete(r.r, 3)
	if n, err := above(r.file, 10); n != 10 {
		t.Errorf("a set without files: %d more sets, then %v", n, err)
	}
	if err := r.set.Add(r.r, 3, in); err != unix.EINVAL {
		t.Errorf("a file for a set that is in too many sets: %v, want EINVAL", err)
	}
	r.send("x")
	r.expect(t, "after the refused addition")
}

// TestExclusiveItemsWakeOneWaiter checks that an event of a file in several sets
// wakes the waiters of one set if the items have EPOLLEXCLUSIVE, and that the end
// of the file wakes them all.
func TestExclusiveItemsWakeOneWaiter(t *testing.T) {
	r := newRig(t)
	woken := 0
	for range 3 {
		f := epoll.New(r.Mounts, r.Caller)
		defer f.DecRef()
		if err := epoll.Of(f).Add(r.r, 1, epoll.Event{Events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE}); err != nil {
			t.Fatal(err)
		}
		w := &wait.Waiter{Mask: wait.In, Notify: func(*wait.Waiter, wait.Events) { woken++ }}
		f.Queue().Add(w)
		defer f.Queue().Remove(w)
	}
	r.send("x")
	if woken != 1 {
		t.Errorf("a write woke the waiters of %d sets, want 1", woken)
	}
	woken = 0
	r.w.DecRef()
	if woken != 3 {
		t.Errorf("the end of the file woke the waiters of %d sets, want 3", woken)
	}
	for _, events := range []uint32{unix.EPOLLPRI, unix.EPOLLRDHUP, unix.EPOLLONESHOT} {
		if err := r.set.Add(r.r, 1, epoll.Event{Events: events | unix.EPOLLIN | unix.EPOLLEXCLUSIVE}); err != unix.EINVAL {
			t.Errorf("EPOLLEXCLUSIVE with %#x: %v, want EINVAL", events, err)
		}
	}
}

// TestConcurrentAddModifyAndDelete changes one item from three goroutines while
// others collect events. A set that published an item before its waiter was on
// the file's queue would put the waiter there twice, which panics.
func TestConcurrentAddModifyAndDelete(t *testing.T) {
	r := newRig(t)
	r.send("x")
	in := epoll.Event{Events: unix.EPOLLIN}
	var group sync.WaitGroup
	for _, change := range []func(){
		func() { r.set.Add(r.r, 3, in) },
		func() { r.set.Modify(r.r, 3, in) },
		func() { r.set.Delete(r.r, 3) },
		func() { r.set.Collect(4) },
		func() { r.file.Readiness() },
	} {
		group.Go(func() {
			for range 3000 {
				change()
			}
		})
	}
	group.Wait()
}

// TestConcurrentCollectsMissNoReadyFile polls a set from one goroutine while
// another collects from it: the file stays ready, so each call finds it.
func TestConcurrentCollectsMissNoReadyFile(t *testing.T) {
	r := newRig(t)
	r.send("x")
	r.set.Add(r.r, 3, epoll.Event{Events: unix.EPOLLIN})
	var group sync.WaitGroup
	group.Go(func() {
		for range 20000 {
			r.file.Readiness()
		}
	})
	for range 20000 {
		if len(r.set.Collect(1)) != 1 {
			t.Error("the ready file was not found")
			break
		}
	}
	group.Wait()
}

// TestCollectRotatesReadyFiles checks that all files are reported equally often
// if more files are ready than one call returns.
func TestCollectRotatesReadyFiles(t *testing.T) {
	r := newRig(t)
	for i := range 10 {
		f := eventfd.New(r.Mounts, 1, 0)
		defer f.DecRef()
		r.set.Add(f, i, epoll.Event{Events: unix.EPOLLIN, Data: uint64(i)})
	}
	seen := make(map[uint64]int)
	for range 10 {
		for _, e := range r.set.Collect(3) {
			seen[e.Data]++
		}
	}
	for i := range uint64(10) {
		if seen[i] != 3 {
			t.Errorf("file %d was reported %d times, want 3", i, seen[i])
		}
	}
}

// TestConcurrentWakeCollectAndClose wakes and closes files while other
// goroutines collect events. It is for the race detector and finds lock order
// errors.
func TestConcurrentWakeCollectAndClose(t *testing.T) {
	r := newRig(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for i := range 300 {
				f := eventfd.New(r.Mounts, 0, 0)
				r.set.Add(f, i, epoll.Event{Events: unix.EPOLLIN})
				f.Write(fs.NewBytesSource([]byte{1, 0, 0, 0, 0, 0, 0, 0}))
				r.set.Collect(4)
				r.file.Readiness()
				f.DecRef()
			}
		})
	}
	group.Wait()
	r.expect(t, "all closed")
}
