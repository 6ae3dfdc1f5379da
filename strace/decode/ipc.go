package decode

import (
	"slices"

	"golang.org/x/sys/unix"

	"slowpath/tracespec"
)

// ipc64 is a flag of the commands of old programs.
const ipc64 = 0x100

// ipcCommand prints a command of msgctl(2), semctl(2) or shmctl(2).
func ipcCommand(t *nameTable) scalar {
	return func(p *Printer, _ *Input, v uint64) {
		v = uint64(uint32(v))
		if v&ipc64 != 0 {
			p.text(p.styled(hexText(ipc64), "IPC_64") + "|")
		}
		p.text(p.value(t, v&^ipc64))
	}
}

// ipcFlags prints flags and permissions.
func ipcFlags(t *nameTable) scalar {
	return func(p *Printer, _ *Input, v uint64) {
		v = uint64(uint32(v))
		if flags := v &^ 0o777; flags != 0 {
			p.text(p.flags(t, flags) + "|")
		}
		p.octal(v & 0o777)
	}
}

// sharedFlags prints the flags of shmget(2), which have the size of huge pages.
func sharedFlags(p *Printer, in *Input, v uint64) {
	const shift, mask = 26, 0x3f << 26
	if huge := v & mask; huge != 0 {
		if flags := v & 0xffffffff &^ (mask | 0o777); flags != 0 {
			p.text(p.flags(shmResourceFlags, flags) + "|")
		}
		p.format("%d<<%s|", huge>>shift, p.styled("26", "SHM_HUGE_SHIFT"))
		p.octal(v & 0o777)
		return
	}
	ipcFlags(shmResourceFlags)(p, in, v)
}

// permissions is a member that is struct ipc64_perm. IPC_SET reads only a part of it.
func permissions(name string, set bool) member {
	members := []member{num("uid", 4, 4, id), num("gid", 8, 4, id), num("mode", 20, 4, permissionBits)}
	if !set {
		members = append(members, num("key", 0, 4, udec), num("cuid", 12, 4, id), num("cgid", 16, 4, id))
	}
	return group(name, 0, members...)
}

func permissionBits(p *Printer, _ *Input, v uint64) { p.octal(v) }

// Commands that are the same for all three objects, by the argument with the command.
const (
	ipcSet  = 1
	ipcStat = 2
	ipcInfo = 3
)

// control are the variants of the last argument of msgctl(2), semctl(2) or shmctl(2).
func control(command, i int, set, stat Arg, info map[uint64]Arg, statCommands ...uint64) []Arg {
	const mask = 1<<32 - 1 - ipc64
	statCommands = append([]uint64{ipcStat}, statCommands...)
	args := []Arg{when(command, mask, []uint64{ipcSet}, set), when(command, mask, statCommands, onExit(stat))}
	known := append([]uint64{ipcSet}, statCommands...)
	for _, c := range []uint64{ipcInfo, 12, 14, 19} { // IPC_INFO, MSG_INFO, SHM_INFO, SEM_INFO
		if a, ok := info[c]; ok {
			args = append(args, when(command, mask, []uint64{c}, onExit(a)))
			known = append(known, c)
		}
	}
	return append(args, unless(command, mask, known, at(i, pointer)))
}

