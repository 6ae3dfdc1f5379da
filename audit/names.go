package audit

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/fs"
)

// nameKind is the type of a name in a record (AUDIT_TYPE_NORMAL and so on).
type nameKind uint8

const (
	unknownName nameKind = iota // no file was found yet
	normalName
	parentName // the directory of a name that is created or removed
	deletedName
	createdName
)

// nameKinds has their texts.
var nameKinds = [...]string{
	unknownName: "UNKNOWN", normalName: "NORMAL", parentName: "PARENT", deletedName: "DELETE", createdName: "CREATE",
}

// whole is the length of a name that is shown completely.
const whole = -1

// nameRecord is one name that a call has used, or the file to which it has led (Linux:
// struct audit_names).
type nameRecord struct {
	kind    nameKind
	given   bool // the name is known
	passed  bool // the program has passed the name
	known   bool // file is valid
	address uint64
	name    string
	length  int // of the part of the name that is shown: whole, or that of its directory
	file    fs.Attributes
	// parent is the directory of an entry that was created or deleted, and base the name
	// of the entry.
	parent fileID
	base   string
}

// inode returns the inode number, or -1 if no file was found.
func (n *nameRecord) inode() uint64 {
	if !n.known {
		return ^uint64(0)
	}
	return n.file.Inode
}

func (n *nameRecord) id() fileID { return idIn(&n.file) }

// fewNames is the number of names that a call may have without a look at the memory. Like
// Linux, a call may have more, and names for which there is no memory are left out.
const (
	fewNames  = 20
	nameBytes = 512 // about what a name takes
)

// collects reports whether the names of the current call are collected.
func (x *context) collects() bool { return x.phase == inCall && !x.dummy }

// newName appends a name.
func (x *context) newName(kind nameKind) *nameRecord {
	if len(x.names) >= fewNames && x.audit.kernel.Memory().Admit(nameBytes) != nil {
		return nil
	}
	if len(x.names) == 0 && x.task.FS != nil {
		x.directory = x.task.FS.Directory()
	}
	x.touched = true
	x.names = append(x.names, nameRecord{kind: kind, length: whole})
	return &x.names[len(x.names)-1]
}

// Named implements fs.NameWatcher.
func (x *context) Named(address uint64, name string) {
	if !x.collects() || name == "" {
		return
	}
	for i := range x.names {
		if n := &x.names[i]; n.passed && n.address == address {
			return // the same string, as for both names of a rename to itself
		}
	}
	if n := x.newName(unknownName); n != nil {
		n.given, n.passed, n.address, n.name = true, true, address, name
	}
}

// Resolved implements fs.NameWatcher (Linux: audit_inode).
func (x *context) Resolved(name string, p fs.Path) {
	if x.collects() {
		x.resolved(name, p, normalName)
	}
}

// ResolvedParent implements fs.NameWatcher.
func (x *context) ResolvedParent(name string, directory fs.Path) {
	if x.collects() {
		x.resolved(name, directory, parentName)
	}
}

func (x *context) resolved(name string, p fs.Path, kind nameKind) {
	file := p.Inode().Attributes()
	if x.excludes(p) {
		return
	}
	n := x.nameFor(name, &file, kind)
	if n == nil {
		return
	}
	n.kind, n.length = kind, whole
	if kind == parentName {
		n.length = parentLength(n.name)
	}
	n.file, n.known = file, true
	x.addAbove(p)
}

// nameFor returns the record of a name that has led to a file: that of the name that the
// program has passed, that of the same file, or a new one.
func (x *context) nameFor(name string, file *fs.Attributes, kind nameKind) *nameRecord {
	fits := func(n *nameRecord) bool {
		if kind == parentName {
			return n.kind == parentName || n.kind == unknownName
		}
		return n.kind != parentName
	}
	for i := range x.names {
		if n := &x.names[i]; n.passed && n.name == name && fits(n) {
			return n
		}
	}
	id := idIn(file)
	for i := len(x.names) - 1; i >= 0; i-- {
		if n := &x.names[i]; n.known && n.id() == id && fits(n) {
			return n
		}
	}
	n := x.newName(unknownName)
	if n != nil && name != "" {
		n.given, n.name = true, name
	}
	return n
}

// SocketAddress is called with a socket address that the program has passed or gets.
func (x *context) SocketAddress(p []byte) {
	if x.collects() && len(p) > 0 {
		x.touched, x.address = true, append(x.address[:0], p...)
	}
}

// DescriptorPair is called with the descriptors of pipe(2) and socketpair(2).
func (x *context) DescriptorPair(first, second int) {
	if x.collects() {
		x.add(unix.AUDIT_FD_PAIR, "fd0=%d fd1=%d", first, second)
	}
}

// OpenHow is called with the argument of openat2(2).
func (x *context) OpenHow(flags, mode, resolve uint64) {
	if x.collects() {
		x.touched, x.how = true, flags
		x.add(unix.AUDIT_OPENAT2, "oflag=0%o mode=0%o resolve=0x%x", flags, mode, resolve)
	}
}

// FileMapped is called with the descriptor and the flags of mmap(2) for a file, also if the
// descriptor is bad (Linux: audit_mmap_fd).
func (x *context) FileMapped(fd int, flags uint32) {
	if x.collects() {
		x.add(unix.AUDIT_MMAP, "fd=%d flags=0x%x", fd, flags)
	}
}

