package signal

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestPutObeysTheLimit(t *testing.T) {
	var p Pending
	var account Account
	put := func(s Signal, code int32) Outcome { info := UserInfo(s, code, 1, 1); return p.Put(&info, &account, 2) }
	for i, c := range []struct {
		s    Signal
		code int32
		want Outcome
	}{
		{unix.SIGUSR1, SI_USER, Queued}, {unix.SIGUSR1, SI_USER, Coalesced},
		{40, SI_QUEUE, Queued}, {40, SI_QUEUE, Full}, {40, SI_USER, Bare},
		{unix.SIGUSR2, SI_QUEUE, Bare}, {unix.SIGTERM, SI_USER, Queued},
	} {
		if got := put(c.s, c.code); got != c.want {
			t.Errorf("step %d: Put returned %v, want %v", i, got, c.want)
		}
	}
	if account.Queued() != 3 {
		t.Errorf("%d signals are counted, want 3", account.Queued())
	}
	if info, ok := p.take(unix.SIGUSR2); !ok || info.PID() != 0 || info.Code != SI_USER {
		t.Errorf("Take of a signal without Info returned %+v, want SI_USER from process 0", info)
	}
	p.Discard(^Set(0))
	if p.Set != 0 || account.Queued() != 0 {
		t.Errorf("after Discard %v are pending and %d are counted, want none", p.Set, account.Queued())
	}
}

func TestNextReturnsSynchronousSignalsFirst(t *testing.T) {
	var p Pending
	var account Account
	for _, s := range []Signal{unix.SIGHUP, unix.SIGSEGV, unix.SIGBUS} {
		p.put(KernelInfo(s), &account, 10)
	}
	for _, want := range []Signal{unix.SIGBUS, unix.SIGSEGV, unix.SIGHUP, 0} {
		if got := p.Next(0); got != want {
			t.Errorf("Next returned %v, want %v", got, want)
		}
		p.take(want)
	}
}

// FuzzPending compares the queue with a model: a slice in order of arrival.
func FuzzPending(f *testing.F) {
	f.Add([]byte{1, 40, 40, 130, 200, 255})
	f.Fuzz(func(t *testing.T, steps []byte) {
		var p Pending
		var account Account
		var model []Info
		for i, b := range steps {
			s := Signal(b%64 + 1)
			pending := false
			for _, info := range model {
				pending = pending || info.Signo == s
			}
			switch b >> 6 {
			case 0, 1:
				info := UserInfo(s, SI_QUEUE, i, 0)
				if p.Put(&info, &account, 1<<20) == Queued {
					model = append(model, info)
				} else if s >= FirstRealtime || !pending {
					t.Fatalf("step %d: Put did not queue signal %d", i, s)
				}
			case 2:
				info, ok := p.take(s)
				if ok != pending {
					t.Fatalf("step %d: Take of %d reported %v, want %v", i, s, ok, pending)
				}
				for j := range model {
					if ok && model[j].Signo == s {
						if model[j] != info {
							t.Fatalf("step %d: Take returned the signal of process %d, want that of %d", i, info.PID(), model[j].PID())
						}
						model = append(model[:j], model[j+1:]...)
						break
					}
				}
			case 3:
				p.Discard(SetOf(s))
				kept := model[:0]
				for _, info := range model {
					if info.Signo != s {
						kept = append(kept, info)
					}
				}
				model = kept
			}
			set := Set(0)
			for _, info := range model {
				set.Add(info.Signo)
			}
			if p.Set != set || account.Queued() != int64(len(model)) {
				t.Fatalf("step %d: %v are pending and %d are counted, want %v and %d", i, p.Set, account.Queued(), set, len(model))
			}
		}
	})
}

// TestReservedPlaceIsNeverRefused: a timer's signal is queued with its Info although
// the limit is reached and the signal is pending already.
func TestReservedPlaceIsNeverRefused(t *testing.T) {
	for _, s := range []Signal{unix.SIGUSR1, FirstRealtime} {
		var a Account
		var p Pending
		place := a.Reserve(1)
		if place == nil || a.Reserve(1) != nil {
			t.Fatal("Reserve does not obey the limit")
		}
		p.put(UserInfo(s, SI_USER, 7, 0), &a, 1)
		p.PutReserved(TimerInfo(s, 5, 0), place)
		p.PutReserved(TimerInfo(s, 5, 0), place) // the place is taken
		var codes []int32
		for {
			info, ok := p.take(s)
			if !ok {
				break
			}
			codes = append(codes, info.Code)
		}
		if len(codes) == 0 || codes[len(codes)-1] != SI_TIMER && codes[0] != SI_TIMER {
			t.Errorf("signal %d: the codes taken are %v, want one SI_TIMER", s, codes)
		}
		place.Release()
		if a.Queued() != 0 {
			t.Errorf("signal %d: %d are still charged", s, a.Queued())
		}
	}
}

// TestReservationOfAPendingSignalStaysCharged: a program must not fill a queue with the
// signals of timers that it has deleted.
func TestReservationOfAPendingSignalStaysCharged(t *testing.T) {
	var a Account
	var p Pending
	place := a.Reserve(1)
	p.PutReserved(TimerInfo(unix.SIGUSR1, 5, 0), place)
	if place.Release(); a.Queued() != 1 {
		t.Errorf("%d signals are charged while the signal is pending, want 1", a.Queued())
	}
	if p.Discard(SetOf(unix.SIGUSR1)); a.Queued() != 0 {
		t.Errorf("%d signals are charged after the signal was discarded", a.Queued())
	}
}

// put is Put for a value.
func (p *Pending) put(info Info, account *Account, limit uint64) Outcome {
	return p.Put(&info, account, limit)
}

// take is Take that returns the Info.
func (p *Pending) take(s Signal) (info Info, ok bool) {
	ok = p.Take(s, &info)
	return info, ok
}
