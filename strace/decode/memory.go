package decode

import "golang.org/x/sys/unix"

var (
	protFlags   = names("PROT_???", "PROT_NONE 0 PROT_READ 1 PROT_WRITE 2 PROT_EXEC 4 PROT_SEM 8 PROT_GROWSDOWN 0x1000000 PROT_GROWSUP 0x2000000")
	mapTypes    = names("MAP_???", "MAP_SHARED 1 MAP_PRIVATE 2 MAP_SHARED_VALIDATE 3 MAP_FILE 0")
	mapFlags    = names("", "MAP_FIXED 0x10 MAP_ANONYMOUS 0x20 MAP_32BIT 0x40 MAP_NORESERVE 0x4000 MAP_POPULATE 0x8000 MAP_NONBLOCK 0x10000 MAP_GROWSDOWN 0x100 MAP_DENYWRITE 0x800 MAP_EXECUTABLE 0x1000 MAP_LOCKED 0x2000 MAP_STACK 0x20000 MAP_HUGETLB 0x40000 MAP_SYNC 0x80000 MAP_UNINITIALIZED 0x4000000 MAP_FIXED_NOREPLACE 0x100000")
	remapFlags  = names("MREMAP_???", "MREMAP_MAYMOVE 1 MREMAP_FIXED 2 MREMAP_DONTUNMAP 4")
	syncModes   = names("MS_???", "MS_SYNC 4 MS_ASYNC 1 MS_INVALIDATE 2")
	madviseCmds = names("MADV_???", `MADV_NORMAL 0 MADV_RANDOM 1 MADV_SEQUENTIAL 2 MADV_WILLNEED 3 MADV_DONTNEED 4 MADV_FREE 8 MADV_REMOVE 9 MADV_DONTFORK 10 MADV_DOFORK 11
		MADV_MERGEABLE 12 MADV_UNMERGEABLE 13 MADV_HUGEPAGE 14 MADV_NOHUGEPAGE 15 MADV_DONTDUMP 16 MADV_DODUMP 17 MADV_WIPEONFORK 18 MADV_KEEPONFORK 19
		MADV_COLD 20 MADV_PAGEOUT 21 MADV_POPULATE_READ 22 MADV_POPULATE_WRITE 23 MADV_DONTNEED_LOCKED 24 MADV_COLLAPSE 25 MADV_HWPOISON 100 MADV_SOFT_OFFLINE 101`)
	lockAll   = names("MCL_???", "MCL_CURRENT 1 MCL_FUTURE 2 MCL_ONFAULT 4")
	lockFlags = names("MLOCK_???", "MLOCK_ONFAULT 1")
	barriers  = names("MEMBARRIER_CMD_???", `MEMBARRIER_CMD_QUERY 0 MEMBARRIER_CMD_GLOBAL 1 MEMBARRIER_CMD_GLOBAL_EXPEDITED 2 MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED 4
		MEMBARRIER_CMD_PRIVATE_EXPEDITED 8 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED 0x10 MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE 0x20
		MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE 0x40 MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ 0x80 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ 0x100`)
	barrierFlags = names("MEMBARRIER_CMD_FLAG_???", "MEMBARRIER_CMD_FLAG_CPU 1")
	keyRights    = names("PKEY_???", "PKEY_DISABLE_ACCESS 1 PKEY_DISABLE_WRITE 2 PKEY_DISABLE_EXECUTE 4")
)

// mapFlagsOf prints the flags of mmap(2).
func mapFlagsOf(p *Printer, _ *Input, v uint64) {
	p.text(p.styled(hexText(v), mapFlagsText(v)))
}

func mapFlagsText(v uint64) string {
	const kind, hugeShift, hugeMask = 0xf, 26, 0x3f << 26
	abbreviated := new(Printer)
	text := abbreviated.value(mapTypes, v&kind)
	if rest := v &^ (kind | hugeMask); rest != 0 {
		text += "|" + abbreviated.flags(mapFlags, rest)
	}
	if huge := v & hugeMask; huge != 0 {
		text += "|" + decimal(huge>>hugeShift) + "<<MAP_HUGE_SHIFT"
	}
	return text
}

