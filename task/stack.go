package task

// A goroutine starts with a stack of 2 KiB. When the stack is full, the Go
// runtime copies it to a stack of twice the size and rewrites the pointers in
// every frame, which costs about 1000 instructions per frame. A task is a dozen
// frames deep in its first system call. Growing the stack early, while it has
// one frame, avoids that cost.

// stackRoom is the number of bytes that growStack makes free. It forces a stack
// of 8 KiB, because execve(2) needs more than 4 KiB.
const stackRoom = 5 << 10

// growStack grows the goroutine's stack until stackRoom bytes are free. The
// prologue of growStackFrame does it, because that function has a large frame.
func growStack() { growStackFrame(skipFrame) }

// frameUse says whether growStackFrame executes the code that uses its frame.
type frameUse bool

const skipFrame frameUse = false

// growStackFrame has a frame of stackRoom bytes. With skipFrame it returns
// before the frame would be cleared.
//
//go:noinline
func growStackFrame(use frameUse) byte {
	if use == skipFrame {
		return 0
	}
	var room [stackRoom]byte
	return readLast(&room)
}

//go:noinline
func readLast(room *[stackRoom]byte) byte { return room[stackRoom-1] }
