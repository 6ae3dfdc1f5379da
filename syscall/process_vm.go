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
	return processVM(t, a, (*remoteTransfer).read)
}

func sysProcessVMWritev(t *task.Task, a *amd64.Args) (uint64, error) {
	return processVM(t, a, (*remoteTransfer).write)
}

// remoteTransfer copies between the buffers of the calling task and the memory of
// another process.
type remoteTransfer struct {
	local *userMemory
	space *mm.AddressSpace
	// buffer is kernel memory of the call, at most remoteBuffer bytes.
	buffer []byte
}

// remoteBuffer is the length of the buffer of a large transfer, in bytes.
const remoteBuffer = 16 << 10

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
	local, err := newUserVectors(t, a[1], a[2])
	if err != nil || local.Remaining() == 0 {
		return 0, err
	}
	var few [8]abi.Iovec // UIO_FASTIOV: more are admitted
	vectors, length, err := remoteVectors(t, few[:], a[3], a[4])
	if err != nil || length == 0 {
		return 0, err
	}
	target := t.Kernel().TaskByID(int(int32(a[0])))
	if target == nil {
		return 0, unix.ESRCH
	}
	space, err := t.InspectMemory(target, cred.WithRealIDs)
	if err != nil {
		return 0, err
	}
	defer space.DecRef()
	var small [128]byte
	r := remoteTransfer{local: local, space: space, buffer: small[:]}
	if n := min(length, uint64(local.Remaining())); n > uint64(len(small)) {
		r.buffer = make([]byte, min(n, remoteBuffer))
	}
	return r.transfer(vectors, move)
}

// transfer calls move for each part of the remote vectors, until the local buffers are
// at their end.
func (r *remoteTransfer) transfer(vectors []abi.Iovec, move func(r *remoteTransfer, address uint64, n int) (int, error)) (uint64, error) {
	total := uint64(0)
	for _, v := range vectors {
		for v.Len > 0 && r.local.Remaining() > 0 {
			n, err := move(r, v.Base, int(min(v.Len, uint64(len(r.buffer)), uint64(r.local.Remaining()))))
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

// remoteVectors returns the vectors of the other process and the sum of their
// lengths, which is at most that of all memory. few is used if they fit. The addresses
// are not checked: only an access to a bad one fails. Errors: EINVAL for too many
// vectors or a negative length, EFAULT, ENOMEM.
func remoteVectors(t *task.Task, few []abi.Iovec, address, count uint64) (vectors []abi.Iovec, length uint64, err error) {
	if count > maxVectors {
		return nil, 0, unix.EINVAL
	}
	const vectorBytes = 16
	vectors = few
	if count > uint64(len(few)) {
		if err := t.Kernel().Memory().Admit(int64(count) * vectorBytes); err != nil {
			return nil, 0, err
		}
		vectors = make([]abi.Iovec, count)
	}
	vectors = vectors[:count]
	if err := abi.CopyInSlice(t, address, vectors); err != nil {
		return nil, 0, err
	}
	for i := range vectors {
		if int64(vectors[i].Len) < 0 {
			return nil, 0, unix.EINVAL
		}
		length = min(length+vectors[i].Len, userEnd)
	}
	return vectors, length, nil
}