var (
	messageSet  = structured(2, 120, permissions("msg_perm", true), num("msg_qbytes", 88, 8, ulong))
	messageStat = structured(2, 120, permissions("msg_perm", false), num("msg_stime", 48, 8, ulong), num("msg_rtime", 56, 8, ulong), num("msg_ctime", 64, 8, ulong),
		num("msg_qnum", 80, 8, ulong), num("msg_qbytes", 88, 8, ulong), num("msg_lspid", 96, 4, dec), num("msg_lrpid", 100, 4, dec))
	messageInfo = structured(2, 32, num("msgpool", 0, 4, dec), num("msgmap", 4, 4, dec), num("msgmax", 8, 4, dec), num("msgmnb", 12, 4, dec), num("msgmni", 16, 4, dec),
		num("msgssz", 20, 4, dec), num("msgtql", 24, 4, dec), num("msgseg", 28, 2, udec))
	semaphoreSet  = structured(3, 104, permissions("sem_perm", true))
	semaphoreStat = structured(3, 104, permissions("sem_perm", false), num("sem_otime", 48, 8, ulong), num("sem_ctime", 64, 8, ulong), num("sem_nsems", 80, 8, ulong))
	semaphoreInfo = structured(3, 40, num("semmap", 0, 4, dec), num("semmni", 4, 4, dec), num("semmns", 8, 4, dec), num("semmnu", 12, 4, dec), num("semmsl", 16, 4, dec),
		num("semopm", 20, 4, dec), num("semume", 24, 4, dec), num("semusz", 28, 4, dec), num("semvmx", 32, 4, dec), num("semaem", 36, 4, dec))
	sharedSet  = structured(2, 112, permissions("shm_perm", true))
	sharedStat = structured(2, 112, permissions("shm_perm", false), num("shm_segsz", 48, 8, ulong), num("shm_cpid", 80, 4, pid), num("shm_lpid", 84, 4, pid),
		num("shm_nattch", 88, 8, ulong), num("shm_atime", 56, 8, ulong), num("shm_dtime", 64, 8, ulong), num("shm_ctime", 72, 8, ulong))
	sharedLimits = structured(2, 72, num("shmmax", 0, 8, ulong), num("shmmin", 8, 8, ulong), num("shmmni", 16, 8, ulong), num("shmseg", 24, 8, ulong), num("shmall", 32, 8, ulong))
	sharedInfo   = structured(2, 48, num("used_ids", 0, 4, dec), num("shm_tot", 8, 8, ulong), num("shm_rss", 16, 8, ulong), num("shm_swp", 24, 8, ulong),
		num("swap_attempts", 32, 8, ulong), num("swap_successes", 40, 8, ulong))
)

// semaphoreOp prints struct sembuf.
func semaphoreOp(p *Printer, _ *Input, b []byte) {
	p.format("{sem_num=%d, sem_op=%d, sem_flg=%s}", word(b, 0, 2), int16(word(b, 2, 2)), p.flags(semopFlags, word(b, 4, 2)))
}

// messageBuffer prints struct msgbuf, whose text has as many bytes as argument length.
func messageBuffer(i, length int) Arg {
	const typeSize = 8
	ops := []tracespec.Op{fixed(argument(i), typeSize), {Kind: tracespec.Bytes, Address: argument(i), Count: argument(length), Unit: 1, Max: maxOfString}}
	ops[1].Offset = typeSize
	return Arg{ops: ops, print: orAddress(i, func(p *Printer, in *Input, b []byte) {
		p.format("{mtype=%d, mtext=", int64(word(b, 0, 8)))
		if s := in.capture(1); s != nil {
			p.data(s, in.Arguments[length])
		} else {
			p.address(in.Arguments[i] + typeSize)
		}
		p.text("}")
	})}
}

// queueAttributes prints struct mq_attr.
func queueAttributes(i int, flags scalar) Arg {
	return structured(i, 64, num("mq_flags", 0, 8, flags), num("mq_maxmsg", 8, 8, long), num("mq_msgsize", 16, 8, long), num("mq_curmsgs", 24, 8, long))
}

// shownIfCreated prints an argument only with O_CREAT in argument i.
func shownIfCreated(i int, a Arg) Arg { return if_(has(i, unix.O_CREAT), a) }

