package syscall

import (
	"slices"

	"golang.org/x/sys/unix"
)

// fileCalls are the calls on files. Each list belongs to the source files that
// have its handlers.
var fileCalls = slices.Concat(openCalls, ioCalls, statCalls, nameCalls, changeCalls, controlCalls, copyCalls, pollCalls, specialCalls, epollCalls, timerfdCalls, perfCalls, socketCalls, xattrCalls)

var openCalls = []Row{
	{Number: unix.SYS_OPEN, Name: "open", Arguments: args(Path, Hex, Mode), Handler: sysOpen},
	{Number: unix.SYS_CLOSE, Name: "close", Arguments: args(FD), Handler: sysClose},
	{Number: unix.SYS_DUP, Name: "dup", Arguments: args(FD), Handler: sysDup},
	{Number: unix.SYS_DUP2, Name: "dup2", Arguments: args(FD, FD), Handler: sysDup2},
	{Number: unix.SYS_CREAT, Name: "creat", Arguments: args(Path, Mode), Handler: sysCreat},
	{Number: unix.SYS_OPENAT, Name: "openat", Arguments: args(DirFD, Path, Hex, Mode), Handler: sysOpenat},
	{Number: unix.SYS_DUP3, Name: "dup3", Arguments: args(FD, FD, Hex), Handler: sysDup3},
	{Number: unix.SYS_CLOSE_RANGE, Name: "close_range", Arguments: args(FD, FD, Hex), Handler: sysCloseRange},
	{Number: unix.SYS_OPENAT2, Name: "openat2", Arguments: args(DirFD, Path, Pointer, Uint), Handler: sysOpenat2},
}

var ioCalls = []Row{
	{Number: unix.SYS_READ, Name: "read", Arguments: args(FD, Pointer, Uint), Handler: sysRead},
	{Number: unix.SYS_WRITE, Name: "write", Arguments: args(FD, Pointer, Uint), Handler: sysWrite},
	{Number: unix.SYS_LSEEK, Name: "lseek", Arguments: args(FD, Int, Int), Handler: sysLseek},
	{Number: unix.SYS_PREAD64, Name: "pread64", Arguments: args(FD, Pointer, Uint, Int), Handler: sysPread64},
	{Number: unix.SYS_PWRITE64, Name: "pwrite64", Arguments: args(FD, Pointer, Uint, Int), Handler: sysPwrite64},
	{Number: unix.SYS_READV, Name: "readv", Arguments: args(FD, Pointer, Uint), Handler: sysReadv},
	{Number: unix.SYS_WRITEV, Name: "writev", Arguments: args(FD, Pointer, Uint), Handler: sysWritev},
	{Number: unix.SYS_FSYNC, Name: "fsync", Arguments: args(FD), Handler: sysFsync},
	{Number: unix.SYS_FDATASYNC, Name: "fdatasync", Arguments: args(FD), Handler: sysFsync},
	{Number: unix.SYS_TRUNCATE, Name: "truncate", Arguments: args(Path, Int), Handler: sysTruncate},
	{Number: unix.SYS_FTRUNCATE, Name: "ftruncate", Arguments: args(FD, Int), Handler: sysFtruncate},
	{Number: unix.SYS_SYNC, Name: "sync", Handler: sysSync},
	{Number: unix.SYS_READAHEAD, Name: "readahead", Arguments: args(FD, Int, Uint), Handler: sysReadahead},
	{Number: unix.SYS_FADVISE64, Name: "fadvise64", Arguments: args(FD, Int, Int, Int), Handler: sysFadvise64},
	{Number: unix.SYS_SYNC_FILE_RANGE, Name: "sync_file_range", Arguments: args(FD, Int, Int, Hex), Handler: sysSyncFileRange},
	{Number: unix.SYS_FALLOCATE, Name: "fallocate", Arguments: args(FD, Hex, Int, Int), Handler: sysFallocate},
	{Number: unix.SYS_PREADV, Name: "preadv", Arguments: args(FD, Pointer, Uint, Int), Handler: sysPreadv},
	{Number: unix.SYS_PWRITEV, Name: "pwritev", Arguments: args(FD, Pointer, Uint, Int), Handler: sysPwritev},
	{Number: unix.SYS_SYNCFS, Name: "syncfs", Arguments: args(FD), Handler: sysSyncfs},
	{Number: unix.SYS_PREADV2, Name: "preadv2", Arguments: args(FD, Pointer, Uint, Int, Int, Hex), Handler: sysPreadv2,
		Partial: "RWF_NOWAIT fails with EOPNOTSUPP: file data is always in memory, so a read never waits for a disk."},
	{Number: unix.SYS_PWRITEV2, Name: "pwritev2", Arguments: args(FD, Pointer, Uint, Int, Int, Hex), Handler: sysPwritev2,
		Partial: "RWF_APPEND and RWF_NOWAIT fail with EOPNOTSUPP, as on file systems that do not support them."},
}

