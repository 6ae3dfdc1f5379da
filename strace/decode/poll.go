package decode

import (
	"math/bits"
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/tracespec"
)

var (
	pollEvents  = names("POLL???", "POLLIN 1 POLLPRI 2 POLLOUT 4 POLLERR 8 POLLHUP 0x10 POLLNVAL 0x20 POLLRDNORM 0x40 POLLRDBAND 0x80 POLLWRNORM 0x100 POLLWRBAND 0x200 POLLMSG 0x400 POLLREMOVE 0x1000 POLLRDHUP 0x2000 POLL_BUSY_LOOP 0x8000")
	epollEvents = names("EPOLL???", "EPOLLIN 1 EPOLLPRI 2 EPOLLOUT 4 EPOLLERR 8 EPOLLHUP 0x10 EPOLLNVAL 0x20 EPOLLRDNORM 0x40 EPOLLRDBAND 0x80 EPOLLWRNORM 0x100 EPOLLWRBAND 0x200 EPOLLMSG 0x400 EPOLLRDHUP 0x2000 EPOLLEXCLUSIVE 0x10000000 EPOLLWAKEUP 0x20000000 EPOLLONESHOT 0x40000000 EPOLLET 0x80000000")
	epollCalls  = sequence("EPOLL_CTL_???", 1, "EPOLL_CTL_ADD EPOLL_CTL_DEL EPOLL_CTL_MOD")
	epollFlags  = names("EPOLL_???", "EPOLL_CLOEXEC 0x80000")
)

// pollfd prints struct pollfd before poll(2).
func pollfd(p *Printer, _ *Input, b []byte) {
	descriptor := int32(word(b, 0, 4))
	p.text("{fd=")
	p.descriptor(word(b, 0, 4))
	if descriptor >= 0 {
		p.text(", events=" + p.flags(pollEvents, word(b, 4, 2)))
	}
	p.text("}")
}

const (
	pollfdSize = 8
	epollSize  = 12
)

// pollfds prints the array of poll(2).
func pollfds() Arg {
	a := arrayIn(0, argument32(1), pollfdSize, pollfd)
	a.access, a.index = accessFiles, 0
	a.ops = append(a.ops, tracespec.Op{Kind: tracespec.Descriptors, Address: captured(0, 0, 4), Count: constant(tracespec.MaxElements), Unit: pollfdSize})
	print := a.print
	a.print = func(p *Printer, in *Input) {
		in.files(p, 1)
		print(p, in)
	}
	return a
}

// ready is the note of poll(2) and ppoll(2): the descriptors that are ready, and with a
// timeout what is left of it.
func ready(timeout int) Arg {
	ops := []tracespec.Op{{Kind: tracespec.Bytes, Address: argument(0), Count: argument32(1), Unit: pollfdSize, Max: tracespec.MaxBytes},
		{Kind: tracespec.Descriptors, Address: captured(0, 0, 4), Count: constant(tracespec.MaxElements), Unit: pollfdSize}}
	if timeout >= 0 {
		ops = append(ops, fixed(argument(timeout), timespecSize))
	}
	a := onExit(Arg{ops: ops})
	a.note = func(p *Printer, in *Input) (string, bool) {
		if in.Failed() || in.Result == 0 {
			return "Timeout", !in.Failed()
		}
		in.files(p, 1)
		text := readyList(p, in.capture(0))
		if timeout < 0 || in.Arguments[timeout] == 0 {
			return text, text != ""
		}
		left := "left " + leftOf(in.Arguments[timeout], in.capture(2), timespec)
		if text == "" {
			return left, true
		}
		return text + ", " + left, true
	}
	return a
}

func leftOf(address uint64, b []byte, o object) string {
	p := new(Printer)
	if b == nil {
		p.address(address)
	} else {
		o(p, nil, b)
	}
	return p.Take()
}

