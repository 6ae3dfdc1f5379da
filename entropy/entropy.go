// Package entropy is the kernel's source of random bytes: ChaCha8 with a key
// from the hardware, taken anew again and again, so that what was handed out
// before cannot be told from a later state (random(4)).
//
// The standard library's crypto/rand is not used: it brings 32 MiB of memory
// of its own.
package entropy

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
)

// Source hands out random bytes. It is safe for concurrent use.
type Source struct {
	mu       sync.Mutex
	hardware func() uint64
	stream   *rand.ChaCha8
	left     int // bytes until the next key
}

// rekeyAfter is how many bytes one key makes.
const rekeyAfter = 64 << 10

// New returns a source whose keys come from hardware: a function that returns
// 64 bits that nobody can guess.
func New(hardware func() uint64) *Source {
	return &Source{hardware: hardware}
}

// Read fills p. It never fails, does not sleep, and returns len(p), nil, so
// that a Source is an io.Reader.
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

// rekey mixes the hardware's bits with the old stream, so that neither alone
// decides the new key.
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
