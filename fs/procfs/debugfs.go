package procfs

import (
	"golang.org/x/sys/unix"

	"slowpath/fs"
)

// Debugfs implements /sys/kernel/debug. It has only the directory on which tracefs is
// mounted, where older tools look for it.
type Debugfs struct{ Filesystem }

// NewDebugfs returns a debugfs.
func NewDebugfs() *Debugfs {
	d := &Debugfs{}
	d.root = d.fixed(fs.NewNode{Mode: unix.S_IFDIR | 0o700}, []entry{d.directoryEntry("tracing")})
	return d
}

// Type implements fs.Filesystem.
func (d *Debugfs) Type() string { return "debugfs" }

// Statistics implements fs.Filesystem. The magic is DEBUGFS_MAGIC.
func (d *Debugfs) Statistics() fs.Statistics {
	return fs.Statistics{Magic: 0x64626720, BlockSize: 4096, MaxName: fs.MaxNameLength}
}
