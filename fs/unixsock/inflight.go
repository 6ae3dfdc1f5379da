package unixsock

import (
	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
)

// inFlight counts the files that were sent and not received yet. A socket may be in
// flight to itself, or several to each other. If no descriptor leads to them, they
// cannot be received, and their reference counts never become 0. collect finds them,
// like unix_gc in Linux.
type inFlight struct {
	sockets map[*fs.File]int64 // how often each socket is in flight
	total   int64              // files of all kinds
	collect int64              // total at which a send looks for garbage
	closed  int                // sockets closed since the last collection
}

// leastCollect is the least number of files in flight at which a send looks for
// garbage.
const leastCollect = 1024

func newInFlight() inFlight {
	return inFlight{sockets: make(map[*fs.File]int64), collect: leastCollect}
}

// checkInFlight checks that the caller's user may send more files. Error:
// ETOOMANYREFS (unix(7)).
func (d *domain) checkInFlight(c *cred.Credentials, limit uint64) error {
	held := d.accounts.Held(c.UID, fs.FilesInFlight)
	if uint64(held) > limit && !c.ExemptFromUserLimits() {
		return unix.ETOOMANYREFS
	}
	return nil
}

// addInFlight counts the files of a message that enters a queue. d.mu is held.
func (d *domain) addInFlight(m *message) {
	if len(m.files) == 0 {
		return
	}
	d.count(m, 1)
}

// detachFiles takes the files out of a message that leaves a queue. d.mu is held.
func (d *domain) detachFiles(m *message) []*fs.File {
	files := m.files
	if len(files) == 0 {
		return nil
	}
	d.count(m, -1)
	m.files = nil
	return files
}

// count adds n for each file of the message.
func (d *domain) count(m *message, n int64) {
	all := n * int64(len(m.files))
	d.inFlight.total += all
	d.accounts.Charge(m.uid, fs.FilesInFlight, all)
	for _, f := range m.files {
		if Of(f) == nil {
			continue
		}
		if d.inFlight.sockets[f] += n; d.inFlight.sockets[f] == 0 {
			delete(d.inFlight.sockets, f)
		}
	}
}

// collectIfMany is collect if the number of files in flight has doubled since the
// last time.
func (d *domain) collectIfMany() {
	d.mu.Lock()
	many := d.inFlight.total >= d.inFlight.collect
	d.mu.Unlock()
	if many {
		d.collect()
	}
}

// collectAfterClose is collect after one socket was closed, or after several if many
// sockets are in flight: a collection visits all of them.
func (d *domain) collectAfterClose() {
	const sharePerClose = 64
	d.mu.Lock()
	d.inFlight.closed++
	due := len(d.inFlight.sockets) > 0 && d.inFlight.closed > len(d.inFlight.sockets)/sharePerClose
	d.mu.Unlock()
	if due {
		d.collect()
	}
}

// collect drops the files in flight to unreachable sockets. The caller holds no
// lock.
func (d *domain) collect() { dropAll(d.garbage()) }

// garbage takes the files out of the queues of unreachable sockets.
func (d *domain) garbage() []*fs.File {
	d.mu.Lock()
	defer d.mu.Unlock()
	var files []*fs.File
	for _, s := range d.unreachable() {
		for m := range s.queued() {
			files = append(files, d.detachFiles(m)...)
		}
	}
	d.inFlight.collect = max(leastCollect, 2*d.inFlight.total)
	d.inFlight.closed = 0
	return files
}

// unreachable returns the sockets to which all references are in flight, and
// only to each other. No reference to them can be added meanwhile: that needs
// another reference, or d.mu to receive one. d.mu is held.
func (d *domain) unreachable() []*Socket {
	// outside counts the references from messages that are not in flight to a
	// candidate.
	outside := make(map[*fs.File]int64)
	for f, n := range d.inFlight.sockets {
		if f.References() == n {
			outside[f] = n
		}
	}
	candidate := func(f *fs.File) bool { _, is := outside[f]; return is }
	for f := range outside {
		for g := range Of(f).carried() {
			if candidate(g) {
				outside[g]--
			}
		}
	}
	var reached []*fs.File
	for f, n := range outside {
		if n > 0 {
			reached = append(reached, f)
		}
	}
	for _, f := range reached {
		delete(outside, f)
	}
	for len(reached) > 0 {
		last := len(reached) - 1
		f := reached[last]
		reached = reached[:last]
		for g := range Of(f).carried() {
			if candidate(g) {
				delete(outside, g)
				reached = append(reached, g)
			}
		}
	}
	var sockets []*Socket
	for f := range outside {
		sockets = append(sockets, Of(f))
	}
	return sockets
}

// queued yields the messages in the queue of s, and in those of the connections
// that s has not accepted. domain.mu is held.
func (s *Socket) queued() func(yield func(*message) bool) {
	return func(yield func(*message) bool) {
		for _, m := range s.incoming {
			if !yield(m) {
				return
			}
		}
		for _, waiting := range s.pending {
			for _, m := range waiting.incoming {
				if !yield(m) {
					return
				}
			}
		}
	}
}

// carried yields the files in flight to s. domain.mu is held.
func (s *Socket) carried() func(yield func(*fs.File) bool) {
	return func(yield func(*fs.File) bool) {
		for m := range s.queued() {
			for _, f := range m.files {
				if !yield(f) {
					return
				}
			}
		}
	}
}
