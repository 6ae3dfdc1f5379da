package decode

import (
	"golang.org/x/sys/unix"

	"slowpath/tracespec"
)

var (
	accessFlags = names("?_OK", "F_OK 0 R_OK 4 W_OK 2 X_OK 1")
	atFlags     = names("AT_???", "AT_SYMLINK_NOFOLLOW 0x100 AT_REMOVEDIR 0x200 AT_SYMLINK_FOLLOW 0x400 AT_NO_AUTOMOUNT 0x800 AT_EMPTY_PATH 0x1000 AT_RECURSIVE 0x8000")
	eaccessAt   = names("AT_???", "AT_SYMLINK_NOFOLLOW 0x100 AT_EACCESS 0x200 AT_EMPTY_PATH 0x1000")
	renameFlags = names("RENAME_???", "RENAME_NOREPLACE 1 RENAME_EXCHANGE 2 RENAME_WHITEOUT 4")
	resolve     = names("RESOLVE_???", "RESOLVE_NO_XDEV 1 RESOLVE_NO_MAGICLINKS 2 RESOLVE_NO_SYMLINKS 4 RESOLVE_BENEATH 8 RESOLVE_IN_ROOT 0x10 RESOLVE_CACHED 0x20")
	mountFlags  = names("MS_???", `MS_RDONLY 1 MS_NOSUID 2 MS_NODEV 4 MS_NOEXEC 8 MS_SYNCHRONOUS 0x10 MS_REMOUNT 0x20 MS_MANDLOCK 0x40 MS_DIRSYNC 0x80
		MS_NOSYMFOLLOW 0x100 MS_NOATIME 0x400 MS_NODIRATIME 0x800 MS_BIND 0x1000 MS_MOVE 0x2000 MS_REC 0x4000 MS_SILENT 0x8000 MS_POSIXACL 0x10000
		MS_UNBINDABLE 0x20000 MS_PRIVATE 0x40000 MS_SLAVE 0x80000 MS_SHARED 0x100000 MS_RELATIME 0x200000 MS_KERNMOUNT 0x400000
		MS_I_VERSION 0x800000 MS_STRICTATIME 0x1000000 MS_LAZYTIME 0x2000000 MS_SUBMOUNT 0x4000000 MS_NOREMOTELOCK 0x8000000 MS_NOSEC 0x10000000
		MS_BORN 0x20000000 MS_ACTIVE 0x40000000 MS_NOUSER 0x80000000`)
	umountFlags = names("MNT_???", "MNT_FORCE 1 MNT_DETACH 2 MNT_EXPIRE 4 UMOUNT_NOFOLLOW 8")
	xattrFlags  = names("XATTR_???", "XATTR_CREATE 1 XATTR_REPLACE 2")
	statxMasks  = names("STATX_???", `STATX_ALL 0xfff STATX_BASIC_STATS 0x7ff STATX_TYPE 1 STATX_MODE 2 STATX_NLINK 4 STATX_UID 8 STATX_GID 0x10 STATX_ATIME 0x20
		STATX_MTIME 0x40 STATX_CTIME 0x80 STATX_INO 0x100 STATX_SIZE 0x200 STATX_BLOCKS 0x400 STATX_BTIME 0x800 STATX_MNT_ID 0x1000 STATX_DIOALIGN 0x2000`)
	statxSync  = names("", "AT_STATX_SYNC_AS_STAT 0 AT_STATX_FORCE_SYNC 0x2000 AT_STATX_DONT_SYNC 0x4000")
	statxAttrs = names("STATX_ATTR_???", `STATX_ATTR_COMPRESSED 4 STATX_ATTR_IMMUTABLE 0x10 STATX_ATTR_APPEND 0x20 STATX_ATTR_NODUMP 0x40 STATX_ATTR_ENCRYPTED 0x800
		STATX_ATTR_AUTOMOUNT 0x1000 STATX_ATTR_MOUNT_ROOT 0x2000 STATX_ATTR_VERITY 0x100000 STATX_ATTR_DAX 0x200000`)
	fsTypes = names("", `TMPFS_MAGIC 0x1021994 PROC_SUPER_MAGIC 0x9fa0 SYSFS_MAGIC 0x62656572 DEVPTS_SUPER_MAGIC 0x1cd1 EXT2_SUPER_MAGIC 0xef53
		RAMFS_MAGIC 0x858458f6 OVERLAYFS_SUPER_MAGIC 0x794c7630 TRACEFS_MAGIC 0x74726163 DEBUGFS_MAGIC 0x64626720 PIPEFS_MAGIC 0x50495045
		SOCKFS_MAGIC 0x534f434b ANON_INODE_FS_MAGIC 0x9041934 BTRFS_SUPER_MAGIC 0x9123683e CGROUP_SUPER_MAGIC 0x27e0eb CGROUP2_SUPER_MAGIC 0x63677270
		NFS_SUPER_MAGIC 0x6969 XFS_SUPER_MAGIC 0x58465342 V9FS_MAGIC 0x1021997 MQUEUE_MAGIC 0x19800202 HUGETLBFS_MAGIC 0x958458f6 FUSE_SUPER_MAGIC 0x65735546`)
	fsFlags = names("ST_???", `ST_VALID 0x20 ST_RDONLY 1 ST_NOSUID 2 ST_NODEV 4 ST_NOEXEC 8 ST_SYNCHRONOUS 0x10 ST_MANDLOCK 0x40 ST_NOATIME 0x400
		ST_NODIRATIME 0x800 ST_RELATIME 0x1000 ST_NOSYMFOLLOW 0x2000`)
)

