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
	rig := &rig{World: w, file: epoll.New(w.Mounts)}
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
	outer := epoll.New(r.Mounts)
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
		next := epoll.New(r.Mounts)
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
