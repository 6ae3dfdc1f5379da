package decode

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"

	"slowpath/tracespec"
)

// inMemory returns the arguments of a call that finds its n arguments in memory, at its first
// argument (Linux: struct sel_arg_struct, struct mmap_arg_struct32).
func inMemory(n int, args ...Arg) []Arg {
	args = slices.Clone(args)
	for i := range args {
		args[i] = args[i].inMemory(n, i == 0)
	}
	return args
}

// inMemory is inMemory for one argument. If the arguments cannot be read, the first one prints
// their address, and the others print nothing.
func (a Arg) inMemory(n int, first bool) Arg {
	const word32 = 4
	place := func(v tracespec.Value) tracespec.Value {
		switch v.Source {
		case tracespec.Argument:
			return captured(0, word32*int(v.Index), word32)
		case tracespec.Captured:
			v.Index++
		}
		return v
	}
	ops := []tracespec.Op{fixed(argument(0), word32*n)}
	for _, op := range a.ops {
		op.Address, op.Count = place(op.Address), place(op.Count)
		ops = append(ops, op)
	}
	load := func(in *Input) (*Input, bool) {
		b := in.capture(0)
		if len(b) < word32*n {
			return nil, false
		}
		call := *in.Call
		for i := range n {
			call.Arguments[i] = word(b, word32*i, word32)
		}
		loaded := *in
		loaded.Call, loaded.captures = &call, in.captures[1:]
		return &loaded, true
	}
	print, note := a.print, a.note
	a.ops, a.access = ops, 0
	if note != nil {
		a.note = func(p *Printer, in *Input) (string, bool) {
			loaded, ok := load(in)
			if !ok {
				return "", false
			}
			return note(p, loaded)
		}
		return a
	}
	a.print = func(p *Printer, in *Input) {
		loaded, ok := load(in)
		switch {
		case ok && first:
			print(p, loaded)
		case ok:
			p.text(", ")
			print(p, loaded)
		case first:
			p.address(in.Arguments[0])
		}
	}
	a.joined = !first
	return a
}

// siginfos386 has the index of the argument that prints a siginfo_t in the row of x86-64.
var siginfos386 = map[string]int{
	"waitid": 2, "rt_sigtimedwait": 1, "rt_sigtimedwait_time64": 1, "rt_sigqueueinfo": 2, "rt_tgsigqueueinfo": 3, "pidfd_send_signal": 2,
}

// siginfo386 converts siginfo_t. Its members behind the code are words; those of faults, of
// SIGIO and of SIGSYS begin with a word that is as wide as a pointer.
func siginfo386(b []byte) []byte {
	const sigio = -5
	signal, code := unix.Signal(word(b, 0, 4)), int32(word(b, 8, 4))
	type place struct{ from, to int }
	places := []place{{12, 16}, {16, 20}, {20, 24}, {24, 32}, {28, 40}}
	band := code == sigio
	if code > 0 {
		switch signal {
		case unix.SIGILL, unix.SIGFPE, unix.SIGSEGV, unix.SIGBUS, unix.SIGTRAP, unix.SIGSYS:
			places = []place{{12, 16}, {16, 24}, {20, 28}}
		case unix.SIGIO:
			band = true
		}
	}
	wide := make([]byte, siginfoSize)
	copy(wide, b[:12])
	if band {
		binary.LittleEndian.PutUint64(wide[16:], uint64(int64(int32(word(b, 12, 4)))))
		copy(wide[24:], b[16:20])
		return wide
	}
	for _, m := range places {
		copy(wide[m.to:], b[m.from:][:4])
	}
	return wide
}

// message386 makes an argument that prints struct msghdr one of i386. The names of passed
// descriptors are not captured.
func message386(a Arg) Arg {
	const vectors, data, control = 2, 3, 4
	a = narrow("uiuuuui", a)
	a.ops = a.ops[:control+1]
	a.ops[vectors].Unit, a.ops[data].Unit = tracespec.NarrowVector, tracespec.NarrowVector
	print := a.print
	a.print = func(p *Printer, in *Input) {
		wide := *in
		wide.narrow = true
		wide.captures = slices.Clone(in.captures)
		if len(wide.captures) > control {
			wide.captures[vectors] = wideVectors(in.captures[vectors])
			wide.captures[control] = wideControl(in.captures[control])
		}
		print(p, &wide)
	}
	return a
}

// wideVectors converts iovecs.
func wideVectors(b []byte) (wide []byte) {
	for ; len(b) >= tracespec.NarrowVector; b = b[tracespec.NarrowVector:] {
		wide = append(wide, widen("uu", b)...)
	}
	return wide
}

// wideControl converts control messages, whose lengths become those of x86-64.
func wideControl(b []byte) (wide []byte) {
	const header, wideHeader = 12, 16
	for len(b) >= header {
		length := int(min(word(b, 0, 4), uint64(len(b))))
		if length < header {
			break
		}
		wide = binary.LittleEndian.AppendUint64(wide, word(b, 0, 4)+wideHeader-header)
		wide = append(wide, b[4:length]...)
		wide = append(wide, make([]byte, align386(len(wide), 8)-len(wide))...)
		b = b[min(align386(length, 4), len(b)):]
	}
	return wide
}
