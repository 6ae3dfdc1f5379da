package amd64

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"
)

// TestSplitTimeNeverGoesBack: user and system time have the ratio of the samples, their
// sum is the measured total, and neither shrinks (Linux: cputime_adjust).
func TestSplitTimeNeverGoesBack(t *testing.T) {
	for _, c := range []struct{ total, userSample, systemSample, user, system int64 }{
		{100, 0, 0, 100, 0}, {100, 4, 0, 100, 0}, {100, 0, 4, 0, 100}, {100, 4, 12, 25, 75}, {1 << 60, 1 << 61, 1 << 61, 1 << 59, 1 << 59},
	} {
		if user, system := splitTime(c.total, c.userSample, c.systemSample, 0, 0); user != c.user || system != c.system {
			t.Errorf("%+v: user %d and system %d", c, user, system)
		}
	}
	random := rand.New(rand.NewPCG(5, 6))
	var a CPUTime
	var user, system int64
	for range 10000 {
		a.total.Add(random.Int64N(1000))
		if random.IntN(2) == 0 {
			a.userSample.Add(random.Int64N(1000))
		} else {
			a.systemSample.Add(random.Int64N(1000))
		}
		u, s := a.Read()
		if u < user || s < system || u+s != a.total.Load() {
			t.Fatalf("user %d and system %d after %d and %d, want a sum of %d", u, s, user, system, a.total.Load())
		}
		user, system = u, s
	}
}

// testClock sets a scale of one nanosecond per TSC tick.
func testClock(t *testing.T) {
	scale := clockScale
	clockScale = 1 << 32
	t.Cleanup(func() { clockScale = scale })
}

// TestTimeIsChargedToTheTaskThatRan: at each change the account that was current is
// charged for the time before. Time between a pause and the next task is not charged.
func TestTimeIsChargedToTheTaskThatRan(t *testing.T) {
	testClock(t)
	one, other := new(CPUTime), new(CPUTime)
	k := &cpuClock{since: 1000}
	k.next(accountAddress(one), 1100)   // no task ran
	k.next(accountAddress(other), 1130) // one ran for 30
	k.charge(accountAddress(other), 1180)
	k.account = 0 // other sleeps after 50
	k.next(accountAddress(one), 2000)
	k.found(accountAddress(one), 2007)
	k.found(0, 2010) // the runtime's scheduler: one stays current
	if got := [2]int64{one.total.Load(), other.total.Load()}; got != [2]int64{40, 50} {
		t.Errorf("the tasks have run for %v, want 40 and 50", got)
	}
}

// TestTickFindsTheGoroutineThatRuns: the runtime may have preempted the goroutine that
// ran last without a call of this package. The one that the tick finds is charged.
func TestTickFindsTheGoroutineThatRuns(t *testing.T) {
	testClock(t)
	before, now := new(CPUTime), new(CPUTime)
	k := &cpuClock{account: accountAddress(before), since: 1000}
	if a := k.found(accountAddress(now), 1004); a != now || now.total.Load() != 4 || before.total.Load() != 0 {
		t.Errorf("the tick charged %d to the goroutine that it found and %d to the one before", now.total.Load(), before.total.Load())
	}
	if k.account != accountAddress(now) {
		t.Error("the goroutine that the tick found is not the current one")
	}
}

// TestAccountBelongsToItsOwnGoroutine: a goroutine that a task starts inherits its
// label, and must not charge the task.
func TestAccountBelongsToItsOwnGoroutine(t *testing.T) {
	offset := labelOffset
	labelOffset = 8
	defer func() { labelOffset = offset }()
	a := new(CPUTime)
	g := [2]uint64{0, accountAddress(a)} // a g with the label
	tls := [2]uint64{addressOfWords(&g)}
	fs := addressOfWords(&tls) + 8
	if got := accountOf(fs); got != 0 {
		t.Errorf("a goroutine with an inherited label has the account %#x", got)
	}
	a.goroutine = addressOfWords(&g)
	if got := accountOf(fs); got != accountAddress(a) {
		t.Errorf("the task's goroutine has the account %#x, want %#x", got, accountAddress(a))
	}
	if got := accountOf(0); got != 0 {
		t.Errorf("a thread without FS base has the account %#x", got)
	}
}

func addressOfWords(p *[2]uint64) uint64 { return uint64(uintptr(unsafe.Pointer(p))) }

// TestTickDoesNotRestoreAnEndedAccount: a tick in the runtime's own code races with the end of
// the task whose account is current. The account must not be current after both.
func TestTickDoesNotRestoreAnEndedAccount(t *testing.T) {
	testClock(t)
	a, k := new(CPUTime), new(cpuClock)
	var ticks sync.WaitGroup
	var over atomic.Bool
	ticks.Go(func() {
		for !over.Load() {
			k.found(0, k.since+1)
		}
	})
	for range 500_000 {
		atomic.StoreUint64(&k.account, accountAddress(a))
		for before := a.total.Load(); a.total.Load() == before; {
			runtime.Gosched() // until a tick has charged it
		}
		k.forget(a)
		if atomic.LoadUint64(&k.account) != 0 {
			t.Error("a tick has made the account of an ended task current")
			break
		}
	}
	over.Store(true)
	ticks.Wait()
}