// pointOfTime prints a time with its comment.
func pointOfTime(p *Printer, name string, b []byte, offset int) {
	seconds, fraction := int64(word(b, offset, 8)), word(b, offset+8, 8)
	p.format(", %s=%d", name, seconds)
	p.timeComment(seconds, fraction, nanoseconds)
	p.format(", %s_nsec=%d", name, fraction)
}

// stat prints struct stat.
func stat(p *Printer, _ *Input, b []byte) {
	mode := word(b, 24, 4)
	p.text("{")
	if p.Verbose {
		p.text("st_dev=")
		p.device(word(b, 0, 8))
		p.format(", st_ino=%d, st_mode=", word(b, 8, 8))
		p.fileMode(mode)
		p.format(", st_nlink=%d, st_uid=%d, st_gid=%d, st_blksize=%d, st_blocks=%d",
			word(b, 16, 8), word(b, 28, 4), word(b, 32, 4), word(b, 56, 8), word(b, 64, 8))
	} else {
		p.text("st_mode=")
		p.fileMode(mode)
	}
	if kind := mode & unix.S_IFMT; kind == unix.S_IFCHR || kind == unix.S_IFBLK {
		p.text(", st_rdev=")
		p.device(word(b, 40, 8))
	} else {
		p.format(", st_size=%d", word(b, 48, 8))
	}
	if !p.Verbose {
		p.text(", ...}")
		return
	}
	pointOfTime(p, "st_atime", b, 72)
	pointOfTime(p, "st_mtime", b, 88)
	pointOfTime(p, "st_ctime", b, 104)
	p.text("}")
}

const statSize = 144

// statxTime prints struct statx_timestamp.
func statxTime(p *Printer, name string, b []byte, offset int) {
	seconds, fraction := int64(word(b, offset, 8)), word(b, offset+8, 4)
	p.format(", %s={tv_sec=%d, tv_nsec=%d}", name, seconds, fraction)
	p.timeComment(seconds, fraction, nanoseconds)
}

