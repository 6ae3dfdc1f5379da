package hostfile

import (
	"errors"
	"sync"
)

// Capacity is the number of bytes that wait in an outlet for the host, like the
// capacity of a pipe.
const Capacity = 64 << 10

// smallPiece is the maximum size in bytes to which small writes are collected.
const smallPiece = 4096

// maxSend is the maximum number of bytes per call of an outlet's send function.
const maxSend = 32 << 10

// ErrBroken is the error of an outlet whose send function has failed.
var ErrBroken = errors.New("hostfile: the host has closed the stream")

// Spool sends what programs write to the host, in the order of the writes, from a
// goroutine of its own. A host that does not read makes only that goroutine wait:
// a program that waits for room sleeps on a wait queue, where a signal ends its
// sleep. Its methods are safe for concurrent use; only Flush sleeps.
type Spool struct {
	mu       sync.Mutex // guards the fields below and those of the outlets
	changed  *sync.Cond // a piece was added, or a piece was sent
	pieces   []piece
	accepted uint64 // pieces added since the start
	sent     uint64 // pieces sent since the start
}

// piece is data for an outlet, or a function to be called.
type piece struct {
	outlet *Outlet
	data   []byte
	call   func()
}

// NewSpool returns an empty spool and starts its goroutine.
func NewSpool() *Spool {
	s := &Spool{}
	s.changed = sync.NewCond(&s.mu)
	go s.serve()
	return s
}

// Do calls f on the spool's goroutine, after everything that was added before. f
// may wait for the host.
func (s *Spool) Do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(piece{call: f})
}

// Flush waits until everything that was added before is sent.
func (s *Spool) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for until := s.accepted; s.sent < until; {
		s.changed.Wait()
	}
}

// add appends a piece, or its data to the last piece if both are small and for the
// same outlet. s.mu is held.
func (s *Spool) add(p piece) {
	if last := len(s.pieces) - 1; last >= 0 && p.outlet != nil && s.pieces[last].outlet == p.outlet &&
		len(s.pieces[last].data)+len(p.data) <= smallPiece {
		s.pieces[last].data = append(s.pieces[last].data, p.data...)
		return
	}
	s.pieces = append(s.pieces, p)
	s.accepted++
	s.changed.Broadcast()
}

func (s *Spool) serve() {
	for {
		next, count := s.take()
		if next.call != nil {
			next.call()
			s.finish(nil, 0, count, nil)
			continue
		}
		err := next.outlet.send(next.data)
		if s.finish(next.outlet, len(next.data), count, err) {
			next.outlet.room()
		}
	}
}

// take waits for a piece and removes it, together with the pieces after it that
// are for the same outlet, up to maxSend bytes. count is the number of pieces.
func (s *Spool) take() (next piece, count uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.pieces) == 0 {
		s.changed.Wait()
	}
	next, count = s.pieces[0], 1
	for _, p := range s.pieces[1:] {
		if next.call != nil || p.outlet != next.outlet || len(next.data)+len(p.data) > maxSend {
			break
		}
		next.data = append(next.data, p.data...)
		count++
	}
	clear(s.pieces[:count])
	if s.pieces = s.pieces[count:]; len(s.pieces) == 0 {
		s.pieces = nil
	}
	return next, count
}

// finish counts sent pieces. It reports whether writers of the outlet must be
// woken: there was not enough room for all of them, or the outlet is broken.
func (s *Spool) finish(o *Outlet, bytes int, count uint64, err error) (wake bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent += count
	s.changed.Broadcast()
	if o == nil {
		return false
	}
	wake = Capacity-o.pending < atomicWrite || err != nil
	o.pending -= bytes
	o.broken = o.broken || err != nil
	return wake
}

// Outlet is one stream of bytes to the host.
type Outlet struct {
	spool *Spool
	send  func(p []byte) error
	room  func()

	// spool.mu guards the fields below.
	pending int // bytes that wait or are reserved
	broken  bool
}

// NewOutlet returns an outlet of the spool. send sends up to 32 KiB to the host. It
// may wait, and must not keep p. room is called without locks when there is room
// again after the outlet was full, and when send has failed.
func (s *Spool) NewOutlet(send func(p []byte) error, room func()) *Outlet {
	return &Outlet{spool: s, send: send, room: room}
}

// Room returns the number of bytes for which there is room. Error: ErrBroken.
func (o *Outlet) Room() (int, error) {
	o.spool.mu.Lock()
	defer o.spool.mu.Unlock()
	return o.free()
}

// free is Room with spool.mu held.
func (o *Outlet) free() (int, error) {
	if o.broken {
		return 0, ErrBroken
	}
	return max(0, Capacity-o.pending), nil
}

// reserve reserves room for up to want bytes, and returns their number. A want of
// up to atomicWrite bytes is reserved completely or not at all. Error: ErrBroken.
func (o *Outlet) reserve(want int) (int, error) {
	o.spool.mu.Lock()
	defer o.spool.mu.Unlock()
	free, err := o.free()
	if want <= atomicWrite && free < want {
		free = 0
	}
	n := min(want, free)
	o.pending += n
	return n, err
}

// commit adds p, for which there is a reservation of n bytes, and gives back the
// rest of the reservation. The outlet keeps p.
func (o *Outlet) commit(p []byte, n int) {
	o.spool.mu.Lock()
	defer o.spool.mu.Unlock()
	o.pending += len(p) - n
	if len(p) > 0 {
		o.spool.add(piece{outlet: o, data: p})
	}
}

// echoRoom is the number of bytes beyond Capacity that Put accepts.
const echoRoom = 4096

// Put adds a copy of p, or drops the bytes that exceed the room by more than 4 KiB:
// the output of programs fits into the room, and echoes of typed characters may be
// lost.
func (o *Outlet) Put(p []byte) {
	o.spool.mu.Lock()
	defer o.spool.mu.Unlock()
	n := min(len(p), Capacity+echoRoom-o.pending)
	if o.broken || n <= 0 {
		return
	}
	o.pending += n
	o.spool.add(piece{outlet: o, data: append([]byte(nil), p[:n]...)})
}
