package audit

// Numbers of system calls of the ABI I386 (arch/x86/entry/syscalls/syscall_32.tbl).
const (
	write32, open32, creat32, link32, unlink32, execve32  = 4, 5, 8, 9, 10, 11
	mknod32, chmod32, lchown16, kill32, rename32, mkdir32 = 14, 15, 16, 37, 38, 39
	rmdir32, acct32, symlink32, readlink32, swapon32      = 40, 51, 83, 85, 87
	truncate32, ftruncate32, fchmod32, fchown16           = 92, 93, 94, 95
	socketcall32, quotactl32, writev32, pwrite32, chown16 = 102, 131, 146, 181, 182
	truncate64, ftruncate64, lchown32, fchown32, chown32  = 193, 194, 198, 207, 212
	setxattr32, lsetxattr32, fsetxattr32, getxattr32      = 226, 227, 228, 229
	lgetxattr32, fgetxattr32, listxattr32, llistxattr32   = 230, 231, 232, 233
	flistxattr32, removexattr32, lremovexattr32           = 234, 235, 236
	fremovexattr32, tkill32, tgkill32, openat32           = 237, 238, 270, 295
	mkdirat32, mknodat32, fchownat32, unlinkat32          = 296, 297, 298, 301
	renameat32, linkat32, symlinkat32, readlinkat32       = 302, 303, 304, 305
	fchmodat32, fallocate32, sendmmsg32, renameatFlags32  = 306, 324, 345, 353
	execveat32, bind32, connect32, setsockopt32, sendto32 = 358, 361, 362, 366, 369
	sendmsg32, openatHow32                                = 370, 437
)

// recording32 is recording for the ABI I386.
var recording32 = []int{
	write32, writev32, pwrite32, socketcall32, sendto32, sendmsg32, sendmmsg32, bind32, connect32, setsockopt32,
}