// statx prints struct statx.
func statx(p *Printer, _ *Input, b []byte) {
	p.text("{stx_mask=" + p.flags(statxMasks, word(b, 0, 4)))
	if p.Verbose {
		p.format(", stx_blksize=%d", word(b, 4, 4))
	}
	p.text(", stx_attributes=" + p.flags(statxAttrs, word(b, 8, 8)))
	if p.Verbose {
		p.format(", stx_nlink=%d, stx_uid=%d, stx_gid=%d", word(b, 16, 4), word(b, 20, 4), word(b, 24, 4))
	}
	p.text(", stx_mode=")
	p.fileMode(word(b, 28, 2))
	if p.Verbose {
		p.format(", stx_ino=%d", word(b, 32, 8))
	}
	p.format(", stx_size=%d", word(b, 40, 8))
	if !p.Verbose {
		p.text(", ...}")
		return
	}
	p.format(", stx_blocks=%d, stx_attributes_mask=%s", word(b, 48, 8), p.flags(statxAttrs, word(b, 56, 8)))
	statxTime(p, "stx_atime", b, 64)
	statxTime(p, "stx_btime", b, 80)
	statxTime(p, "stx_ctime", b, 96)
	statxTime(p, "stx_mtime", b, 112)
	p.format(", stx_rdev_major=%d, stx_rdev_minor=%d, stx_dev_major=%d, stx_dev_minor=%d, stx_mnt_id=%s}",
		word(b, 128, 4), word(b, 132, 4), word(b, 136, 4), word(b, 140, 4), hexText(word(b, 144, 8)))
}

const statxSize = 256

// statxFlags prints the flags of statx(2).
func statxFlags(p *Printer, _ *Input, v uint64) {
	const sync = 0x6000
	v = uint64(uint32(v))
	p.text(p.flags(statxSync, v&sync))
	if rest := v &^ sync; rest != 0 {
		p.text("|" + p.flags(atFlags, rest))
	}
}

// statfs prints struct statfs.
func statfs(p *Printer, _ *Input, b []byte) {
	kind := fsTypes.find(word(b, 0, 8))
	if kind == "" {
		kind = hexText(word(b, 0, 8))
	}
	p.format("{f_type=%s, f_bsize=%d, f_blocks=%d, f_bfree=%d, f_bavail=%d, f_files=%d, f_ffree=%d, f_fsid={val=[%s, %s]}, f_namelen=%d, f_frsize=%d, f_flags=%s}",
		kind, word(b, 8, 8), word(b, 16, 8), word(b, 24, 8), word(b, 32, 8), word(b, 40, 8), word(b, 48, 8),
		hexText(word(b, 56, 4)), hexText(word(b, 60, 4)), word(b, 64, 8), word(b, 72, 8), p.flags(fsFlags, word(b, 80, 8)))
}

const statfsSize = 120

// openHow prints struct open_how.
func openHow(p *Printer, _ *Input, b []byte) {
	flags, mode := word(b, 0, 8), word(b, 8, 8)
	p.text("{flags=" + p.openFlags(flags))
	if flags&(unix.O_CREAT|0x400000) != 0 || mode != 0 {
		p.text(", mode=")
		p.octal(mode)
	}
	p.text(", resolve=" + p.flags(resolve, word(b, 16, 8)))
}

// openHowSize is the size of struct open_how.
const openHowSize = 24

// openHowIn prints the struct open_how of openat2(2), whose size is another argument.
func openHowIn(i, size int) Arg {
	short := func(in *Input) bool { return in.Arguments[size] < openHowSize }
	rest := tail(i, size, openHowSize)
	a := structIn(i, openHowSize, openHow)
	a.ops = append(a.ops, rest.ops...)
	print := a.print
	a.print = func(p *Printer, in *Input) {
		print(p, in)
		if in.capture(0) != nil {
			rest.print(p, in, nil, 1)
			p.text("}")
		}
	}
	return addressIf(i, short, a)
}

// mountFlagsOf prints the flags of mount(2), which may have a magic number of old kernels.
func mountFlagsOf(p *Printer, _ *Input, v uint64) {
	const magic, mask = 0xc0ed0000, 0xffff0000
	if v&mask == magic {
		p.text(p.styled(hexText(magic), "MS_MGC_VAL"))
		if v &^= mask; v == 0 {
			return
		}
		p.text("|")
	}
	p.text(p.flags(mountFlags, v))
}

