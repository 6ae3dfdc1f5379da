package devfs

import (
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/fs"
	"slowpath/mm"
)

// null is /dev/null: writes are discarded, and reads return end of file.
type null struct{ fs.FileBase }

// Read implements fs.FileOperations. It returns end of file.
func (null) Read(*fs.File, fs.Sink, int64) (int, error) { return 0, nil }

// Write implements fs.FileOperations.
func (null) Write(_ *fs.File, src fs.Source, offset int64) (int, int64, error) {
	n := src.Remaining()
	return n, offset + int64(n), nil
}

// Seekable implements fs.FileOperations.
func (null) Seekable() bool { return true }

// Positionless implements fs.Positionless.
func (null) Positionless() {}

// SeekFrom implements fs.FileOperations. It always returns offset 0.
func (null) SeekFrom(int64, int64, int) (int64, error) { return 0, nil }

// zeros is the source of reads from /dev/zero.
var zeros [4096]byte

// zero is /dev/zero.
type zero struct{ null }

// Read implements fs.FileOperations.
func (zero) Read(_ *fs.File, dst fs.Sink, _ int64) (int, error) {
	total := 0
	for dst.Remaining() > 0 {
		n, err := dst.Put(zeros[:min(len(zeros), dst.Remaining())])
		total += n
		if err != nil || n == 0 {
			return fs.Moved(total, err)
		}
		fs.Pause(dst, total, n)
	}
	return total, nil
}

// Mappable implements fs.FileOperations: a mapping of /dev/zero is anonymous
// memory.
func (zero) Mappable() (mm.Mappable, error) { return nil, nil }

// full is /dev/full: reads return zeros, and writes fail as on a full disk
// (full(4)).
type full struct{ zero }

// Mappable implements fs.FileOperations: ENODEV.
func (full) Mappable() (mm.Mappable, error) { return nil, unix.ENODEV }

// Write implements fs.FileOperations. It fails with ENOSPC.
func (full) Write(_ *fs.File, src fs.Source, offset int64) (int, int64, error) {
	return 0, offset, unix.ENOSPC
}

// random is /dev/random and /dev/urandom. They behave the same after the random
// number generator was seeded (random(4)), which happens at boot.
type random struct {
	null
	fill func([]byte)
}

// Read implements fs.FileOperations.
func (r random) Read(_ *fs.File, dst fs.Sink, _ int64) (int, error) {
	buffer := make([]byte, min(4096, dst.Remaining()))
	total := 0
	for dst.Remaining() > 0 {
		p := buffer[:min(len(buffer), dst.Remaining())]
		r.fill(p)
		n, err := dst.Put(p)
		total += n
		if err != nil || n < len(p) {
			return fs.Moved(total, err)
		}
		fs.Pause(dst, total, n)
	}
	return total, nil
}

// Write implements fs.FileOperations. The bytes are read, because a fault ends the write,
// and discarded: the generator needs no more of them.
func (r random) Write(_ *fs.File, src fs.Source, offset int64) (int, int64, error) {
	buffer := make([]byte, min(4096, src.Remaining()))
	total := 0
	for src.Remaining() > 0 {
		n, err := src.Get(buffer[:min(len(buffer), src.Remaining())])
		total += n
		if err != nil || n == 0 {
			total, err = fs.Moved(total, err)
			return total, offset + int64(total), err
		}
	}
	return total, offset + int64(total), nil
}

// Requests of random(4), from linux/random.h, and the pool size in bits.
const (
	requestEntropyCount = 0x80045200 // RNDGETENTCNT
	poolBits            = 256
)

// Ioctl implements fs.FileOperations.
func (r random) Ioctl(_ *fs.File, caller fs.Caller, request uint32, argument uint64) (uint64, error) {
	if request != requestEntropyCount {
		return 0, unix.EINVAL
	}
	return 0, abi.CopyOut(caller, argument, int32(poolBits))
}

// kmsg is /dev/kmsg. A line written to it is added to the kernel log.
type kmsg struct {
	fs.BytesFile
	log func(string)
}

func newKmsg(c Config) *kmsg {
	k := &kmsg{log: c.Log}
	if c.ReadLog != nil {
		k.Contents = func(fs.Caller) ([]byte, error) { return c.ReadLog(), nil }
	}
	return k
}

// maxLogLine is the maximum length of a line for the log, in bytes.
const maxLogLine = 1024

// Read implements fs.FileOperations.
func (k *kmsg) Read(f *fs.File, dst fs.Sink, offset int64) (int, error) {
	if k.Contents == nil {
		return 0, nil
	}
	return k.BytesFile.Read(f, dst, offset)
}

// Write implements fs.FileOperations.
func (k *kmsg) Write(_ *fs.File, src fs.Source, offset int64) (int, int64, error) {
	if src.Remaining() > maxLogLine {
		return 0, offset, unix.EINVAL
	}
	line, err := fs.GetAll(src, maxLogLine)
	if err != nil {
		return 0, offset, err
	}
	if k.log != nil {
		k.log(strings.TrimRight(string(line), "\n"))
	}
	return len(line), offset + int64(len(line)), nil
}
