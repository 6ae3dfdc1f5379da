package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/mm"
	"slowpath/task"
)

// processMemoryCalls access the memory of another process.
var processMemoryCalls = []Row{
	{Number: unix.SYS_PROCESS_VM_READV, Name: "process_vm_readv", Arguments: args(PID, Pointer, Uint, Pointer, Uint, Hex), Handler: sysProcessVMReadv},
	{Number: unix.SYS_PROCESS_VM_WRITEV, Name: "process_vm_writev", Arguments: args(PID, Pointer, Uint, Pointer, Uint, Hex), Handler: sysProcessVMWritev},
}

func sysProcessVMReadv(t *task.Task, a *amd64.Args) (uint64, error) {
	if a[2] == 1 && a[4] == 1 && a[5] == 0 {
		if n := readFew(t, a); n > 0 {
			return uint64(n), nil
		}
	}
	return processVM(t, a, (*remoteTransfer).read)
}

func sysProcessVMWritev(t *task.Task, a *amd64.Args) (uint64, error) {
	return processVM(t, a, (*remoteTransfer).write)
}

// fewBytes is the greatest length of a transfer that readFew can do.
const fewBytes = 64

// readFew is process_vm_readv(2) with one vector on each side, of one length of at most
// fewBytes, which debuggers use to read a word. It takes two thirds of the instructions.
// It returns 0 if the call is another or an error must be found.
func readFew(t *task.Task, a *amd64.Args) int {
	var local, remote abi.Iovec
	if t.CopyIn(a[1], abi.Bytes(&local)) != nil || t.CopyIn(a[3], abi.Bytes(&remote)) != nil {
		return 0
	}
	if local.Len != remote.Len || local.Len > fewBytes {
		return 0
	}
	target := t.Kernel().TaskByID(int(int32(a[0])))
	if target == nil {
		return 0
	}
	space, err := t.InspectMemory(target, cred.WithRealIDs)
	if err != nil {
		return 0
	}
	defer space.DecRef()
	var buffer [fewBytes]byte
	p := buffer[:local.Len]
	if n, _ := space.ReadRemote(p, remote.Base, mm.ByProtection); n < len(p) || t.CopyOut(local.Base, p) != nil {
		return 0
	}
	return len(p)
}

// remoteTransfer copies between the buffers of the calling task and the memory of
// another process. The calls of a task reuse one, because allocations would take a third
// of the instructions of a small transfer.
type remoteTransfer struct {
	local   userMemory
	space   *mm.AddressSpace
	vectors []abi.Iovec // of the other process
	length  uint64      // of all of them, at most that of all memory
	buffer  []byte      // kernel memory of the call, at most remoteBuffer bytes

	localFew, remoteFew [fewVectors]abi.Iovec
	small               [128]byte
}

// fewVectors is the number of vectors that need no allocation (UIO_FASTIOV).
const fewVectors = 8

// remoteBuffer is the length of the buffer of a large transfer, in bytes.
const remoteBuffer = 16 << 10

// newRemoteTransfer returns the task's transfer.
func newRemoteTransfer(t *task.Task) *remoteTransfer {
	r, ok := t.RemoteTransfer.(*remoteTransfer)
	if !ok {
		r = new(remoteTransfer)
		t.RemoteTransfer = r
	}
	r.local = userMemory{t: t}
	return r
}