// CapabilitiesSet is called after a successful capset(2) (Linux: audit_log_capset).
func (x *context) CapabilitiesSet() {
	if x.collects() {
		c := x.task.Credentials()
		x.add(unix.AUDIT_CAPSET, "pid=%d%s%s%s%s", x.task.ProcessID(), capabilities("cap_pi", uint64(c.Inheritable)),
			capabilities("cap_pp", uint64(c.Permitted)), capabilities("cap_pe", uint64(c.Effective)), capabilities("cap_pa", uint64(c.Ambient)))
	}
}

// add adds a record that is written with the call.
func (x *context) add(kind uint16, format string, arguments ...any) {
	x.touched = true
	x.more = append(x.more, extra{kind, fmt.Sprintf(format, arguments...)})
}

// EntryCreated implements fs.NameWatcher (Linux: audit_inode_child).
func (x *context) EntryCreated(directory fs.Path, name string, inode fs.Inode) {
	x.entry(directory, name, inode, createdName)
}

// EntryDeleted implements fs.NameWatcher.
func (x *context) EntryDeleted(directory fs.Path, name string, inode fs.Inode) {
	x.entry(directory, name, inode, deletedName)
}

func (x *context) entry(directory fs.Path, name string, inode fs.Inode, kind nameKind) {
	if !x.collects() || x.excludes(directory) {
		return
	}
	parentFile := directory.Inode().Attributes()
	parent := x.findParent(name, &parentFile)
	length, parentText, given := whole, "", parent != nil
	if parent != nil {
		length, parentText = parent.length, parent.name
	}
	child := x.findChild(name, length, kind)
	if parent == nil {
		n := x.newName(parentName)
		if n == nil {
			return
		}
		n.file, n.known = parentFile, true
	}
	if child == nil {
		if child = x.newName(kind); child == nil {
			return
		}
		child.given, child.name = given, parentText
	}
	child.parent, child.base = idIn(&parentFile), name
	if inode == nil {
		child.known = false
		return
	}
	child.file, child.known = inode.Attributes(), true
	x.addAbove(directory)
	x.addAboveID(child.id())
}

// findParent returns the record of the directory of an entry.
func (x *context) findParent(entry string, file *fs.Attributes) *nameRecord {
	id := idIn(file)
	for i := range x.names {
		n := &x.names[i]
		if !n.given || n.kind != parentName && n.kind != unknownName || !n.known {
			continue
		}
		if n.id() == id && endsIn(n.name, entry, n.length) {
			n.kind = parentName
			return n
		}
	}
	return nil
}

// findChild returns the record of an entry.
func (x *context) findChild(entry string, length int, kind nameKind) *nameRecord {
	for i := range x.names {
		n := &x.names[i]
		if !n.given || n.kind != kind && n.kind != unknownName {
			continue
		}
		if n.name == entry || endsIn(n.name, entry, length) {
			n.kind = kind
			return n
		}
	}
	return nil
}

// endsIn reports whether entry is the last component of a path (Linux:
// audit_compare_dname_path). length is that of its directory, or whole.
func endsIn(path, entry string, length int) bool {
	if length == whole {
		length = parentLength(path)
	}
	return len(path)-length >= 0 && strings.TrimRight(path[length:], "/") == entry
}

// parentLength returns the length of the directory part of a path, with its last slash
// (Linux: parent_len).
func parentLength(path string) int {
	if path == "" {
		return 0
	}
	trimmed := strings.TrimRight(path, "/")
	return strings.LastIndexByte(trimmed, '/') + 1
}

// parentOf returns the path of the directory of an absolute path.
func parentOf(path string) string { return path[:max(parentLength(path), 1)] }

// excludes reports whether a rule of the list "filesystem" excludes the file system of a
// path.
func (x *context) excludes(p fs.Path) bool {
	rules := x.audit.rules.Load().lists[unix.AUDIT_FILTER_FS]
	if len(rules) == 0 {
		return false
	}
	magic := uint32(p.Statistics().Magic)
	for _, r := range rules {
		for i := range r.fields {
			f := &r.fields[i]
			if f.kind == unix.AUDIT_FSTYPE && r.action == unix.AUDIT_NEVER && f.op.compare(magic, f.value) {
				return true
			}
		}
	}
	return false
}

// addAbove notes a path and the directories above it in its file system, for rules with dir=.
func (x *context) addAbove(p fs.Path) {
	if x.audit.rules.Load().files {
		p.Parents(func(i fs.Inode) { x.addAboveID(idOf(i)) })
	}
}

// maxAbove bounds the files that addAbove notes.
const maxAbove = 1024

func (x *context) addAboveID(id fileID) {
	if len(x.above) < maxAbove && x.audit.rules.Load().files {
		x.touched = true
		x.above = append(x.above, id)
	}
}

// watches reports whether a name is the file with a path, or was it until it was deleted.
func (x *context) watches(n *nameRecord, path string) bool {
	if id, ok := lookUp(x.task, path); ok && n.known && n.id() == id {
		return true
	}
	if n.base == "" || path[parentLength(path):] != n.base {
		return false
	}
	id, ok := lookUp(x.task, parentOf(path))
	return ok && id == n.parent
}

// anyName reports whether match is true for a name of the call.
func (x *context) anyName(match func(n *nameRecord) bool) bool {
	for i := range x.names {
		if match(&x.names[i]) {
			return true
		}
	}
	return false
}
