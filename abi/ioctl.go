package abi

// Requests of ioctl(2) that every file supports (include/uapi/asm-generic/
// ioctls.h, linux/fs.h).
const (
	FIONCLEX = 0x5450 // clear the close-on-exec flag
	FIOCLEX  = 0x5451 // set it
	FIONBIO  = 0x5421 // set or clear O_NONBLOCK
	FIOASYNC = 0x5452 // set or clear O_ASYNC
	FIGETBSZ = 2      // block size of the file system
)