// moves reports whether mremap(2) has a new address.
func moves(c *Call) bool { return c.Arguments[3]&3 == 3 }

// barrierResult prints the result of membarrier(2).
func barrierResult(p *Printer, c *Call) {
	if c.Arguments[0] == 0 && c.Result != 0 {
		p.text(hexText(uint64(c.Result)) + " (" + p.flags(barriers, uint64(c.Result)) + ")")
		return
	}
	p.format("%d", c.Result)
}

// memoryRows are the calls on memory.
var memoryRows = []Row{
	call(unix.SYS_MMAP, "mmap", "desc memory", at(0, pointer), at(1, ulong), at(2, longFlagsOf(protFlags)), at(3, mapFlagsOf), fd(4), at(5, hex)).gives(resultHex),
	call(unix.SYS_MPROTECT, "mprotect", "memory", at(0, pointer), at(1, ulong), at(2, longFlagsOf(protFlags))),
	call(unix.SYS_PKEY_MPROTECT, "pkey_mprotect", "memory", at(0, pointer), at(1, ulong), at(2, longFlagsOf(protFlags)), at(3, dec)),
	call(unix.SYS_PKEY_ALLOC, "pkey_alloc", "", at(0, hex), at(1, longFlagsOf(keyRights))),
	call(unix.SYS_PKEY_FREE, "pkey_free", "", at(0, dec)),
	call(unix.SYS_MUNMAP, "munmap", "memory", at(0, pointer), at(1, ulong)),
	call(unix.SYS_BRK, "brk", "memory", at(0, pointer)).gives(resultHex),
	call(unix.SYS_MREMAP, "mremap", "memory", at(0, pointer), at(1, ulong), at(2, ulong), at(3, longFlagsOf(remapFlags)), if_(moves, at(4, pointer))).gives(resultHex),
	call(unix.SYS_MSYNC, "msync", "memory", at(0, pointer), at(1, ulong), at(2, flagsOf(syncModes))),
	call(unix.SYS_MADVISE, "madvise", "memory", at(0, pointer), at(1, ulong), at(2, oneOf(madviseCmds))),
	call(unix.SYS_MLOCK, "mlock", "memory", at(0, pointer), at(1, ulong)),
	call(unix.SYS_MLOCK2, "mlock2", "memory", at(0, pointer), at(1, ulong), at(2, flagsOf(lockFlags))),
	call(unix.SYS_MUNLOCK, "munlock", "memory", at(0, pointer), at(1, ulong)),
	call(unix.SYS_MLOCKALL, "mlockall", "memory", at(0, flagsOf(lockAll))),
	call(unix.SYS_MUNLOCKALL, "munlockall", "memory"),
	call(unix.SYS_MEMBARRIER, "membarrier", "", at(0, oneOf(barriers)), at(1, flagsOf(barrierFlags)), if_(has(1, 1), at(2, dec))).gives(barrierResult),
	call(unix.SYS_PROCESS_VM_READV, "process_vm_readv", "", at(0, pid), vectorsOut(1, 2), at(2, ulong), remoteVectors(3, 4), at(4, ulong), at(5, ulong)),
	call(unix.SYS_PROCESS_VM_WRITEV, "process_vm_writev", "", at(0, pid), vectorsIn(1, 2), at(2, ulong), remoteVectors(3, 4), at(4, ulong), at(5, ulong)),
}

// remoteVectors prints iovecs of another process.
func remoteVectors(i, count int) Arg {
	return arrayIn(i, argument(count), 16, func(p *Printer, _ *Input, b []byte) {
		p.text("{iov_base=")
		p.address(word(b, 0, 8))
		p.format(", iov_len=%d}", word(b, 8, 8))
	})
}
