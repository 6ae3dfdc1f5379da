package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/arch/amd64"
	"slowpath/mm"
	"slowpath/signal"
	"slowpath/task"
)

// splitCalls32 are the calls of i386 whose arguments differ from those of the 64-bit call:
// a 64-bit number comes in two registers, low half first, and a number that is negative
// must be sign-extended (arch/x86/kernel/sys_ia32.c).
var splitCalls32 = []Row32{
	{Number: 19, Name: "lseek", Arguments: args(FD, Int, Int), Handler: sys32Lseek},
	{Number: 140, Name: "_llseek", Arguments: args(FD, Uint, Uint, Pointer, Int), Handler: sys32Llseek},
	{Number: 92, Name: "truncate", Arguments: args(Path, Int), Handler: sys32Truncate},
	{Number: 93, Name: "ftruncate", Arguments: args(FD, Int), Handler: sys32Ftruncate},
	{Number: 193, Name: "truncate64", Arguments: args(Path, Uint, Uint), Handler: joined(sysTruncate, register(0), pair(1, 2))},
	{Number: 194, Name: "ftruncate64", Arguments: args(FD, Uint, Uint), Handler: joined(sysFtruncate, register(0), pair(1, 2))},
	{Number: 180, Name: "pread64", Arguments: args(FD, Pointer, Uint, Uint, Uint), Handler: joined(sysPread64, register(0), register(1), register(2), pair(3, 4))},
	{Number: 181, Name: "pwrite64", Arguments: args(FD, Pointer, Uint, Uint, Uint), Handler: joined(sysPwrite64, register(0), register(1), register(2), pair(3, 4))},
	{Number: 333, Name: "preadv", Layout: abi.Layout32, Arguments: args(FD, Pointer, Uint, Uint, Uint), Handler: joined(sysPreadv, register(0), register(1), register(2), pair(3, 4))},
	{Number: 334, Name: "pwritev", Layout: abi.Layout32, Arguments: args(FD, Pointer, Uint, Uint, Uint), Handler: joined(sysPwritev, register(0), register(1), register(2), pair(3, 4))},
	{Number: 378, Name: "preadv2", Layout: abi.Layout32, Arguments: args(FD, Pointer, Uint, Uint, Uint, Hex), Handler: joined(sysPreadv2, register(0), register(1), register(2), pair(3, 4), source{none, none}, register(5))},
	{Number: 379, Name: "pwritev2", Layout: abi.Layout32, Arguments: args(FD, Pointer, Uint, Uint, Uint, Hex), Handler: joined(sysPwritev2, register(0), register(1), register(2), pair(3, 4), source{none, none}, register(5))},
	{Number: 225, Name: "readahead", Arguments: args(FD, Uint, Uint, Uint), Handler: joined(sysReadahead, register(0), pair(1, 2), register(3))},
	{Number: 250, Name: "fadvise64", Arguments: args(FD, Uint, Uint, Uint, Int), Handler: joined(sysFadvise64, register(0), pair(1, 2), register(3), register(4))},
	{Number: 272, Name: "fadvise64_64", Arguments: args(FD, Uint, Uint, Uint, Uint, Int), Handler: joined(sysFadvise64, register(0), pair(1, 2), pair(3, 4), register(5))},
	{Number: 314, Name: "sync_file_range", Arguments: args(FD, Uint, Uint, Uint, Uint, Hex), Handler: joined(sysSyncFileRange, register(0), pair(1, 2), pair(3, 4), register(5))},
	{Number: 324, Name: "fallocate", Arguments: args(FD, Hex, Uint, Uint, Uint, Uint), Handler: joined(sysFallocate, register(0), register(1), pair(2, 3), pair(4, 5))},
	{Number: 90, Name: "mmap", Layout: abi.Layout32, Arguments: args(Pointer), Handler: sys32Mmap},
	{Number: 192, Name: "mmap2", Layout: abi.Layout32, Arguments: args(Pointer, Uint, Hex, Hex, FD, Uint), Handler: sys32Mmap2},
	{Number: 82, Name: "select", Layout: abi.Layout32, Arguments: args(Pointer), Handler: sys32Select},
	{Number: 141, Name: "getdents", Arguments: args(FD, Pointer, Uint), Handler: sys32Getdents},
	{Number: 268, Name: "statfs64", Arguments: args(Path, Uint, Pointer), Handler: sys32Statfs64},
	{Number: 269, Name: "fstatfs64", Arguments: args(FD, Uint, Pointer), Handler: sys32Fstatfs64},
	{Number: 55, Name: "fcntl", Layout: abi.Layout32, Arguments: args(FD, Int, Hex), Handler: sys32Fcntl64},
	{Number: 221, Name: "fcntl64", Layout: abi.Layout32, Arguments: args(FD, Int, Hex), Handler: sys32Fcntl64},
	{Number: 76, Name: "getrlimit", Layout: abi.Layout32, Arguments: args(Int, Pointer), Handler: sys32OldGetrlimit},
	{Number: 120, Name: "clone", Layout: abi.Layout32, Arguments: args(Hex, Pointer, Pointer, Pointer, Pointer), FrameHandler: sys32Clone},
	{Number: 102, Name: "socketcall", Layout: abi.Layout32, Arguments: args(Int, Pointer), Handler: sys32Socketcall},
	{Number: 173, Name: "rt_sigreturn", FrameHandler: sys32RTSigreturn},
}

