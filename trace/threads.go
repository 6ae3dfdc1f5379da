package trace

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"slowpath/arch/amd64"
	"slowpath/guard"
)

// threads has the names of threads that have recorded events, and their processes, for
// the text of records (the files saved_cmdlines and saved_tgids).
type threads struct {
	recording atomic.Int32 // enabled event files: names are kept while there is one
	// noted has for each CPU the id of the thread that was noted last, and from bit 32 on how the
	// options at that time differ from those of the beginning: it need not be noted again. 0
	// stands for no thread. The idle thread has the id 0, and no name.
	noted [amd64.MaxCPUs]atomic.Uint64

	mu    sync.Mutex // guards the fields below
	known map[int]*thread
	order []int // the ids, in the order of their addition; from first on
	first int
	limit int
}

// thread is what is known of a thread.
type thread struct {
	comm string
	tgid int // 0 if it is not known
}

// defaultThreads is the number of threads that are kept at the beginning. Linux allocates
// its table in pages of powers of two, and shows the number that fits.
const defaultThreads = 128

// maxThreads is the greatest number that saved_cmdlines_size takes (Linux:
// PID_MAX_DEFAULT).
const maxThreads = 32768

func (s *threads) init() {
	s.known = make(map[int]*thread)
	s.limit = roundThreads(defaultThreads)
}

// roundThreads returns the number of names in Linux's table for n of them: a number of
// pages that is a power of two, with a map of process ids and 20 bytes for each name.
func roundThreads(n int) int {
	const mapBytes, nameBytes = 131096, 20
	bytes := PageSize
	for bytes < mapBytes+n*nameBytes {
		bytes *= 2
	}
	return (bytes - mapBytes) / nameBytes
}

// threadOptions are the options that say what of a thread is noted.
const threadOptions = optionRecordComm | optionRecordTGID

// note keeps the name and process of a thread, if the options of the instance that stores
// its record say so.
func (s *threads) note(cpu int, t Task, options uint32) {
	options &= threadOptions
	if s.recording.Load() == 0 || options == 0 {
		return
	}
	noted, last := uint64(options^defaultOptions&threadOptions)<<32|uint64(uint32(t.TID())), &s.noted[cpu]
	if last.Load() == noted {
		return
	}
	last.Store(noted) // before the name is read: forgetNoted follows a change of it
	tgid := 0
	if options&optionRecordTGID != 0 {
		tgid = t.PID()
	}
	s.keep(t.TID(), t.Comm(), tgid)
}

// forgetNoted makes every thread be noted again with its next record.
func (s *threads) forgetNoted() {
	for i := range s.noted {
		s.noted[i].Store(0)
	}
}

// Renamed says that a thread has got another name. Any goroutine may call it.
func (r *Registry) Renamed() { r.threads.forgetNoted() }

func (s *threads) keep(tid int, comm string, tgid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.known[tid]; one != nil {
		if one.comm != comm {
			one.comm = comm
		}
		if tgid != 0 {
			one.tgid = tgid
		}
		return
	}
	for len(s.known) >= s.limit {
		s.forgetFirst()
	}
	s.known[tid] = &thread{comm, tgid}
	if s.first > len(s.order)/2 {
		s.order = append(s.order[:0], s.order[s.first:]...)
		s.first = 0
	}
	s.order = append(s.order, tid)
}

// forgetFirst removes the oldest thread. s.mu is held.
func (s *threads) forgetFirst() {
	delete(s.known, s.order[s.first])
	s.first++
	s.forgetNoted()
}

// name returns the name of a thread for the text of a record.
func (s *threads) name(tid int) string {
	if tid == 0 {
		return "<idle>"
	}
	held := guard.Lock(&s.mu)
	defer held.Release()
	if one := s.known[tid]; one != nil {
		return one.comm
	}
	return "<...>"
}

// tgid returns the process of a thread, 0 if it is not known.
func (s *threads) tgid(tid int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.known[tid]; one != nil {
		return one.tgid
	}
	return 0
}

// recordThreads counts an enabled event file, or one that was disabled. The registry is
// locked.
func (r *Registry) recordThreads(on bool) {
	if on {
		r.threads.recording.Add(1)
	} else {
		r.threads.recording.Add(-1)
	}
}

// SavedNames returns the contents of the file saved_cmdlines.
func (r *Registry) SavedNames() string {
	return r.threads.list(func(b *strings.Builder, tid int, one *thread) {
		b.WriteString(strconv.Itoa(tid) + " " + one.comm + "\n")
	})
}

// SavedProcesses returns the contents of the file saved_tgids.
func (r *Registry) SavedProcesses() string {
	return r.threads.list(func(b *strings.Builder, tid int, one *thread) {
		if one.tgid != 0 {
			b.WriteString(strconv.Itoa(tid) + " " + strconv.Itoa(one.tgid) + "\n")
		}
	})
}

func (s *threads) list(write func(b *strings.Builder, tid int, one *thread)) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, tid := range s.order[s.first:] {
		write(&b, tid, s.known[tid])
	}
	return b.String()
}

// SavedLimit returns how many names of threads are kept.
func (r *Registry) SavedLimit() int {
	r.threads.mu.Lock()
	defer r.threads.mu.Unlock()
	return r.threads.limit
}

// SetSavedLimit sets how many names are kept, rounded up as on Linux. It reports false for
// a number that is 0 or too great.
func (r *Registry) SetSavedLimit(n uint64) bool {
	if n == 0 || n > maxThreads {
		return false
	}
	s := &r.threads
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = roundThreads(int(n))
	for len(s.known) > s.limit {
		s.forgetFirst()
	}
	return true
}
