package fs

import (
	"sync"
	"sync/atomic"
)

// cachedContents keeps the text of a BytesFile between reads, because a program
// that reads in pieces must get pieces of the same text.
type cachedContents struct {
	mu     sync.Mutex
	text   []byte
	loaded bool
	size   atomic.Int64 // of text; HeldMemory reads it without the lock
}

// textRoom is what must be free, in bytes, before a text is generated.
const textRoom = 256 << 10

func (b *BytesFile) contents(caller Caller, offset int64) ([]byte, error) {
	b.cache.mu.Lock()
	defer b.cache.mu.Unlock()
	if b.cache.loaded && offset != 0 {
		return b.cache.text, nil
	}
	b.keep(nil)
	if err := b.Memory.Reserve(textRoom); err != nil {
		return nil, err
	}
	defer b.Memory.Unreserve(textRoom)
	text, err := b.Contents(caller)
	if err != nil {
		return nil, err
	}
	if err := b.Memory.Admit(0); err != nil {
		return nil, err // the text itself took the room
	}
	b.keep(text)
	b.cache.loaded = true
	return text, nil
}

// keep replaces the text that is kept. b.cache.mu is held.
func (b *BytesFile) keep(text []byte) {
	b.cache.text, b.cache.loaded = text, false
	b.cache.size.Store(int64(len(text)))
}

// HeldMemory implements MemoryHolder.
func (b *BytesFile) HeldMemory() int64 { return b.cache.size.Load() }

// Read implements FileOperations.
func (b *BytesFile) Read(_ *File, dst Sink, offset int64) (int, error) {
	text, err := b.contents(CallerOf(dst), offset)
	if err != nil || offset >= int64(len(text)) {
		return 0, err
	}
	text = text[offset:]
	return PutAll(dst, text[:min(len(text), dst.Remaining())])
}

// Seekable implements FileOperations.
func (b *BytesFile) Seekable() bool { return true }

// SeekFrom implements FileOperations. As in procfs, stat(2) and lseek(2) see a
// file of size 0.
func (b *BytesFile) SeekFrom(current, offset int64, whence int) (int64, error) {
	return SeekTo(current, 0, offset, whence)
}