// source says where an argument of a 64-bit handler comes from: the index of the register
// of i386 with its value or its low half, and that of the high half.
type source struct{ low, high int }

// none is the index of no register: the half is 0.
const none = -1

// register is an argument in one register, pair one in two.
func register(low int) source   { return source{low, none} }
func pair(low, high int) source { return source{low, high} }

// joined returns a handler that executes a 64-bit handler, whose arguments come from the
// sources.
func joined(execute Handler, sources ...source) Handler {
	return func(t *task.Task, a *amd64.Args) (uint64, error) {
		var wide amd64.Args
		for i, from := range sources {
			if from.low != none {
				wide[i] = a[from.low]
			}
			if from.high != none {
				wide[i] |= a[from.high] << 32
			}
		}
		return execute(t, &wide)
	}
}

// signed returns a number of the type long as a 64-bit argument.
func signed(register uint64) uint64 { return uint64(int64(int32(register))) }

func sys32Lseek(t *task.Task, a *amd64.Args) (uint64, error) {
	return sysLseek(t, &amd64.Args{a[0], signed(a[1]), a[2]})
}

// sys32Llseek is _llseek(2). The high half of the offset comes first.
func sys32Llseek(t *task.Task, a *amd64.Args) (uint64, error) {
	to, err := sysLseek(t, &amd64.Args{a[0], a[1]<<32 | a[2], a[4]})
	if err != nil {
		return 0, err
	}
	return 0, abi.CopyOut(t, a[3], to)
}

func sys32Truncate(t *task.Task, a *amd64.Args) (uint64, error) {
	return sysTruncate(t, &amd64.Args{a[0], signed(a[1])})
}

func sys32Ftruncate(t *task.Task, a *amd64.Args) (uint64, error) {
	return sysFtruncate(t, &amd64.Args{a[0], signed(a[1])})
}

// sys32Mmap is the call 90, whose arguments are in memory.
func sys32Mmap(t *task.Task, a *amd64.Args) (uint64, error) {
	m, err := abi.CopyIn[compat.MmapArguments](t, a[0])
	if err != nil {
		return 0, err
	}
	return sysMmap(t, &amd64.Args{
		uint64(m.Addr), uint64(m.Len), uint64(m.Prot), uint64(m.Flags), uint64(m.FD), uint64(m.Offset),
	})
}

// sys32Mmap2 is mmap2(2), whose offset is in pages.
func sys32Mmap2(t *task.Task, a *amd64.Args) (uint64, error) {
	return sysMmap(t, &amd64.Args{a[0], a[1], a[2], a[3], a[4], a[5] * mm.PageSize})
}

// sys32Select is the call 82, whose arguments are in memory.
func sys32Select(t *task.Task, a *amd64.Args) (uint64, error) {
	s, err := abi.CopyIn[compat.SelectArguments](t, a[0])
	if err != nil {
		return 0, err
	}
	return sysSelect(t, &amd64.Args{uint64(s.N), uint64(s.In), uint64(s.Out), uint64(s.Ex), uint64(s.Timeout)})
}

func sys32Getdents(t *task.Task, a *amd64.Args) (uint64, error) {
	return readDirectory(t, a, &compatDirent)
}

// checkStatfs64Size returns EINVAL unless the size is that of struct statfs64, with or
// without the padding of other ABIs (Linux: compat_sys_statfs64).
func checkStatfs64Size(size uint64) error {
	if size != uint64(len(abi.Bytes(new(compat.Statfs64)))) {
		return unix.EINVAL
	}
	return nil
}

func sys32Statfs64(t *task.Task, a *amd64.Args) (uint64, error) {
	if err := checkStatfs64Size(a[1]); err != nil {
		return 0, err
	}
	return statfsName(t, a[0], a[2], copyOutStatfs64)
}

