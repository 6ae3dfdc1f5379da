package task

// The Go runtime begins a goroutine on a stack of 2 KiB and copies it to one
// of twice the size when it is full. A copy rewrites the pointers of each
// frame, at a thousand instructions a frame, and a task's way into its first
// system call is a dozen frames deep. So the stack grows while there is one.

// stackRoom makes the second stack, of 8 KiB: execve(2) needs more than 4 KiB.
const stackRoom = 5 << 10

// growStack makes the caller's stack have stackRoom bytes free. The frame does
// it, at the function's beginning, whether it is used or not; so the caller
// does not use it, and nothing is cleared.
//
//go:noinline
func growStack(use bool) byte {
	if !use {
		return 0
	}
	var room [stackRoom]byte
	return readLast(&room)
}

//go:noinline
func readLast(room *[stackRoom]byte) byte { return room[stackRoom-1] }
