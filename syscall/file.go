package syscall

// fileCalls are the calls on files, by the file that has the handlers.
var fileCalls = concat(openCalls, ioCalls, statCalls, nameCalls, changeCalls, controlCalls, copyCalls, pollCalls, specialCalls, epollCalls, timerfdCalls, socketCalls, xattrCalls)

func concat(families ...[]Row) []Row {
	var all []Row
	for _, rows := range families {
		all = append(all, rows...)
	}
	return all
}

var openCalls = []Row{
	{Number: 2, Name: "open", Arguments: args(Path, Hex, Mode), Handler: sysOpen},
	{Number: 3, Name: "close", Arguments: args(FD), Handler: sysClose},
	{Number: 32, Name: "dup", Arguments: args(FD), Handler: sysDup},
	{Number: 33, Name: "dup2", Arguments: args(FD, FD), Handler: sysDup2},
	{Number: 85, Name: "creat", Arguments: args(Path, Mode), Handler: sysCreat},
	{Number: 257, Name: "openat", Arguments: args(DirFD, Path, Hex, Mode), Handler: sysOpenat},
	{Number: 292, Name: "dup3", Arguments: args(FD, FD, Hex), Handler: sysDup3},
	{Number: 436, Name: "close_range", Arguments: args(FD, FD, Hex), Handler: sysCloseRange},
	{Number: 437, Name: "openat2", Arguments: args(DirFD, Path, Pointer, Uint), Handler: sysOpenat2},
}

var ioCalls = []Row{
	{Number: 0, Name: "read", Arguments: args(FD, Pointer, Uint), Handler: sysRead},
	{Number: 1, Name: "write", Arguments: args(FD, Pointer, Uint), Handler: sysWrite},
	{Number: 8, Name: "lseek", Arguments: args(FD, Int, Int), Handler: sysLseek},
	{Number: 17, Name: "pread64", Arguments: args(FD, Pointer, Uint, Int), Handler: sysPread64},
	{Number: 18, Name: "pwrite64", Arguments: args(FD, Pointer, Uint, Int), Handler: sysPwrite64},
	{Number: 19, Name: "readv", Arguments: args(FD, Pointer, Uint), Handler: sysReadv},
	{Number: 20, Name: "writev", Arguments: args(FD, Pointer, Uint), Handler: sysWritev},
	{Number: 74, Name: "fsync", Arguments: args(FD), Handler: sysFsync},
	{Number: 75, Name: "fdatasync", Arguments: args(FD), Handler: sysFsync},
	{Number: 76, Name: "truncate", Arguments: args(Path, Int), Handler: sysTruncate},
	{Number: 77, Name: "ftruncate", Arguments: args(FD, Int), Handler: sysFtruncate},
	{Number: 162, Name: "sync", Handler: sysSync},
	{Number: 187, Name: "readahead", Arguments: args(FD, Int, Uint), Handler: sysReadahead},
	{Number: 221, Name: "fadvise64", Arguments: args(FD, Int, Int, Int), Handler: sysFadvise64},
	{Number: 277, Name: "sync_file_range", Arguments: args(FD, Int, Int, Hex), Handler: sysSyncFileRange},
	{Number: 285, Name: "fallocate", Arguments: args(FD, Hex, Int, Int), Handler: sysFallocate},
	{Number: 295, Name: "preadv", Arguments: args(FD, Pointer, Uint, Int), Handler: sysPreadv},
	{Number: 296, Name: "pwritev", Arguments: args(FD, Pointer, Uint, Int), Handler: sysPwritev},
	{Number: 306, Name: "syncfs", Arguments: args(FD), Handler: sysSyncfs},
	{Number: 327, Name: "preadv2", Arguments: args(FD, Pointer, Uint, Int, Int, Hex), Handler: sysPreadv2,
		Partial: "RWF_NOWAIT is EOPNOTSUPP: nothing in memory ever makes a read wait for a disk."},
	{Number: 328, Name: "pwritev2", Arguments: args(FD, Pointer, Uint, Int, Int, Hex), Handler: sysPwritev2,
		Partial: "RWF_APPEND and RWF_NOWAIT are EOPNOTSUPP, as on file systems without them."},
}