// controlBlock prints struct iocb.
func controlBlock(p *Printer, b []byte, header bool) {
	const poll, readV, writeV, resultFile, priority = 5, 7, 8, 1, 2
	opcode, flags := word(b, 16, 2), word(b, 56, 4)
	p.text("{aio_data=" + hexText(word(b, 0, 8)))
	if v := word(b, 8, 4); v != 0 {
		p.format(", aio_key=%d", v)
	}
	if v := word(b, 12, 4); v != 0 {
		p.text(", aio_rw_flags=" + p.flags(rwFlags, v))
	}
	p.text(", aio_lio_opcode=" + p.valueDecimal(aioCmds, opcode))
	switch v := word(b, 18, 2); {
	case flags&priority != 0:
		p.text(", aio_reqprio=" + p.ioPriority(v))
	case v != 0:
		p.format(", aio_reqprio=%d", int16(v))
	}
	p.format(", aio_fildes=%d", int32(word(b, 20, 4)))
	switch {
	case header:
	case opcode < 2 || opcode == readV || opcode == writeV:
		p.format(", aio_buf=%s, aio_nbytes=%d, aio_offset=%d", hexText(word(b, 24, 8)), word(b, 32, 8), int64(word(b, 40, 8)))
		p.blockFlags(b, flags)
	case opcode == poll:
		p.text(", aio_buf=" + p.flags(pollEvents, word(b, 24, 8)))
		p.blockFlags(b, flags)
	}
	p.text("}")
}

func (p *Printer) blockFlags(b []byte, flags uint64) {
	if flags != 0 {
		p.text(", aio_flags=" + p.flags(aioIocbFlags, flags))
	}
	switch v := word(b, 60, 4); {
	case flags&1 != 0:
		p.format(", aio_resfd=%d", int32(v))
	case v != 0:
		p.text(", aio_resfd=" + hexText(v))
	}
}

const controlBlockSize = 64

// controlBlocks prints the array of pointers of io_submit(2).
func controlBlocks(i, count int) Arg {
	ops := []tracespec.Op{array(argument(i), argument(count), 8),
		{Kind: tracespec.Pointers, Address: captured(0, 0, 8), Count: constant(tracespec.MaxElements), Unit: controlBlockSize}}
	return Arg{ops: ops, print: func(p *Printer, in *Input) {
		if int64(in.Arguments[count]) < 0 {
			p.address(in.Arguments[i])
			return
		}
		blocks := tracespec.SplitVector(in.capture(1))
		p.elements(in, in.Arguments[i], in.capture(0), in.Arguments[count], 8, func(p *Printer, _ *Input, b []byte) {
			if len(blocks) > 0 && len(blocks[0]) >= controlBlockSize {
				controlBlock(p, blocks[0], false)
			} else {
				p.address(word(b, 0, 8))
			}
			blocks = blocks[min(1, len(blocks)):]
		})
	}}
}

// ioEvent prints struct io_event.
func ioEvent(p *Printer, _ *Input, b []byte) {
	p.format("{data=%s, obj=%s, res=%d, res2=%d}", hexText(word(b, 0, 8)), hexText(word(b, 8, 8)), int64(word(b, 16, 8)), int64(word(b, 24, 8)))
}

// ioPriority returns an I/O priority.
func (p *Printer) ioPriority(v uint64) string {
	return p.styled(hexText(v), p.priorityText(v))
}

func (p *Printer) priorityText(v uint64) string {
	return "IOPRIO_PRIO_VALUE(" + p.value(ioprioClass, v>>13) + ", " + decimal(v&(1<<13-1)) + ")"
}

func shmatResult(p *Printer, c *Call) { p.text(hexText(uint64(c.Result))) }