// processVM is process_vm_readv(2) with read as move, and process_vm_writev(2) with
// write. move transfers up to n bytes at a remote address, at most the length of the
// buffer, and returns how many were transferred.
//
// The order of the checks is that of Linux 6.1 (process_vm_rw): the process is not
// looked up if there is nothing to transfer. The result is a partial count if at least
// one byte was transferred.
func processVM(t *task.Task, a *amd64.Args, move func(r *remoteTransfer, address uint64, n int) (int, error)) (uint64, error) {
	if a[5] != 0 {
		return 0, unix.EINVAL
	}
	r := newRemoteTransfer(t)
	defer r.release()
	if err := r.loadLocal(a[1], a[2]); err != nil || r.local.left == 0 {
		return 0, err
	}
	if err := r.loadRemote(a[3], a[4]); err != nil || r.length == 0 {
		return 0, err
	}
	target := t.Kernel().TaskByID(int(int32(a[0])))
	if target == nil {
		return 0, unix.ESRCH
	}
	var err error
	if r.space, err = t.InspectMemory(target, cred.WithRealIDs); err != nil {
		return 0, err
	}
	r.buffer = r.small[:]
	if n := min(r.length, uint64(r.local.left)); n > uint64(len(r.small)) {
		r.buffer = make([]byte, min(n, remoteBuffer))
	}
	return r.transfer(move)
}

// release drops what the transfer does not keep for the next call.
func (r *remoteTransfer) release() {
	if r.space != nil {
		r.space.DecRef()
	}
	r.space, r.buffer, r.vectors, r.local.vectors = nil, nil, nil, nil
}

// loadLocal reads the vectors of the caller. Errors: EINVAL for too many vectors or a
// negative length, EFAULT, ENOMEM.
func (r *remoteTransfer) loadLocal(address, count uint64) (err error) {
	if r.local.vectors, err = roomForVectors(r.local.t, &r.localFew, count); err != nil {
		return err
	}
	return r.local.loadVectors(address)
}

// loadRemote reads the vectors of the other process. Their addresses are not checked:
// only an access to a bad one fails. Errors: as those of loadLocal.
func (r *remoteTransfer) loadRemote(address, count uint64) (err error) {
	r.length = 0
	if r.vectors, err = roomForVectors(r.local.t, &r.remoteFew, count); err != nil {
		return err
	}
	if len(r.vectors) > 0 {
		if err := copyInVectors(r.local.t, address, r.vectors); err != nil {
			return err
		}
	}
	for i := range r.vectors {
		if int64(r.vectors[i].Len) < 0 {
			return unix.EINVAL
		}
		r.length = min(r.length+r.vectors[i].Len, userEnd)
	}
	return nil
}

// roomForVectors returns a slice of count vectors, which is few if they fit: EINVAL,
// ENOMEM.
func roomForVectors(t *task.Task, few *[fewVectors]abi.Iovec, count uint64) ([]abi.Iovec, error) {
	const vectorBytes = 16
	switch {
	case count <= fewVectors:
		return few[:count], nil
	case count > maxVectors:
		return nil, unix.EINVAL
	}
	if err := t.Kernel().Memory().Admit(int64(count) * vectorBytes); err != nil {
		return nil, err
	}
	return make([]abi.Iovec, count), nil
}

// transfer calls move for each part of the remote vectors, until the local buffers are
// at their end.
func (r *remoteTransfer) transfer(move func(r *remoteTransfer, address uint64, n int) (int, error)) (uint64, error) {
	total := uint64(0)
	for _, v := range r.vectors {
		for v.Len > 0 && r.local.left > 0 {
			n, err := move(r, v.Base, int(min(v.Len, uint64(len(r.buffer)), uint64(r.local.left))))
			total += uint64(n)
			v.Base += uint64(n)
			v.Len -= uint64(n)
			if err != nil && total > 0 {
				return total, nil
			}
			if err != nil {
				return 0, unix.EFAULT
			}
		}
	}
	return total, nil
}

func (r *remoteTransfer) read(address uint64, n int) (int, error) {
	n, err := r.local.t.ReadOther(r.space, address, r.buffer[:n], mm.ByProtection)
	put, putErr := r.local.Put(r.buffer[:n])
	if putErr != nil {
		return put, putErr
	}
	return put, err
}

func (r *remoteTransfer) write(address uint64, n int) (int, error) {
	got, getErr := r.local.Get(r.buffer[:n])
	n, err := r.local.t.WriteOther(r.space, address, r.buffer[:got], mm.ByProtection)
	if err != nil {
		return n, err
	}
	return n, getErr
}