// changedMount returns the flags of mount(2) without the magic number.
func changedMount(in *Input) uint64 {
	v := in.Arguments[3]
	if v&0xffff0000 == 0xc0ed0000 {
		v &= 0xffff
	}
	return v
}

// ignoresType and ignoresData report whether mount(2) does not read the type, and the data.
func ignoresType(in *Input) bool {
	return changedMount(in)&unix.MS_REMOUNT != 0 || ignoresData(in)
}

func ignoresData(in *Input) bool {
	const changes = unix.MS_BIND | unix.MS_MOVE | unix.MS_SHARED | unix.MS_PRIVATE | unix.MS_SLAVE | unix.MS_UNBINDABLE
	v := changedMount(in)
	return v&unix.MS_REMOUNT == 0 && v&changes != 0
}

// attributeValue prints the value of an extended attribute without a NUL at its end.
func attributeValue(i, length int) Arg {
	a := inBuffer(i, length)
	print := a.print
	a.print = func(p *Printer, in *Input) {
		b, n := in.capture(0), in.Arguments[length]
		if n > 0 && n <= uint64(p.Strings)+1 && uint64(len(b)) == n && b[n-1] == 0 {
			p.quote(b[:n-1])
			return
		}
		print(p, in)
	}
	return a
}

// longerThan returns a condition: an argument is greater than a limit.
func longerThan(i int, limit uint64) func(in *Input) bool {
	return func(in *Input) bool { return in.Arguments[i] > limit }
}

// currentDirectory prints what getcwd(2) has stored.
func currentDirectory(i int) Arg {
	op := tracespec.Op{Kind: tracespec.String, Address: argument(i), Max: maxPath}
	return onExit(Arg{ops: []tracespec.Op{op}, print: orAddress(i, func(p *Printer, _ *Input, b []byte) { p.cstring(b, maxPath-1) })})
}

// device prints a device number.
func device(p *Printer, _ *Input, v uint64) { p.device(uint64(uint32(v))) }

// modeOfNode prints the mode of mknod(2).
func modeOfNode(p *Printer, _ *Input, v uint64) { p.fileMode(v & 0xffff) }

// isDevice reports whether mknod(2) makes a device.
func isDevice(i int) func(c *Call) bool {
	return func(c *Call) bool {
		kind := c.Arguments[i] & unix.S_IFMT
		return kind == unix.S_IFCHR || kind == unix.S_IFBLK
	}
}

// sizedBuffer prints the buffer of a call that may only ask for its length.
func sizedBuffer(i, length int) Arg {
	return addressIf(i, func(in *Input) bool { return in.Arguments[length] == 0 }, outBuffer(i))
}