func readyList(p *Printer, b []byte) string {
	var list []string
	for ; len(b) >= pollfdSize; b = b[pollfdSize:] {
		events := word(b, 6, 2)
		var name []byte
		if len(p.files) > 0 {
			name, p.files = p.files[0], p.files[1:]
		}
		if events == 0 {
			continue
		}
		if len(list) >= p.Strings && !p.Verbose {
			list = append(list, "...")
			break
		}
		one := p.child()
		one.format("{fd=%d", int32(word(b, 0, 4)))
		one.path(name)
		one.text(", revents=" + p.flags(pollEvents, events) + "}")
		list = append(list, one.Take())
	}
	if len(list) == 0 {
		return ""
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// epollEvent prints struct epoll_event.
func epollEvent(p *Printer, _ *Input, b []byte) {
	p.format("{events=%s, data={u32=%d, u64=%d}}", p.flags(epollEvents, word(b, 0, 4)), word(b, 4, 4), word(b, 4, 8))
}

// epollEventIn prints the event of epoll_ctl(2).
func epollEventIn(i int) Arg {
	deletes := func(in *Input) bool { return uint32(in.Arguments[1]) == unix.EPOLL_CTL_DEL }
	return addressIf(i, deletes, structIn(i, epollSize, epollEvent))
}

const fdSetSize = 128

// fdSet prints a set of descriptors.
func fdSet(i int) Arg {
	a := structIn(i, fdSetSize, nil)
	a.ops[0].Kind = tracespec.Prefix
	a.access, a.index = accessFiles, i
	a.ops = append(a.ops, setNames(0, argument(0)))
	a.print = func(p *Printer, in *Input) {
		b := in.capture(0)
		if n := int32(in.Arguments[0]); n <= 0 || len(b) < (int(min(n, fdSetSize*8))+63)/64*8 {
			p.address(in.Arguments[i])
			return
		}
		in.files(p, 1)
		p.descriptorSet(members(b, in.Arguments[0]))
	}
	return a
}

// setNames captures the names of the descriptors of a set, which op captures.
func setNames(op int, limit tracespec.Value) tracespec.Op {
	return tracespec.Op{Kind: tracespec.Members, Address: captured(op, 0, 8), Count: limit}
}

// set prints the members of a set.
func (p *Printer) set(members []int) { p.format("%v", members) }

// descriptorSet prints the members of a set of descriptors.
func (p *Printer) descriptorSet(members []int) {
	p.text("[")
	for i, n := range members {
		if i > 0 {
			p.text(" ")
		}
		p.descriptor(uint64(n))
	}
	p.text("]")
}

// members returns the members of a set of bits that are less than a limit.
func members(b []byte, limit uint64) (list []int) {
	for i, c := range b {
		for ; c != 0; c &= c - 1 {
			if n := i*8 + bits.TrailingZeros8(c); uint64(n) < limit {
				list = append(list, n)
			}
		}
	}
	return list
}

// selected is the note of select(2) and pselect6(2).
func selected(o object) Arg {
	ops := []tracespec.Op{fixed(argument(1), fdSetSize), fixed(argument(2), fdSetSize), fixed(argument(3), fdSetSize), fixed(argument(4), 16)}
	for i := range 3 {
		ops[i].Kind = tracespec.Prefix
		ops = append(ops, setNames(i, argument(0)))
	}
	a := onExit(Arg{ops: ops})
	a.note = func(p *Printer, in *Input) (string, bool) {
		if in.Failed() || in.Result == 0 {
			return "Timeout", !in.Failed()
		}
		var parts []string
		for i, name := range []string{"in", "out", "except"} {
			list := members(in.capture(i), in.Arguments[0])
			if len(list) == 0 {
				continue
			}
			one := p.child()
			in.files(one, 4+i)
			one.text(name + " ")
			one.descriptorSet(list)
			parts = append(parts, one.Take())
		}
		if in.Arguments[4] != 0 {
			parts = append(parts, "left "+leftOf(in.Arguments[4], in.capture(3), o))
		}
		return strings.Join(parts, ", "), true
	}
	return a
}

// maskPair prints the last argument of pselect6(2).
func maskPair(i int) Arg {
	ops := []tracespec.Op{fixed(argument(i), 16),
		{Kind: tracespec.Bytes, Address: captured(0, 0, 8), Count: captured(0, 8, 8), Unit: 1, Max: 8}}
	return Arg{ops: ops, print: orAddress(i, func(p *Printer, in *Input, b []byte) {
		p.text("{sigmask=")
		if set := in.capture(1); set != nil && word(b, 8, 8) == 8 {
			p.signalSet(set)
		} else {
			p.address(word(b, 0, 8))
		}
		p.format(", sigsetsize=%d}", word(b, 8, 8))
	})}
}

// pollRows are the calls that wait for files.
var pollRows = []Row{
	call(unix.SYS_POLL, "poll", "desc", pollfds(), at(1, udec), at(2, dec), ready(-1)),
	call(unix.SYS_PPOLL, "ppoll", "desc", pollfds(), at(1, udec), structIn(2, timespecSize, timespec), sigset(3, 4), at(4, ulong), ready(2)),
	call(unix.SYS_SELECT, "select", "desc", at(0, dec), fdSet(1), fdSet(2), fdSet(3), structIn(4, 16, timeval), selected(timeval)),
	call(unix.SYS_PSELECT6, "pselect6", "desc", at(0, dec), fdSet(1), fdSet(2), fdSet(3), structIn(4, timespecSize, timespec), maskPair(5), selected(timespec)),
	call(unix.SYS_EPOLL_CREATE, "epoll_create", "desc", at(0, dec)).givesFD(),
	call(unix.SYS_EPOLL_CREATE1, "epoll_create1", "desc", at(0, flagsOf(epollFlags))).givesFD(),
	call(unix.SYS_EPOLL_CTL, "epoll_ctl", "desc", fd(0), at(1, oneOf(epollCalls)), fd(2), epollEventIn(3)),
	call(unix.SYS_EPOLL_WAIT, "epoll_wait", "desc", fd(0), arrayOut(1, result(), epollSize, epollEvent), at(2, dec), at(3, dec)),
	call(unix.SYS_EPOLL_PWAIT, "epoll_pwait", "desc", fd(0), arrayOut(1, result(), epollSize, epollEvent), at(2, dec), at(3, dec), sigset(4, 5), at(5, ulong)),
	call(unix.SYS_EPOLL_PWAIT2, "epoll_pwait2", "desc", fd(0), arrayOut(1, result(), epollSize, epollEvent), at(2, dec), structIn(3, timespecSize, timespec), sigset(4, 5), at(5, ulong)),
}
