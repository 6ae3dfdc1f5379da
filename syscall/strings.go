package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/task"
)

// argumentLoader reads the arguments and the environment of execve(2). They and the
// stack that execve(2) makes of them are reserved in the kernel's heap until end: a
// program can pass megabytes, and many programs can do so at the same time.
type argumentLoader struct {
	t        *task.Task
	budget   int   // bytes of strings and pointers that are left (E2BIG)
	needed   int64 // bytes of the heap for the strings so far
	reserved int64
}

// The heap that a string needs: its own bytes and three copies of them in the stack's
// image, and for the slices of strings, offsets and pointers while they grow.
const (
	copiesOfString  = 4
	bytesPerString  = 96
	reservationStep = 16 << 10
)

// end ends the reservation.
func (l *argumentLoader) end() { l.t.Kernel().Memory().Unreserve(l.reserved) }

// charge reserves the memory for a string of n bytes. Error: ENOMEM.
func (l *argumentLoader) charge(n int) error {
	l.needed += int64(n)*copiesOfString + bytesPerString
	if l.needed <= l.reserved {
		return nil
	}
	more := max(l.needed-l.reserved, reservationStep)
	if err := l.t.Kernel().Memory().Reserve(more); err != nil {
		return err
	}
	l.reserved += more
	return nil
}

// load reads a null-terminated array of string pointers. A null address means an
// empty array. Errors: E2BIG if the strings and pointers are longer than the budget,
// EFAULT, ENOMEM, EINTR if the task is killed.
func (l *argumentLoader) load(address uint64) ([]string, error) {
	if address == 0 {
		return nil, nil
	}
	var list []string
	for {
		if l.t.Killed() {
			return nil, unix.EINTR
		}
		pointer, next, err := copyInPointer(l.t, address)
		if err != nil {
			return nil, err
		}
		address = next
		if pointer == 0 {
			return list, nil
		}
		s, err := l.loadString(pointer)
		if err != nil {
			return nil, err
		}
		if l.budget -= len(s) + 1 + 8; l.budget < 0 {
			return nil, unix.E2BIG
		}
		if err := l.charge(len(s)); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
}

// loadString reads one string. The buffers for a long one are reserved before it is
// read. Errors: E2BIG, EFAULT, ENOMEM.
func (l *argumentLoader) loadString(address uint64) (string, error) {
	const short, buffers = 1024, 4 * task.MaxArgument
	s, err := l.t.CopyInString(address, short)
	if err != unix.ENAMETOOLONG {
		return s, err
	}
	memory := l.t.Kernel().Memory()
	if err := memory.Reserve(buffers); err != nil {
		return "", err
	}
	defer memory.Unreserve(buffers)
	s, err = l.t.CopyInString(address, task.MaxArgument)
	if err == unix.ENAMETOOLONG {
		err = unix.E2BIG
	}
	return s, err
}
