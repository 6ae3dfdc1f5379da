package decode

import (
	"golang.org/x/sys/unix"

	"slowpath/tracespec"
)

var (
	accessModes = names("", "O_RDONLY 0 O_WRONLY 1 O_RDWR 2 O_ACCMODE 3")
	openModes   = names("O_???", `O_CREAT 0x40 O_EXCL 0x80 O_NOCTTY 0x100 O_TRUNC 0x200 O_APPEND 0x400 O_NONBLOCK 0x800
		O_SYNC 0x101000 O_DSYNC 0x1000 O_DIRECT 0x4000 O_LARGEFILE 0x8000 O_NOFOLLOW 0x20000 O_NOATIME 0x40000
		O_CLOEXEC 0x80000 O_PATH 0x200000 O_TMPFILE 0x410000 __O_TMPFILE 0x400000 O_DIRECTORY 0x10000 FASYNC 0x2000`)
	whence      = sequence("SEEK_???", 0, "SEEK_SET SEEK_CUR SEEK_END SEEK_DATA SEEK_HOLE")
	fcntlCalls  = names("F_???", fcntlNames)
	fdFlags     = names("FD_???", "FD_CLOEXEC 1")
	lockTypes   = names("F_???", "F_RDLCK 0 F_WRLCK 1 F_UNLCK 2 F_EXLCK 4 F_SHLCK 8")
	sealFlags   = names("F_SEAL_???", "F_SEAL_SEAL 1 F_SEAL_SHRINK 2 F_SEAL_GROW 4 F_SEAL_WRITE 8 F_SEAL_FUTURE_WRITE 0x10")
	notifyFlags = names("DN_???", "DN_ACCESS 1 DN_MODIFY 2 DN_CREATE 4 DN_DELETE 8 DN_RENAME 0x10 DN_ATTRIB 0x20 DN_MULTISHOT 0x80000000")
	ownerTypes  = sequence("F_OWNER_???", 0, "F_OWNER_TID F_OWNER_PID F_OWNER_PGRP")
	flockFlags  = names("LOCK_???", "LOCK_MAND 0x20 LOCK_SH 1 LOCK_EX 2 LOCK_UN 8 LOCK_NB 4")
	adviceNames = sequence("POSIX_FADV_???", 0, "POSIX_FADV_NORMAL POSIX_FADV_RANDOM POSIX_FADV_SEQUENTIAL POSIX_FADV_WILLNEED POSIX_FADV_DONTNEED POSIX_FADV_NOREUSE")
	fallocModes = names("FALLOC_FL_???", "FALLOC_FL_KEEP_SIZE 1 FALLOC_FL_PUNCH_HOLE 2 FALLOC_FL_NO_HIDE_STALE 4 FALLOC_FL_COLLAPSE_RANGE 8 FALLOC_FL_ZERO_RANGE 0x10 FALLOC_FL_INSERT_RANGE 0x20 FALLOC_FL_UNSHARE_RANGE 0x40")
	syncFlags   = names("SYNC_FILE_RANGE_???", "SYNC_FILE_RANGE_WAIT_BEFORE 1 SYNC_FILE_RANGE_WRITE 2 SYNC_FILE_RANGE_WAIT_AFTER 4")
	spliceFlags = names("SPLICE_F_???", "SPLICE_F_MOVE 1 SPLICE_F_NONBLOCK 2 SPLICE_F_MORE 4 SPLICE_F_GIFT 8")
	rwFlags     = names("RWF_???", "RWF_HIPRI 1 RWF_DSYNC 2 RWF_SYNC 4 RWF_NOWAIT 8 RWF_APPEND 0x10")
	closeRange  = names("CLOSE_RANGE_???", "CLOSE_RANGE_UNSHARE 2 CLOSE_RANGE_CLOEXEC 4")
	memfdFlags  = names("MFD_???", "MFD_CLOEXEC 1 MFD_ALLOW_SEALING 2 MFD_HUGETLB 4")
)

// fcntlNames are the commands of fcntl(2) with their numbers.
const fcntlNames = `F_DUPFD 0 F_GETFD 1 F_SETFD 2 F_GETFL 3 F_SETFL 4 F_GETLK 5 F_SETLK 6 F_SETLKW 7 F_SETOWN 8 F_GETOWN 9
		F_SETSIG 10 F_GETSIG 11 F_SETOWN_EX 15 F_GETOWN_EX 16 F_GETOWNER_UIDS 17 F_OFD_GETLK 36 F_OFD_SETLK 37 F_OFD_SETLKW 38
		F_SETLEASE 1024 F_GETLEASE 1025 F_NOTIFY 1026 F_CANCELLK 1029 F_DUPFD_CLOEXEC 1030 F_SETPIPE_SZ 1031 F_GETPIPE_SZ 1032
		F_ADD_SEALS 1033 F_GET_SEALS 1034 F_GET_RW_HINT 1035 F_SET_RW_HINT 1036 F_GET_FILE_RW_HINT 1037 F_SET_FILE_RW_HINT 1038`