var statCalls = []Row{
	{Number: 4, Name: "stat", Arguments: args(Path, Pointer), Handler: sysStat},
	{Number: 5, Name: "fstat", Arguments: args(FD, Pointer), Handler: sysFstat},
	{Number: 6, Name: "lstat", Arguments: args(Path, Pointer), Handler: sysLstat},
	{Number: 21, Name: "access", Arguments: args(Path, Mode), Handler: sysAccess},
	{Number: 137, Name: "statfs", Arguments: args(Path, Pointer), Handler: sysStatfs},
	{Number: 138, Name: "fstatfs", Arguments: args(FD, Pointer), Handler: sysFstatfs},
	{Number: 262, Name: "newfstatat", Arguments: args(DirFD, Path, Pointer, Hex), Handler: sysNewfstatat},
	{Number: 269, Name: "faccessat", Arguments: args(DirFD, Path, Mode), Handler: sysFaccessat},
	{Number: 332, Name: "statx", Arguments: args(DirFD, Path, Hex, Hex, Pointer), Handler: sysStatx},
	{Number: 439, Name: "faccessat2", Arguments: args(DirFD, Path, Mode, Hex), Handler: sysFaccessat2},
}

var nameCalls = []Row{
	{Number: 78, Name: "getdents", Arguments: args(FD, Pointer, Uint), Handler: sysGetdents},
	{Number: 79, Name: "getcwd", Arguments: args(Pointer, Uint), Handler: sysGetcwd},
	{Number: 80, Name: "chdir", Arguments: args(Path), Handler: sysChdir},
	{Number: 81, Name: "fchdir", Arguments: args(FD), Handler: sysFchdir},
	{Number: 82, Name: "rename", Arguments: args(Path, Path), Handler: sysRename},
	{Number: 83, Name: "mkdir", Arguments: args(Path, Mode), Handler: sysMkdir},
	{Number: 84, Name: "rmdir", Arguments: args(Path), Handler: sysRmdir},
	{Number: 86, Name: "link", Arguments: args(Path, Path), Handler: sysLink},
	{Number: 87, Name: "unlink", Arguments: args(Path), Handler: sysUnlink},
	{Number: 88, Name: "symlink", Arguments: args(Path, Path), Handler: sysSymlink},
	{Number: 89, Name: "readlink", Arguments: args(Path, Pointer, Uint), Handler: sysReadlink},
	{Number: 95, Name: "umask", Arguments: args(Mode), Handler: sysUmask},
	{Number: 133, Name: "mknod", Arguments: args(Path, Mode, Hex), Handler: sysMknod},
	{Number: 161, Name: "chroot", Arguments: args(Path), Handler: sysChroot},
	{Number: 165, Name: "mount", Arguments: args(Path, Path, Path, Hex, Pointer), Handler: sysMount,
		Partial: "MS_MOVE and shared propagation are EINVAL: there is one mount name space."},
	{Number: 166, Name: "umount2", Arguments: args(Path, Hex), Handler: sysUmount2},
	{Number: 217, Name: "getdents64", Arguments: args(FD, Pointer, Uint), Handler: sysGetdents64},
	{Number: 258, Name: "mkdirat", Arguments: args(DirFD, Path, Mode), Handler: sysMkdirat},
	{Number: 259, Name: "mknodat", Arguments: args(DirFD, Path, Mode, Hex), Handler: sysMknodat},
	{Number: 263, Name: "unlinkat", Arguments: args(DirFD, Path, Hex), Handler: sysUnlinkat},
	{Number: 264, Name: "renameat", Arguments: args(DirFD, Path, DirFD, Path), Handler: sysRenameat},
	{Number: 265, Name: "linkat", Arguments: args(DirFD, Path, DirFD, Path, Hex), Handler: sysLinkat},
	{Number: 266, Name: "symlinkat", Arguments: args(Path, DirFD, Path), Handler: sysSymlinkat},
	{Number: 267, Name: "readlinkat", Arguments: args(DirFD, Path, Pointer, Uint), Handler: sysReadlinkat},
	{Number: 316, Name: "renameat2", Arguments: args(DirFD, Path, DirFD, Path, Hex), Handler: sysRenameat2,
		Partial: "RENAME_WHITEOUT is EINVAL: there is no overlay file system that would use it."},
}

