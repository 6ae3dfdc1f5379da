// Package entropy is the kernel's random number generator (random(4)): ChaCha8
// with a key from the hardware. The key is renewed after every 64 KiB, so that a
// later state does not reveal earlier output.
//
// The standard library's crypto/rand is not used, because it takes 32 MiB of
// memory.
package entropy

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
)

// Source generates random bytes. It is safe for concurrent use.
type Source struct {
	mu       sync.Mutex
	hardware func() uint64
	stream   *rand.ChaCha8
	left     int // bytes until rekey
}

// rekeyAfter is the number of bytes that one key generates.
const rekeyAfter = 64 << 10

// New returns a source that takes its keys from hardware, which returns 64
// unpredictable bits. hardware is called with the source's lock held.
func New(hardware func() uint64) *Source {
	return &Source{hardware: hardware}
}

// Read fills p and returns len(p), nil (io.Reader). It does not sleep, except for
// the lock.
func (s *Source) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for done := 0; done < len(p); {
		if s.left == 0 {
			s.rekey()
		}
		n := min(len(p)-done, s.left)
		s.stream.Read(p[done : done+n])
		done += n
		s.left -= n
	}
	return len(p), nil
}

// rekey derives the new key from both the hardware's bits and the old stream, so
// that a weakness of one does not expose the key.
func (s *Source) rekey() {
	var key [32]byte
	if s.stream != nil {
		s.stream.Read(key[:])
	}
	for i := 0; i < len(key); i += 8 {
		word := binary.LittleEndian.Uint64(key[i:])
		binary.LittleEndian.PutUint64(key[i:], word^s.hardware())
	}
	s.stream = rand.NewChaCha8(key)
	s.left = rekeyAfter
}