// ipcRows are the calls of System V IPC, POSIX message queues and asynchronous I/O.
var ipcRows = []Row{
	call(unix.SYS_MSGGET, "msgget", "ipc", at(0, oneOf(ipcPrivate)), at(1, ipcFlags(resourceFlags))),
	call(unix.SYS_MSGSND, "msgsnd", "ipc", at(0, dec), messageBuffer(1, 2), at(2, ulong), at(3, flagsOf(ipcMsgFlags))),
	call(unix.SYS_MSGRCV, "msgrcv", "ipc", at(0, dec), onExit(messageBuffer(1, 2)), at(2, ulong), at(3, long), at(4, flagsOf(ipcMsgFlags))),
	call(unix.SYS_MSGCTL, "msgctl", "ipc", slices.Concat([]Arg{at(0, dec), at(1, ipcCommand(msgctlFlags))},
		control(1, 2, messageSet, messageStat, map[uint64]Arg{ipcInfo: messageInfo, 12: messageInfo}, 11, 13))...),
	call(unix.SYS_SEMGET, "semget", "ipc", at(0, oneOf(ipcPrivate)), at(1, dec), at(2, ipcFlags(resourceFlags))),
	call(unix.SYS_SEMOP, "semop", "ipc", at(0, dec), arrayIn(1, argument(2), 6, semaphoreOp), at(2, udec)),
	call(unix.SYS_SEMTIMEDOP, "semtimedop", "ipc", at(0, dec), arrayIn(1, argument(2), 6, semaphoreOp), at(2, udec), structIn(3, timespecSize, timespec)),
	call(unix.SYS_SEMCTL, "semctl", "ipc", slices.Concat([]Arg{at(0, dec), at(1, dec), at(2, ipcCommand(semctlFlags))},
		control(2, 3, semaphoreSet, semaphoreStat, map[uint64]Arg{ipcInfo: semaphoreInfo, 19: semaphoreInfo}, 18, 20))...),
	call(unix.SYS_SHMGET, "shmget", "ipc", at(0, oneOf(ipcPrivate)), at(1, ulong), at(2, sharedFlags)),
	call(unix.SYS_SHMAT, "shmat", "ipc memory", at(0, dec), at(1, pointer), at(2, flagsOf(shmFlags))).gives(shmatResult),
	call(unix.SYS_SHMDT, "shmdt", "ipc memory", at(0, pointer)),
	call(unix.SYS_SHMCTL, "shmctl", "ipc", slices.Concat([]Arg{at(0, dec), at(1, ipcCommand(shmctlFlags))},
		control(1, 2, sharedSet, sharedStat, map[uint64]Arg{ipcInfo: sharedLimits, 14: sharedInfo}, 13, 15))...),
	call(unix.SYS_MQ_OPEN, "mq_open", "desc", path(0), at(1, openFlagsOf), shownIfCreated(1, at(2, mode16)), shownIfCreated(1, queueAttributes(3, hex))).givesFD(),
	call(unix.SYS_MQ_UNLINK, "mq_unlink", "", path(0)),
	call(unix.SYS_MQ_TIMEDSEND, "mq_timedsend", "desc", fd(0), inBuffer(1, 2), at(2, ulong), at(3, udec), structIn(4, timespecSize, timespec)),
	call(unix.SYS_MQ_TIMEDRECEIVE, "mq_timedreceive", "desc", fd(0), outBuffer(1), at(2, ulong), structOut(3, 4, indirect(4, udec)), even(structIn(4, timespecSize, timespec))),
	call(unix.SYS_MQ_NOTIFY, "mq_notify", "desc", fd(0), structIn(1, sigeventSize, sigevent)),
	call(unix.SYS_MQ_GETSETATTR, "mq_getsetattr", "desc", fd(0), queueAttributes(1, longFlagsOf(mqAttrFlags)), onExit(queueAttributes(2, longFlagsOf(mqAttrFlags)))),
	call(unix.SYS_IO_SETUP, "io_setup", "memory", at(0, udec), structOut(1, 8, indirect(8, hex))),
	call(unix.SYS_IO_DESTROY, "io_destroy", "memory", at(0, pointer)),
	call(unix.SYS_IO_GETEVENTS, "io_getevents", "", at(0, pointer), at(1, long), at(2, long), arrayOut(3, result(), 32, ioEvent), even(structIn(4, timespecSize, timespec))),
	call(unix.SYS_IO_PGETEVENTS, "io_pgetevents", "", at(0, pointer), at(1, long), at(2, long), arrayOut(3, result(), 32, ioEvent), even(structIn(4, timespecSize, timespec)), even(maskPair(5))),
	call(unix.SYS_IO_SUBMIT, "io_submit", "", at(0, pointer), at(1, long), controlBlocks(2, 1)),
	call(unix.SYS_IO_CANCEL, "io_cancel", "", at(0, pointer), structIn(1, controlBlockSize, func(p *Printer, _ *Input, b []byte) { controlBlock(p, b, true) }), structOut(2, 32, ioEvent)),
}