var changeCalls = []Row{
	{Number: 90, Name: "chmod", Arguments: args(Path, Mode), Handler: sysChmod},
	{Number: 91, Name: "fchmod", Arguments: args(FD, Mode), Handler: sysFchmod},
	{Number: 92, Name: "chown", Arguments: args(Path, Int, Int), Handler: sysChown},
	{Number: 93, Name: "fchown", Arguments: args(FD, Int, Int), Handler: sysFchown},
	{Number: 94, Name: "lchown", Arguments: args(Path, Int, Int), Handler: sysLchown},
	{Number: 132, Name: "utime", Arguments: args(Path, Pointer), Handler: sysUtime},
	{Number: 235, Name: "utimes", Arguments: args(Path, Pointer), Handler: sysUtimes},
	{Number: 260, Name: "fchownat", Arguments: args(DirFD, Path, Int, Int, Hex), Handler: sysFchownat},
	{Number: 261, Name: "futimesat", Arguments: args(DirFD, Path, Pointer), Handler: sysFutimesat},
	{Number: 268, Name: "fchmodat", Arguments: args(DirFD, Path, Mode), Handler: sysFchmodat},
	{Number: 280, Name: "utimensat", Arguments: args(DirFD, Path, Pointer, Hex), Handler: sysUtimensat},
}

var controlCalls = []Row{
	{Number: 16, Name: "ioctl", Arguments: args(FD, Hex, Hex), Handler: sysIoctl},
	{Number: 72, Name: "fcntl", Arguments: args(FD, Int, Hex), Handler: sysFcntl,
		Partial: "Leases, directory notification and F_SETSIG are EINVAL, and O_ASYNC sends no SIGIO: no program of the goal uses them."},
	{Number: 73, Name: "flock", Arguments: args(FD, Hex), Handler: sysFlock},
}

var copyCalls = []Row{
	{Number: 40, Name: "sendfile", Arguments: args(FD, FD, Pointer, Uint), Handler: sysSendfile},
	{Number: 275, Name: "splice", Arguments: args(FD, Pointer, FD, Pointer, Uint, Hex), Handler: sysSplice},
	{Number: 276, Name: "tee", Arguments: args(FD, FD, Uint, Hex), Handler: sysTee},
	{Number: 278, Name: "vmsplice", Arguments: args(FD, Pointer, Uint, Hex), Handler: sysVmsplice},
	{Number: 326, Name: "copy_file_range", Arguments: args(FD, Pointer, FD, Pointer, Uint, Hex), Handler: sysCopyFileRange},
}

var pollCalls = []Row{
	{Number: 7, Name: "poll", Arguments: args(Pointer, Uint, Int), Handler: sysPoll},
	{Number: 23, Name: "select", Arguments: args(Int, Pointer, Pointer, Pointer, Pointer), Handler: sysSelect},
	{Number: 270, Name: "pselect6", Arguments: args(Int, Pointer, Pointer, Pointer, Pointer, Pointer), Handler: sysPselect6},
	{Number: 271, Name: "ppoll", Arguments: args(Pointer, Uint, Pointer, Pointer, Uint), Handler: sysPpoll},
}