var statCalls = []Row{
	{Number: unix.SYS_STAT, Name: "stat", Arguments: args(Path, Pointer), Handler: sysStat},
	{Number: unix.SYS_FSTAT, Name: "fstat", Arguments: args(FD, Pointer), Handler: sysFstat},
	{Number: unix.SYS_LSTAT, Name: "lstat", Arguments: args(Path, Pointer), Handler: sysLstat},
	{Number: unix.SYS_ACCESS, Name: "access", Arguments: args(Path, Mode), Handler: sysAccess},
	{Number: unix.SYS_STATFS, Name: "statfs", Arguments: args(Path, Pointer), Handler: sysStatfs},
	{Number: unix.SYS_FSTATFS, Name: "fstatfs", Arguments: args(FD, Pointer), Handler: sysFstatfs},
	{Number: unix.SYS_NEWFSTATAT, Name: "newfstatat", Arguments: args(DirFD, Path, Pointer, Hex), Handler: sysNewfstatat},
	{Number: unix.SYS_FACCESSAT, Name: "faccessat", Arguments: args(DirFD, Path, Mode), Handler: sysFaccessat},
	{Number: unix.SYS_STATX, Name: "statx", Arguments: args(DirFD, Path, Hex, Hex, Pointer), Handler: sysStatx},
	{Number: unix.SYS_FACCESSAT2, Name: "faccessat2", Arguments: args(DirFD, Path, Mode, Hex), Handler: sysFaccessat2},
}

var nameCalls = []Row{
	{Number: unix.SYS_GETDENTS, Name: "getdents", Arguments: args(FD, Pointer, Uint), Handler: sysGetdents},
	{Number: unix.SYS_GETCWD, Name: "getcwd", Arguments: args(Pointer, Uint), Handler: sysGetcwd},
	{Number: unix.SYS_CHDIR, Name: "chdir", Arguments: args(Path), Handler: sysChdir},
	{Number: unix.SYS_FCHDIR, Name: "fchdir", Arguments: args(FD), Handler: sysFchdir},
	{Number: unix.SYS_RENAME, Name: "rename", Arguments: args(Path, Path), Handler: sysRename},
	{Number: unix.SYS_MKDIR, Name: "mkdir", Arguments: args(Path, Mode), Handler: sysMkdir},
	{Number: unix.SYS_RMDIR, Name: "rmdir", Arguments: args(Path), Handler: sysRmdir},
	{Number: unix.SYS_LINK, Name: "link", Arguments: args(Path, Path), Handler: sysLink},
	{Number: unix.SYS_UNLINK, Name: "unlink", Arguments: args(Path), Handler: sysUnlink},
	{Number: unix.SYS_SYMLINK, Name: "symlink", Arguments: args(Path, Path), Handler: sysSymlink},
	{Number: unix.SYS_READLINK, Name: "readlink", Arguments: args(Path, Pointer, Uint), Handler: sysReadlink},
	{Number: unix.SYS_UMASK, Name: "umask", Arguments: args(Mode), Handler: sysUmask},
	{Number: unix.SYS_MKNOD, Name: "mknod", Arguments: args(Path, Mode, Hex), Handler: sysMknod},
	{Number: unix.SYS_CHROOT, Name: "chroot", Arguments: args(Path), Handler: sysChroot},
	{Number: unix.SYS_MOUNT, Name: "mount", Arguments: args(Path, Path, Path, Hex, Pointer), Handler: sysMount,
		Partial: "MS_SHARED fails with EINVAL: there is only one mount namespace, in which mounts are private or unbindable."},
	{Number: unix.SYS_UMOUNT2, Name: "umount2", Arguments: args(Path, Hex), Handler: sysUmount2},
	{Number: unix.SYS_GETDENTS64, Name: "getdents64", Arguments: args(FD, Pointer, Uint), Handler: sysGetdents64},
	{Number: unix.SYS_MKDIRAT, Name: "mkdirat", Arguments: args(DirFD, Path, Mode), Handler: sysMkdirat},
	{Number: unix.SYS_MKNODAT, Name: "mknodat", Arguments: args(DirFD, Path, Mode, Hex), Handler: sysMknodat},
	{Number: unix.SYS_UNLINKAT, Name: "unlinkat", Arguments: args(DirFD, Path, Hex), Handler: sysUnlinkat},
	{Number: unix.SYS_RENAMEAT, Name: "renameat", Arguments: args(DirFD, Path, DirFD, Path), Handler: sysRenameat},
	{Number: unix.SYS_LINKAT, Name: "linkat", Arguments: args(DirFD, Path, DirFD, Path, Hex), Handler: sysLinkat},
	{Number: unix.SYS_SYMLINKAT, Name: "symlinkat", Arguments: args(Path, DirFD, Path), Handler: sysSymlinkat},
	{Number: unix.SYS_READLINKAT, Name: "readlinkat", Arguments: args(DirFD, Path, Pointer, Uint), Handler: sysReadlinkat},
	{Number: unix.SYS_RENAMEAT2, Name: "renameat2", Arguments: args(DirFD, Path, DirFD, Path, Hex), Handler: sysRenameat2,
		Partial: "RENAME_WHITEOUT fails with EINVAL: there is no overlay file system that would use it."},
}

