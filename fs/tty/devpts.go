package tty

import (
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"slowpath/fs"
)

// ttyGroup is the group of the slaves of pseudo terminals ("tty" in Debian).
const ttyGroup = 5

// maxTerminals is the maximum number of pseudo terminals
// (/proc/sys/kernel/pty/max).
const maxTerminals = 4096

// PTS implements the file system devpts, with an entry for each pseudo terminal.
type PTS struct {
	numbers fs.Numbers
	root    *ptsRoot
	control JobControl

	mu      sync.Mutex
	entries map[int]*slaveNode
}

// NewPTS returns an empty devpts.
func NewPTS(control JobControl) *PTS {
	p := &PTS{control: control, entries: make(map[int]*slaveNode)}
	p.root = &ptsRoot{pts: p}
	p.root.Init(&p.numbers, fs.NewNode{Mode: unix.S_IFDIR | 0o755})
	p.root.SetVolatile()
	p.root.ptmx = &ptmxNode{}
	p.root.ptmx.Init(&p.numbers, fs.NewNode{Mode: unix.S_IFCHR | 0o666, Rdev: fs.DeviceNumber(5, 2)})
	return p
}

// Type implements fs.Filesystem.
func (p *PTS) Type() string { return "devpts" }

// Root implements fs.Filesystem.
func (p *PTS) Root() fs.Inode { return p.root }

// Statistics implements fs.Filesystem. The magic is DEVPTS_SUPER_MAGIC.
func (p *PTS) Statistics() fs.Statistics {
	return fs.Statistics{Magic: 0x1cd1, BlockSize: 4096, MaxName: fs.MaxNameLength}
}

// OpenMaster opens /dev/ptmx (ptmx(4)). It makes a pseudo terminal with the
// lowest free number. The caller owns the slave. It fails with ENOSPC if there
// are too many.
func (p *PTS) OpenMaster(_ fs.Inode, r fs.OpenRequest) (fs.FileOperations, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	index := 0
	for p.entries[index] != nil {
		index++
	}
	if index == maxTerminals {
		return nil, unix.ENOSPC
	}
	c := r.Caller.Credentials()
	n := &slaveNode{master: newMaster(p, index, p.control)}
	n.InitWithNumber(&p.numbers, uint64(index)+3, fs.NewNode{
		Mode: unix.S_IFCHR | 0o620, Rdev: n.master.slave.number, UID: c.FSUID, GID: ttyGroup,
	})
	p.entries[index] = n
	return n.master, nil
}

func (p *PTS) remove(index int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.entries, index)
}

func (p *PTS) indexes() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []int
	for i := range p.entries {
		all = append(all, i)
	}
	slices.Sort(all)
	return all
}

// slaveNode is /dev/pts/N.
type slaveNode struct {
	fs.InodeBase
	master *master
}

// Open implements fs.Inode.
func (n *slaveNode) Open(r fs.OpenRequest) (fs.FileOperations, error) { return n.master.openSlave(r) }

// ptmxNode is /dev/pts/ptmx.
type ptmxNode struct{ fs.InodeBase }

// Open implements fs.Inode.
func (n *ptmxNode) Open(r fs.OpenRequest) (fs.FileOperations, error) { return r.OpenSpecial(n) }

// ptsRoot is the root directory of a devpts.
type ptsRoot struct {
	fs.InodeBase
	pts  *PTS
	ptmx *ptmxNode
}

// Lookup implements fs.Inode.
func (d *ptsRoot) Lookup(_ fs.Caller, name string) (fs.Inode, error) {
	if name == "ptmx" {
		return d.ptmx, nil
	}
	index, err := strconv.Atoi(name)
	if err != nil || strconv.Itoa(index) != name {
		return nil, unix.ENOENT
	}
	d.pts.mu.Lock()
	defer d.pts.mu.Unlock()
	n := d.pts.entries[index]
	if n == nil {
		return nil, unix.ENOENT
	}
	return n, nil
}

// Open implements fs.Inode.
func (d *ptsRoot) Open(fs.OpenRequest) (fs.FileOperations, error) {
	return fs.DirectoryFile{List: d.list}, nil
}

func (d *ptsRoot) list(position int64, emit func(fs.DirectoryEntry) bool) error {
	if position <= fs.FirstPosition && !emit(fs.DirectoryEntry{Name: "ptmx", Inode: d.ptmx.Number(), Type: unix.S_IFCHR, Next: fs.FirstPosition + 1}) {
		return nil
	}
	for _, i := range d.pts.indexes() {
		next := fs.FirstPosition + 2 + int64(i)
		if next <= position {
			continue
		}
		if !emit(fs.DirectoryEntry{Name: strconv.Itoa(i), Inode: uint64(i) + 3, Type: unix.S_IFCHR, Next: next}) {
			break
		}
	}
	return nil
}
