package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/task"
)

// stringBytes is about what a string needs of the kernel's heap besides its bytes.
const stringBytes = 64

// loadStrings reads a null-terminated array of string pointers, for execve(2).
// A null address means an empty array. It subtracts the bytes of the strings
// and the pointers from budget. Errors: EFAULT, E2BIG if budget becomes negative,
// ENOMEM if the kernel's heap has no room for the strings.
func loadStrings(t *task.Task, address uint64, budget *int) ([]string, error) {
	if address == 0 {
		return nil, nil
	}
	var list []string
	for ; ; address += 8 {
		pointer, err := abi.CopyIn[uint64](t, address)
		if err != nil {
			return nil, err
		}
		if pointer == 0 {
			return list, nil
		}
		s, err := t.CopyInString(pointer, task.MaxArgument)
		if err == unix.ENAMETOOLONG {
			return nil, unix.E2BIG
		}
		if err != nil {
			return nil, err
		}
		if *budget -= len(s) + 1 + 8; *budget < 0 {
			return nil, unix.E2BIG
		}
		if err := t.Kernel().Memory().Admit(int64(len(s)) + stringBytes); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
}
