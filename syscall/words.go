package syscall

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"slowpath/task"
)

// loadWords reads 64-bit words from user memory: EFAULT.
func loadWords(t *task.Task, address uint64, words []uint64) error {
	raw := make([]byte, 8*len(words))
	if err := t.CopyIn(address, raw); err != nil {
		return err
	}
	for i := range words {
		words[i] = binary.LittleEndian.Uint64(raw[8*i:])
	}
	return nil
}

// storeWords writes 64-bit words to user memory: EFAULT.
func storeWords(t *task.Task, address uint64, words ...uint64) error {
	raw := make([]byte, 0, 64)
	for _, w := range words {
		raw = binary.LittleEndian.AppendUint64(raw, w)
	}
	return t.CopyOut(address, raw)
}

// store32 writes 32-bit words to user memory: EFAULT.
func store32(t *task.Task, address uint64, words ...uint32) error {
	raw := make([]byte, 0, 32)
	for _, w := range words {
		raw = binary.LittleEndian.AppendUint32(raw, w)
	}
	return t.CopyOut(address, raw)
}

// loadStrings reads a vector of pointers to strings that ends with a null
// pointer, for execve(2). budget is what the strings may take in all, in
// bytes, and is lowered: E2BIG beyond it. A null vector is an empty one.
func loadStrings(t *task.Task, address uint64, budget *int) ([]string, error) {
	if address == 0 {
		return nil, nil
	}
	var list []string
	for ; ; address += 8 {
		var pointer [1]uint64
		if err := loadWords(t, address, pointer[:]); err != nil {
			return nil, err
		}
		if pointer[0] == 0 {
			return list, nil
		}
		s, err := t.CopyInString(pointer[0], task.MaxArgument)
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