func sys32Fstatfs64(t *task.Task, a *amd64.Args) (uint64, error) {
	if err := checkStatfs64Size(a[1]); err != nil {
		return 0, err
	}
	return statfsDescriptor(t, a[0], a[2], copyOutStatfs64)
}

// The commands of fcntl64(2) for locks with 64-bit offsets (asm-generic/fcntl.h).
const (
	fGetlk64  = 12
	fSetlk64  = 13
	fSetlkw64 = 14
)

// sys32Fcntl64 is fcntl64(2), and also the call 55, fcntl: Linux gives 32-bit programs on
// x86-64 the commands for large locks in both.
func sys32Fcntl64(t *task.Task, a *amd64.Args) (uint64, error) {
	return fcntl(t, a, func(command int32) fcntlCommand {
		if known := fcntlCommands32[command]; known != nil {
			return known
		}
		return fcntlCommands[command]
	})
}

// fcntlCommands32 has the commands that only 32-bit programs have.
var fcntlCommands32 = map[int32]fcntlCommand{
	fGetlk64:  testLock(processLock, flock64),
	fSetlk64:  setLock(processLock, flock64, failIfHeld),
	fSetlkw64: setLock(processLock, flock64, waitIfHeld),
}

// sys32OldGetrlimit is the call 76: its limits are positive numbers of the type long.
func sys32OldGetrlimit(t *task.Task, a *amd64.Args) (uint64, error) {
	limit, err := changeLimit(t, t.Group(), a[0], nil)
	if err != nil {
		return 0, err
	}
	return 0, abi.CopyOut(t, a[1], compat.Rlimit{
		Cur: uint32(min(limit.Soft, maxNonLargeFile)), Max: uint32(min(limit.Hard, maxNonLargeFile)),
	})
}

// sys32Clone is clone(2): the last two arguments are in the other order.
func sys32Clone(t *task.Task, f *amd64.Frame, a *amd64.Args) (uint64, error) {
	return sysClone(t, f, &amd64.Args{a[0], a[1], a[2], a[4], a[3]})
}

func sys32RTSigreturn(t *task.Task, f *amd64.Frame, _ *amd64.Args) (uint64, error) {
	t.SignalReturn(f, signal.PopInfo32)
	return f.RAX, nil
}

// socketCalls32 are the calls of socketcall(2) by number, and the numbers of their
// arguments (linux/net.h).
var socketCalls32 = [...]struct {
	execute   Handler
	arguments int
}{
	1: {sysSocket, 3}, 2: {sysBind, 3}, 3: {sysConnect, 3}, 4: {sysListen, 2}, 5: {sysAccept, 3},
	6: {sysGetsockname, 3}, 7: {sysGetpeername, 3}, 8: {sysSocketpair, 4},
	9: {sys32Send, 4}, 10: {sys32Recv, 4}, 11: {sysSendto, 6}, 12: {sysRecvfrom, 6}, 13: {sysShutdown, 2},
	14: {sysSetsockopt, 5}, 15: {sysGetsockopt, 5}, 16: {sysSendmsg, 3}, 17: {sysRecvmsg, 3}, 18: {sysAccept4, 4},
	19: {sys32OldRecvmmsg, 5}, 20: {sysSendmmsg, 4},
}

// sys32Socketcall is socketcall(2).
func sys32Socketcall(t *task.Task, a *amd64.Args) (uint64, error) {
	number := uint32(a[0])
	if number < 1 || number >= uint32(len(socketCalls32)) {
		return 0, unix.EINVAL
	}
	call := &socketCalls32[number]
	var narrow [6]uint32
	if err := abi.CopyInSlice(t, a[1], narrow[:call.arguments]); err != nil {
		return 0, err
	}
	var wide amd64.Args
	for i, v := range narrow {
		wide[i] = uint64(v)
	}
	return call.execute(t, &wide)
}

// sys32Send and sys32Recv are sendto(2) and recvfrom(2) without an address.
func sys32Send(t *task.Task, a *amd64.Args) (uint64, error) {
	return sysSendto(t, &amd64.Args{a[0], a[1], a[2], a[3]})
}

func sys32Recv(t *task.Task, a *amd64.Args) (uint64, error) {
	return sysRecvfrom(t, &amd64.Args{a[0], a[1], a[2], a[3]})
}

// sys32OldRecvmmsg is recvmmsg(2) with a timeout of 32 bits.
func sys32OldRecvmmsg(t *task.Task, a *amd64.Args) (uint64, error) {
	t.Layout = abi.Layout32Time32
	return sysRecvmmsg(t, a)
}