// openFlags returns the flags of open(2) in the style of the printer.
func (p *Printer) openFlags(v uint64) string { return p.styled(hexText(v), openFlagsText(v)) }

// openFlagsText returns the names of the flags of open(2).
func openFlagsText(v uint64) string {
	text := accessModes.find(v & 3)
	rest := v &^ 3
	if rest == 0 {
		return text
	}
	if list, _ := openModes.flagNames(rest); len(list) == 0 {
		return text + "|" + hexText(rest)
	}
	return text + "|" + new(Printer).flags(openModes, rest)
}

func openFlagsOf(p *Printer, _ *Input, v uint64) { p.text(p.openFlags(uint64(uint32(v)))) }

// creates reports whether an open creates a file, so that its mode is printed.
func creates(i int) func(c *Call) bool {
	return func(c *Call) bool { return c.Arguments[i]&(unix.O_CREAT|0x400000) != 0 }
}

// fcntlOn is an argument of fcntl(2) for some commands.
func fcntlOn(a Arg, commands ...uint64) Arg { return when(1, 0xffffffff, commands, a) }

// fcntlKnown are the commands that have no argument, or one that is decoded.
var fcntlKnown = []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 36, 37, 38, 1024, 1025, 1026, 1030, 1031, 1032, 1033, 1034}

var flockFields = []field{
	{name: "l_type", offset: 0, size: 2, print: oneOf(lockTypes)}, {name: "l_whence", offset: 2, size: 2, print: oneOf(whence)},
	{name: "l_start", offset: 8, size: 8, print: long}, {name: "l_len", offset: 16, size: 8, print: long},
}

var flockWithPID = append(flockFields[:len(flockFields):len(flockFields)], field{name: "l_pid", offset: 24, size: 4, print: dec})

var ownerEx = structure(field{name: "type", size: 4, print: oneOf(ownerTypes)}, field{name: "pid", offset: 4, size: 4, print: dec})

// fcntlResult prints the result of fcntl(2).
func fcntlResult(p *Printer, c *Call) {
	v := uint64(c.Result)
	switch command := uint32(c.Arguments[1]); {
	case command == unix.F_GETFD && v != 0:
		p.text(hexText(v) + " (flags " + p.flags(fdFlags, v) + ")")
	case command == unix.F_GETFL:
		p.text(hexText(v) + " (flags " + openFlagsText(v) + ")")
	case command == unix.F_GETLEASE:
		p.text(hexText(v) + " (" + lockTypes.find(v) + ")")
	case command == unix.F_GET_SEALS && v != 0:
		p.text(hexText(v) + " (seals " + p.flags(sealFlags, v) + ")")
	case command == unix.F_GETSIG && v != 0:
		p.format("%d (%s)", v, SignalName(int(v)))
	default:
		p.format("%d", c.Result)
	}
}

// descriptorPair prints two descriptors that a call has stored.
func descriptorPair(i int) Arg {
	ops := []tracespec.Op{fixed(argument(i), 8),
		{Kind: tracespec.Descriptor, Address: captured(0, 0, 4)}, {Kind: tracespec.Descriptor, Address: captured(0, 4, 4)}}
	return onExit(Arg{ops: ops, print: orAddress(i, func(p *Printer, in *Input, b []byte) {
		p.format("[%d", int32(word(b, 0, 4)))
		p.path(in.capture(1))
		p.format(", %d", int32(word(b, 4, 4)))
		p.path(in.capture(2))
		p.text("]")
	})})
}

// directoryEntries prints a buffer of getdents(2): its address and the number of entries, or
// with -v the entries, each of which entry prints.
func directoryEntries(i int, entry func(p *Printer, b []byte)) Arg {
	ops := []tracespec.Op{
		{Kind: tracespec.Records, Address: argument(i), Count: result(), Unit: 16},
		{Kind: tracespec.Bytes, Address: argument(i), Count: result(), Unit: 1, Max: verboseBytes},
	}
	return onExit(Arg{ops: ops, print: func(p *Printer, in *Input) {
		if in.Failed() {
			p.address(in.Arguments[i])
			return
		}
		n := word(in.capture(0), 0, 8)
		if !p.Verbose {
			p.address(in.Arguments[i])
			p.format(" /* %d entries */", n)
			return
		}
		p.text("[")
		b := in.capture(1)
		for k := range n {
			length := int(word(b, 16, 2))
			if length < minEntry || length > len(b) {
				break
			}
			if k > 0 {
				p.text(", ")
			}
			entry(p, b[:length])
			b = b[length:]
		}
		p.text("]")
	}})
}