// nameRows are the calls on file names.
var nameRows = []Row{
	call(unix.SYS_STAT, "stat", "file %stat %%stat", path(0), structOut(1, statSize, stat)),
	call(unix.SYS_FSTAT, "fstat", "desc %fstat %%stat", fd(0), structOut(1, statSize, stat)),
	call(unix.SYS_LSTAT, "lstat", "file %lstat %%stat", path(0), structOut(1, statSize, stat)),
	call(unix.SYS_NEWFSTATAT, "newfstatat", "desc file %fstat %%stat", dirfd(0), path(1), structOut(2, statSize, stat), at(3, flagsOf(atFlags))),
	call(unix.SYS_STATX, "statx", "desc file %fstat %%stat", dirfd(0), path(1), at(2, statxFlags), at(3, flagsOf(statxMasks)), structOut(4, statxSize, statx)),
	call(unix.SYS_STATFS, "statfs", "file %statfs %%statfs", path(0), structOut(1, statfsSize, statfs)),
	call(unix.SYS_FSTATFS, "fstatfs", "desc %fstatfs %%statfs", fd(0), structOut(1, statfsSize, statfs)),
	call(unix.SYS_OPENAT, "openat", "desc file", dirfd(0), path(1), at(2, openFlagsOf), if_(creates(2), at(3, mode16))).givesFD(),
	call(unix.SYS_OPENAT2, "openat2", "desc file", dirfd(0), path(1), openHowIn(2, 3), at(3, ulong)).givesFD(),
	call(unix.SYS_CREAT, "creat", "desc file", path(0), at(1, mode16)).givesFD(),
	call(unix.SYS_ACCESS, "access", "file", path(0), at(1, flagsOf(accessFlags))),
	call(unix.SYS_FACCESSAT, "faccessat", "desc file", dirfd(0), path(1), at(2, flagsOf(accessFlags))),
	call(unix.SYS_FACCESSAT2, "faccessat2", "desc file", dirfd(0), path(1), at(2, flagsOf(accessFlags)), at(3, flagsOf(eaccessAt))),
	call(unix.SYS_TRUNCATE, "truncate", "file", path(0), at(1, long)),
	call(unix.SYS_GETCWD, "getcwd", "file", currentDirectory(0), at(1, ulong)),
	call(unix.SYS_CHDIR, "chdir", "file", path(0)),
	call(unix.SYS_FCHDIR, "fchdir", "desc", fd(0)),
	call(unix.SYS_CHROOT, "chroot", "file", path(0)),
	call(unix.SYS_PIVOT_ROOT, "pivot_root", "file", path(0), path(1)),
	call(unix.SYS_RENAME, "rename", "file", path(0), path(1)),
	call(unix.SYS_RENAMEAT, "renameat", "desc file", dirfd(0), path(1), dirfd(2), path(3)),
	call(unix.SYS_RENAMEAT2, "renameat2", "desc file", dirfd(0), path(1), dirfd(2), path(3), at(4, flagsOf(renameFlags))),
	call(unix.SYS_MKDIR, "mkdir", "file", path(0), at(1, mode16)),
	call(unix.SYS_MKDIRAT, "mkdirat", "desc file", dirfd(0), path(1), at(2, mode16)),
	call(unix.SYS_RMDIR, "rmdir", "file", path(0)),
	call(unix.SYS_LINK, "link", "file", path(0), path(1)),
	call(unix.SYS_LINKAT, "linkat", "desc file", dirfd(0), path(1), dirfd(2), path(3), at(4, flagsOf(atFlags))),
	call(unix.SYS_UNLINK, "unlink", "file", path(0)),
	call(unix.SYS_UNLINKAT, "unlinkat", "desc file", dirfd(0), path(1), at(2, flagsOf(atFlags))),
	call(unix.SYS_SYMLINK, "symlink", "file", path(0), path(1)),
	call(unix.SYS_SYMLINKAT, "symlinkat", "desc file", path(0), dirfd(1), path(2)),
	call(unix.SYS_READLINK, "readlink", "file", path(0), outBuffer(1), at(2, ulong)),
	call(unix.SYS_READLINKAT, "readlinkat", "desc file", dirfd(0), path(1), outBuffer(2), at(3, ulong)),
	call(unix.SYS_CHMOD, "chmod", "file", path(0), at(1, mode16)),
	call(unix.SYS_FCHMOD, "fchmod", "desc", fd(0), at(1, mode16)),
	call(unix.SYS_FCHMODAT, "fchmodat", "desc file", dirfd(0), path(1), at(2, mode16)),
	call(unix.SYS_CHOWN, "chown", "file", path(0), at(1, id), at(2, id)),
	call(unix.SYS_LCHOWN, "lchown", "file", path(0), at(1, id), at(2, id)),
	call(unix.SYS_FCHOWN, "fchown", "desc", fd(0), at(1, id), at(2, id)),
	call(unix.SYS_FCHOWNAT, "fchownat", "desc file", dirfd(0), path(1), at(2, id), at(3, id), at(4, flagsOf(atFlags))),
	call(unix.SYS_MKNOD, "mknod", "file", path(0), at(1, modeOfNode), if_(isDevice(1), at(2, device))),
	call(unix.SYS_MKNODAT, "mknodat", "desc file", dirfd(0), path(1), at(2, modeOfNode), if_(isDevice(2), at(3, device))),
	call(unix.SYS_UMASK, "umask", "", at(0, mode16)).gives(resultOctal),
	call(unix.SYS_MOUNT, "mount", "file", path(0), path(1), addressIf(2, ignoresType, str(2)), at(3, mountFlagsOf), addressIf(4, ignoresData, str(4))),
	call(unix.SYS_UMOUNT2, "umount2", "file", path(0), at(1, flagsOf(umountFlags))),
	call(unix.SYS_SYNC, "sync", ""),
	call(unix.SYS_SETXATTR, "setxattr", "file", path(0), str(1), addressIf(2, longerThan(3, 65536), attributeValue(2, 3)), at(3, ulong), at(4, flagsOf(xattrFlags))),
	call(unix.SYS_LSETXATTR, "lsetxattr", "file", path(0), str(1), addressIf(2, longerThan(3, 65536), attributeValue(2, 3)), at(3, ulong), at(4, flagsOf(xattrFlags))),
	call(unix.SYS_FSETXATTR, "fsetxattr", "desc", fd(0), str(1), addressIf(2, longerThan(3, 65536), attributeValue(2, 3)), at(3, ulong), at(4, flagsOf(xattrFlags))),
	call(unix.SYS_GETXATTR, "getxattr", "file", path(0), str(1), sizedBuffer(2, 3), at(3, ulong)),
	call(unix.SYS_LGETXATTR, "lgetxattr", "file", path(0), str(1), sizedBuffer(2, 3), at(3, ulong)),
	call(unix.SYS_FGETXATTR, "fgetxattr", "desc", fd(0), str(1), sizedBuffer(2, 3), at(3, ulong)),
	call(unix.SYS_LISTXATTR, "listxattr", "file", path(0), sizedBuffer(1, 2), at(2, ulong)),
	call(unix.SYS_LLISTXATTR, "llistxattr", "file", path(0), sizedBuffer(1, 2), at(2, ulong)),
	call(unix.SYS_FLISTXATTR, "flistxattr", "desc", fd(0), sizedBuffer(1, 2), at(2, ulong)),
	call(unix.SYS_REMOVEXATTR, "removexattr", "file", path(0), str(1)),
	call(unix.SYS_LREMOVEXATTR, "lremovexattr", "file", path(0), str(1)),
	call(unix.SYS_FREMOVEXATTR, "fremovexattr", "desc", fd(0), str(1)),
	call(unix.SYS_INOTIFY_INIT, "inotify_init", "desc").givesFD(),
	call(unix.SYS_INOTIFY_INIT1, "inotify_init1", "desc", at(0, flagsOf(inotifyFlags))).givesFD(),
	call(unix.SYS_INOTIFY_ADD_WATCH, "inotify_add_watch", "desc file", fd(0), path(1), at(2, flagsOf(inotifyEvents))),
	call(unix.SYS_INOTIFY_RM_WATCH, "inotify_rm_watch", "desc", fd(0), at(1, dec)),
}

var (
	inotifyFlags  = names("IN_???", "IN_NONBLOCK 0x800 IN_CLOEXEC 0x80000")
	inotifyEvents = names("IN_???", `IN_ACCESS 1 IN_MODIFY 2 IN_ATTRIB 4 IN_CLOSE_WRITE 8 IN_CLOSE_NOWRITE 0x10 IN_OPEN 0x20 IN_MOVED_FROM 0x40 IN_MOVED_TO 0x80
		IN_CREATE 0x100 IN_DELETE 0x200 IN_DELETE_SELF 0x400 IN_MOVE_SELF 0x800 IN_UNMOUNT 0x2000 IN_Q_OVERFLOW 0x4000 IN_IGNORED 0x8000
		IN_ONLYDIR 0x1000000 IN_DONT_FOLLOW 0x2000000 IN_EXCL_UNLINK 0x4000000 IN_MASK_CREATE 0x10000000 IN_MASK_ADD 0x20000000 IN_ISDIR 0x40000000 IN_ONESHOT 0x80000000`)
)