var changeCalls = []Row{
	{Number: unix.SYS_CHMOD, Name: "chmod", Arguments: args(Path, Mode), Handler: sysChmod},
	{Number: unix.SYS_FCHMOD, Name: "fchmod", Arguments: args(FD, Mode), Handler: sysFchmod},
	{Number: unix.SYS_CHOWN, Name: "chown", Arguments: args(Path, Int, Int), Handler: sysChown},
	{Number: unix.SYS_FCHOWN, Name: "fchown", Arguments: args(FD, Int, Int), Handler: sysFchown},
	{Number: unix.SYS_LCHOWN, Name: "lchown", Arguments: args(Path, Int, Int), Handler: sysLchown},
	{Number: unix.SYS_UTIME, Name: "utime", Arguments: args(Path, Pointer), Handler: sysUtime},
	{Number: unix.SYS_UTIMES, Name: "utimes", Arguments: args(Path, Pointer), Handler: sysUtimes},
	{Number: unix.SYS_FCHOWNAT, Name: "fchownat", Arguments: args(DirFD, Path, Int, Int, Hex), Handler: sysFchownat},
	{Number: unix.SYS_FUTIMESAT, Name: "futimesat", Arguments: args(DirFD, Path, Pointer), Handler: sysFutimesat},
	{Number: unix.SYS_FCHMODAT, Name: "fchmodat", Arguments: args(DirFD, Path, Mode), Handler: sysFchmodat},
	{Number: unix.SYS_UTIMENSAT, Name: "utimensat", Arguments: args(DirFD, Path, Pointer, Hex), Handler: sysUtimensat},
}

var controlCalls = []Row{
	{Number: unix.SYS_IOCTL, Name: "ioctl", Arguments: args(FD, Hex, Hex), Handler: sysIoctl},
	{Number: unix.SYS_FCNTL, Name: "fcntl", Arguments: args(FD, Int, Hex), Handler: sysFcntl,
		Partial: "Leases, directory notification and F_SETSIG fail with EINVAL, and O_ASYNC sends no SIGIO: the programs that this kernel targets do not use them."},
	{Number: unix.SYS_FLOCK, Name: "flock", Arguments: args(FD, Hex), Handler: sysFlock},
}

var copyCalls = []Row{
	{Number: unix.SYS_SENDFILE, Name: "sendfile", Arguments: args(FD, FD, Pointer, Uint), Handler: sysSendfile},
	{Number: unix.SYS_SPLICE, Name: "splice", Arguments: args(FD, Pointer, FD, Pointer, Uint, Hex), Handler: sysSplice},
	{Number: unix.SYS_TEE, Name: "tee", Arguments: args(FD, FD, Uint, Hex), Handler: sysTee},
	{Number: unix.SYS_VMSPLICE, Name: "vmsplice", Arguments: args(FD, Pointer, Uint, Hex), Handler: sysVmsplice},
	{Number: unix.SYS_COPY_FILE_RANGE, Name: "copy_file_range", Arguments: args(FD, Pointer, FD, Pointer, Uint, Hex), Handler: sysCopyFileRange},
}

var pollCalls = []Row{
	{Number: unix.SYS_POLL, Name: "poll", Arguments: args(Pointer, Uint, Int), Handler: sysPoll},
	{Number: unix.SYS_SELECT, Name: "select", Arguments: args(Int, Pointer, Pointer, Pointer, Pointer), Handler: sysSelect},
	{Number: unix.SYS_PSELECT6, Name: "pselect6", Arguments: args(Int, Pointer, Pointer, Pointer, Pointer, Pointer), Handler: sysPselect6},
	{Number: unix.SYS_PPOLL, Name: "ppoll", Arguments: args(Pointer, Uint, Pointer, Pointer, Uint), Handler: sysPpoll},
}