// minEntry is the minimum size of a directory entry.
const minEntry = 20

var entryTypes = names("DT_???", "DT_UNKNOWN 0 DT_FIFO 1 DT_CHR 2 DT_DIR 4 DT_BLK 6 DT_REG 8 DT_LNK 10 DT_SOCK 12 DT_WHT 14")

func entryHead(p *Printer, b []byte) {
	p.format("{d_ino=%d, d_off=%d, d_reclen=%d, ", word(b, 0, 8), int64(word(b, 8, 8)), word(b, 16, 2))
}

func entry64(p *Printer, b []byte) {
	entryHead(p, b)
	p.text("d_type=" + p.value(entryTypes, word(b, 18, 1)) + ", d_name=")
	p.quote(textField(b, 19, len(b)-19))
	p.text("}")
}

func entryOld(p *Printer, b []byte) {
	entryHead(p, b)
	p.text("d_name=")
	p.quote(textField(b, 18, len(b)-19))
	p.text(", d_type=" + p.value(entryTypes, word(b, len(b)-1, 1)) + "}")
}

// offsetPointer prints a pointer to a 64-bit offset.
func offsetPointer(i int) Arg { return structIn(i, 8, indirect(8, long)) }

// fileRows are the calls on open files.
var fileRows = []Row{
	call(unix.SYS_READ, "read", "desc", fd(0), outBuffer(1), at(2, ulong)),
	call(unix.SYS_WRITE, "write", "desc", fd(0), inBuffer(1, 2), at(2, ulong)),
	call(unix.SYS_OPEN, "open", "desc file", path(0), at(1, openFlagsOf), if_(creates(1), at(2, mode16))).givesFD(),
	call(unix.SYS_CLOSE, "close", "desc", fd(0)),
	call(unix.SYS_LSEEK, "lseek", "desc", fd(0), at(1, long), at(2, oneOf(whence))),
	call(unix.SYS_PREAD64, "pread64", "desc", fd(0), outBuffer(1), at(2, ulong), at(3, long)),
	call(unix.SYS_PWRITE64, "pwrite64", "desc", fd(0), inBuffer(1, 2), at(2, ulong), at(3, long)),
	call(unix.SYS_READV, "readv", "desc", fd(0), vectorsOut(1, 2), at(2, ulong)),
	call(unix.SYS_WRITEV, "writev", "desc", fd(0), vectorsIn(1, 2), at(2, ulong)),
	call(unix.SYS_PREADV, "preadv", "desc", fd(0), vectorsOut(1, 2), at(2, ulong), at(3, long)),
	call(unix.SYS_PWRITEV, "pwritev", "desc", fd(0), vectorsIn(1, 2), at(2, ulong), at(3, long)),
	call(unix.SYS_PREADV2, "preadv2", "desc", fd(0), vectorsOut(1, 2), at(2, ulong), at(3, long), at(5, flagsOf(rwFlags))),
	call(unix.SYS_PWRITEV2, "pwritev2", "desc", fd(0), vectorsIn(1, 2), at(2, ulong), at(3, long), at(5, flagsOf(rwFlags))),
	call(unix.SYS_DUP, "dup", "desc", fd(0)).givesFD(),
	call(unix.SYS_DUP2, "dup2", "desc", fd(0), fd(1)).givesFD(),
	call(unix.SYS_DUP3, "dup3", "desc", fd(0), fd(1), at(2, flagsOf(openModes))).givesFD(),
	call(unix.SYS_PIPE, "pipe", "desc", descriptorPair(0)),
	call(unix.SYS_PIPE2, "pipe2", "desc", descriptorPair(0), at(1, flagsOf(openModes))),
	call(unix.SYS_SENDFILE, "sendfile", "desc network", fd(0), fd(1), offsetExit(2), at(3, ulong)),
	call(unix.SYS_FCNTL, "fcntl", "desc", fd(0), at(1, oneOf(fcntlCalls)),
		fcntlOn(at(2, flagsOf(fdFlags)), unix.F_SETFD),
		fcntlOn(at(2, dec), unix.F_SETOWN, unix.F_DUPFD, unix.F_DUPFD_CLOEXEC, unix.F_SETPIPE_SZ),
		fcntlOn(at(2, openFlagsOf), unix.F_SETFL),
		fcntlOn(structIn(2, 32, structure(flockFields...)), unix.F_SETLK, unix.F_SETLKW),
		fcntlOn(structOut(2, 32, structure(flockWithPID...)), unix.F_GETLK),
		fcntlOn(structIn(2, 8, ownerEx), 15),
		fcntlOn(structOut(2, 8, ownerEx), 16),
		fcntlOn(at(2, longFlagsOf(notifyFlags)), unix.F_NOTIFY),
		fcntlOn(at(2, longOneOf(lockTypes)), unix.F_SETLEASE),
		fcntlOn(at(2, longFlagsOf(sealFlags)), unix.F_ADD_SEALS),
		fcntlOn(at(2, signo), 10),
		unless(1, 0xffffffff, fcntlKnown, at(2, hex)),
		fcntlOn(resultFD(), unix.F_DUPFD, unix.F_DUPFD_CLOEXEC),
		fcntlOn(structIn(2, 32, structure(flockFields...)), 37, 38),
		fcntlOn(structOut(2, 32, structure(flockWithPID...)), 36),
		fcntlOn(at(2, hex), 12, 13, 14),
	).gives(fcntlResult).late(),
	call(unix.SYS_FLOCK, "flock", "desc", fd(0), at(1, flagsOf(flockFlags))),
	call(unix.SYS_FSYNC, "fsync", "desc", fd(0)),
	call(unix.SYS_FDATASYNC, "fdatasync", "desc", fd(0)),
	call(unix.SYS_SYNCFS, "syncfs", "desc", fd(0)),
	call(unix.SYS_FTRUNCATE, "ftruncate", "desc", fd(0), at(1, long)),
	call(unix.SYS_FALLOCATE, "fallocate", "desc", fd(0), at(1, flagsOf(fallocModes)), at(2, long), at(3, long)),
	call(unix.SYS_FADVISE64, "fadvise64", "desc", fd(0), at(1, long), at(2, long), at(3, oneOf(adviceNames))),
	call(unix.SYS_READAHEAD, "readahead", "desc", fd(0), at(1, long), at(2, ulong)),
	call(unix.SYS_SYNC_FILE_RANGE, "sync_file_range", "desc", fd(0), at(1, long), at(2, long), at(3, flagsOf(syncFlags))),
	call(unix.SYS_GETDENTS, "getdents", "desc", fd(0), directoryEntries(1, entryOld), at(2, udec)),
	call(unix.SYS_GETDENTS64, "getdents64", "desc", fd(0), directoryEntries(1, entry64), at(2, udec)),
	call(unix.SYS_COPY_FILE_RANGE, "copy_file_range", "desc", fd(0), offsetPointer(1), fd(2), offsetPointer(3), at(4, ulong), at(5, hex32)),
	call(unix.SYS_SPLICE, "splice", "desc", fd(0), offsetPointer(1), fd(2), offsetPointer(3), at(4, ulong), at(5, flagsOf(spliceFlags))),
	call(unix.SYS_TEE, "tee", "desc", fd(0), fd(1), at(2, ulong), at(3, flagsOf(spliceFlags))),
	call(unix.SYS_VMSPLICE, "vmsplice", "desc", fd(0), vectorsIn(1, 2), at(2, ulong), at(3, flagsOf(spliceFlags))),
	call(unix.SYS_CLOSE_RANGE, "close_range", "", at(0, udec), at(1, udec), at(2, flagsOf(closeRange))),
	call(unix.SYS_MEMFD_CREATE, "memfd_create", "desc", pathUpTo(0, 249), at(1, flagsOf(memfdFlags))).givesFD(),
	call(unix.SYS_EVENTFD, "eventfd", "desc", at(0, udec)).givesFD(),
	call(unix.SYS_EVENTFD2, "eventfd2", "desc", at(0, udec), at(1, flagsOf(eventfdFlags))).givesFD(),
}

var eventfdFlags = names("EFD_???", "EFD_SEMAPHORE 1 EFD_CLOEXEC 0x80000 EFD_NONBLOCK 0x800")

// offsetExit prints an offset that a call reads, and what it has become.
func offsetExit(i int) Arg {
	a := onExit(structIn(i, 8, nil))
	a.before = []tracespec.Op{fixed(argument(i), 8)}
	a.print = func(p *Printer, in *Input) {
		before, after := in.before(0), in.capture(0)
		if before == nil {
			p.address(in.Arguments[i])
			return
		}
		p.format("[%d", word(before, 0, 8))
		if after != nil && word(after, 0, 8) != word(before, 0, 8) {
			p.format("] => [%d", word(after, 0, 8))
		}
		p.text("]")
	}
	return a
}
