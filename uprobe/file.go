package uprobe

import (
	"io"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/mm"
	"slowpath/mm/frame"
	"slowpath/uprobe/insn"
)

// object is a file as its mappings see it. It is comparable, and the same for every open
// file of an inode.
type object struct {
	memory  *mm.Memory
	mapped  mm.Mappable
	regular fs.Inode
}

// objectOf returns the object of an open file. Errors: EINVAL if it is not a regular file,
// EIO if it cannot be mapped.
func objectOf(m *mm.Memory, f *fs.File) (object, error) {
	if a := f.Attributes(); !a.IsRegular() {
		return object{}, unix.EINVAL
	}
	mapped, err := f.Operations().Mappable()
	if err != nil || mapped == nil {
		return object{}, unix.EIO
	}
	return object{m, mapped, f.Inode()}, nil
}

// size returns the size of the file in bytes.
func (o object) size() uint64 {
	a := o.regular.Attributes()
	return uint64(a.Size)
}

// ReadAt implements io.ReaderAt on the pages in memory. It does not need the access mode of
// the file. A hole reads as zeros.
func (o object) ReadAt(p []byte, offset int64) (int, error) {
	size := int64(o.size())
	n := 0
	for n < len(p) && offset < size {
		within := offset % mm.PageSize
		step := int(min(int64(len(p)-n), mm.PageSize-within, size-offset))
		o.readPage(p[n:n+step], uint64(offset/mm.PageSize), within)
		n += step
		offset += int64(step)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// readPage copies bytes of one page.
func (o object) readPage(p []byte, index uint64, within int64) {
	var cached [1]frame.Number
	o.mapped.CachedPages(index, cached[:])
	if cached[0] == frame.None {
		clear(p)
		return
	}
	defer o.memory.Put(cached[0])
	copy(p, o.memory.Bytes(cached[0])[within:])
}

// instruction decodes the instruction at an offset. Errors: EINVAL beyond the end of the
// file, EIO at its end, ENOEXEC if the file ends within the instruction, ENOTSUPP if it
// cannot be probed.
func (o object) instruction(offset uint64) (insn.Instruction, error) {
	if offset > o.size() {
		return insn.Instruction{}, unix.EINVAL
	}
	var code [insn.MaxLength]byte
	n, _ := o.ReadAt(code[:], int64(offset))
	if n == 0 {
		return insn.Instruction{}, unix.EIO
	}
	i, err := insn.Decode(code[:n])
	if err == insn.ErrTruncated {
		return i, unix.ENOEXEC
	}
	if err != nil || i.Steppable() != nil || mustEmulate(&i) && !i.Emulated() {
		return i, ENOTSUPP
	}
	return i, nil
}

// mustEmulate reports whether an instruction cannot be executed out of line, because it
// changes RIP or depends on TF.
func mustEmulate(i *insn.Instruction) bool {
	return i.IsReturn() || i.IsCall() || i.IsJump()
}
