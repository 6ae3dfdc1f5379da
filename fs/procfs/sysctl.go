package procfs

import (
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
	"slowpath/sysctl"
)

// sysctlDirectory returns the entry of /proc/sys: a directory tree with one file
// for each row.
func (f *Filesystem) sysctlDirectory() entry {
	return f.sysctlTree("sys", "", append(f.ownSysctls(), f.system.Sysctls()...))
}

// sysctlTree returns the entry of the directory with the rows whose names begin
// with prefix.
func (f *Filesystem) sysctlTree(name, prefix string, rows []sysctl.Row) entry {
	var entries []entry
	made := make(map[string]bool)
	for i := range rows {
		rest, below := strings.CutPrefix(rows[i].Name, prefix)
		if !below {
			continue
		}
		first, _, isDirectory := strings.Cut(rest, "/")
		switch {
		case !isDirectory:
			entries = append(entries, f.sysctlEntry(rest, &rows[i]))
		case !made[first]:
			made[first] = true
			entries = append(entries, f.sysctlTree(first, prefix+first+"/", rows))
		}
	}
	return f.directoryEntry(name, entries...)
}

// ownSysctls returns the rows whose values this package or an imported one has.
func (f *Filesystem) ownSysctls() []sysctl.Row {
	text := func(name string, value func(i *SystemInfo) string) sysctl.Row {
		return sysctl.ConstantText(name, func() string { info := f.system.Info(); return value(&info) })
	}
	return []sysctl.Row{
		text("kernel/ostype", func(*SystemInfo) string { return "Linux" }),
		text("kernel/osrelease", func(i *SystemInfo) string { return i.Release }),
		text("kernel/version", func(i *SystemInfo) string { return i.Version }),
		sysctl.ConstantText("kernel/arch", func() string { return "x86_64" }),
		sysctl.Constant("kernel/ngroups_max", cred.MaxGroups),
		sysctl.Constant("kernel/cap_last_cap", int64(cred.LastCapability)),
		sysctl.ConstantText("kernel/random/boot_id", f.bootID),
		sysctl.ConstantText("kernel/random/uuid", f.newUUID),
		// In bits. The pool is always full after it was seeded (random(4)).
		sysctl.Constant("kernel/random/entropy_avail", 256),
		sysctl.Constant("kernel/random/poolsize", 256),
	}
}

// sysctlEntry returns the entry of one file of /proc/sys.
func (f *Filesystem) sysctlEntry(name string, row *sysctl.Row) entry {
	return entry{name: name, mode: unix.S_IFREG | row.Mode, make: func(n fs.NewNode) fs.Inode {
		i := &sysctlInode{row: row}
		i.Init(&f.numbers, n)
		return i
	}}
}

// sysctlInode is a file of /proc/sys.
type sysctlInode struct {
	fs.InodeBase
	row *sysctl.Row
}

// PermitAccess implements fs.AccessRule: EACCES. The owner's bits are for user 0,
// the group's for group 0. No capability overrides them (Linux: sysctl_perm).
func (i *sysctlInode) PermitAccess(caller fs.Caller, want fs.Permission, _ error) error {
	if i.permits(caller.Credentials(), want) {
		return nil
	}
	return unix.EACCES
}

func (i *sysctlInode) permits(c *cred.Credentials, want fs.Permission) bool {
	granted := i.row.Mode
	switch {
	case c.EUID == 0:
		granted >>= 6
	case c.EGID == 0 || c.InGroup(0):
		granted >>= 3
	}
	return uint32(want)&^granted == 0
}

// Change implements fs.Inode. Truncation succeeds and changes nothing, because
// programs open these files with O_TRUNC. Errors: EPERM.
func (i *sysctlInode) Change(c fs.Changes) error {
	if c.Mask == fs.ChangeSize {
		return nil
	}
	return unix.EPERM
}

// Open implements fs.Inode.
func (i *sysctlInode) Open(r fs.OpenRequest) (fs.FileOperations, error) {
	f := &sysctlFile{inode: i, opener: r.Caller.Credentials()}
	f.Contents = func(fs.Caller) ([]byte, error) { return []byte(i.row.Value.Format() + "\n"), nil }
	return f, nil
}

// sysctlFile is an open file of /proc/sys.
type sysctlFile struct {
	fs.BytesFile
	inode  *sysctlInode
	opener *cred.Credentials
}

// Write implements fs.FileOperations. The writer needs the permission too, not only
// the opener: EPERM.
func (f *sysctlFile) Write(_ *fs.File, src fs.Source, offset int64) (int, int64, error) {
	writer := f.opener
	if caller := fs.CallerOf(src); caller != nil {
		writer = caller.Credentials()
	}
	row := f.inode.row
	if !f.inode.permits(writer, fs.MayWrite) || row.Capability != 0 && !writer.Has(cred.Capability(row.Capability)) {
		return 0, offset, unix.EPERM
	}
	p, err := fs.GetAll(src, maxStore)
	if err != nil {
		return 0, offset, err
	}
	n, err := row.Value.Store(string(p), offset)
	return n, offset + int64(n), err
}
