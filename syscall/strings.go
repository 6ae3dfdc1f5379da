package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/task"
)

// loadStrings reads a null-terminated array of string pointers, for execve(2).
// A null address means an empty array. It subtracts the bytes of the strings
// and the pointers from budget, and returns E2BIG if budget becomes negative.
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
		list = append(list, s)
	}
}
