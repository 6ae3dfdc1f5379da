package task

import (
	"encoding/binary"
	"reflect"
	"sync"

	"slowpath/fs"
	"slowpath/mm"
	"slowpath/signal"
)

// SharedObjects are the objects of a task that other tasks may share (kcmp(2)). Those
// that the task has released are nil.
type SharedObjects struct {
	Memory      *mm.AddressSpace
	Files       *fs.FDTable
	Directories *fs.Context
	Actions     *signal.Actions
}

// SharedObjects returns the objects, without references: they are only to be compared.
// Any goroutine may call it.
func (t *Task) SharedObjects() SharedObjects {
	t.resources.Lock()
	defer t.resources.Unlock()
	return SharedObjects{Memory: t.MM, Files: t.FDs, Directories: t.FS, Actions: t.group.Actions()}
}

// orders has a secret permutation of addresses for each kind of objects, so that the
// order of kcmp(2) does not tell where objects are in memory (Linux: kptr_obfuscate).
type orders struct {
	once    sync.Once
	secrets [comparedKinds][2]uint64
}

// ComparedKind is a kind of objects that Kernel.Compare orders.
type ComparedKind uint8

// comparedKinds is the number of kinds: the types of kcmp(2), with room to spare.
const comparedKinds = 8

// Compare orders two pointers of one type, which may be nil: 0 if they are equal, 1 if
// the first comes before the second, else 2. The order is the same until the next boot.
// Any goroutine may call it.
func (k *Kernel) Compare(kind ComparedKind, first, second any) uint64 {
	a, b := k.place(kind, first), k.place(kind, second)
	switch {
	case a < b:
		return 1
	case a > b:
		return 2
	}
	return 0
}

// place returns the place of an object in the order of its kind. The objects of the
// kernel do not move.
func (k *Kernel) place(kind ComparedKind, object any) uint64 {
	k.orders.once.Do(func() {
		var secret [8]byte
		for i := range k.orders.secrets {
			for j := range k.orders.secrets[i] {
				k.Random(secret[:])
				k.orders.secrets[i][j] = binary.LittleEndian.Uint64(secret[:])
			}
		}
	})
	secret := k.orders.secrets[kind%comparedKinds]
	return (uint64(reflect.ValueOf(object).Pointer()) ^ secret[0]) * (secret[1] | 1)
}
