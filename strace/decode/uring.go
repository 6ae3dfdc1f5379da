package decode

import (
	"golang.org/x/sys/unix"

	"slowpath/tracespec"
)

// registered prints the descriptors of io_uring_register(2), which may be special numbers.
func registered(p *Printer, _ *Input, b []byte) {
	v := int32(word(b, 0, 4))
	if v < -1 {
		p.text(p.value(uringFilesUpdateFds, uint64(int64(v))))
		p.descriptorSkipped()
		return
	}
	p.descriptor(uint64(uint32(v)))
}

// descriptorSkipped drops the name of a descriptor that is not printed as one.
func (p *Printer) descriptorSkipped() {
	if len(p.files) > 0 {
		p.files = p.files[1:]
	}
}

func plainDescriptor(p *Printer, _ *Input, b []byte) { p.descriptor(word(b, 0, 4)) }

// filesIn prints an array of descriptors.
func filesIn(i, count int, o object) Arg {
	a := arrayIn(i, argument32(count), 4, o)
	a.ops = append(a.ops, tracespec.Op{Kind: tracespec.Descriptors, Address: captured(0, 0, 4), Count: constant(tracespec.MaxElements), Unit: 4})
	print := a.print
	a.print = func(p *Printer, in *Input) {
		in.files(p, 1)
		print(p, in)
	}
	return a
}

// addressVectors prints iovecs without their data.
func addressVectors(p *Printer, _ *Input, b []byte) {
	p.text("{iov_base=")
	p.address(word(b, 0, 8))
	p.format(", iov_len=%d}", word(b, 8, 8))
}

// ringOffsets prints struct io_sqring_offsets or io_cqring_offsets, at an offset.
func ringOffsets(name string, offset int, fields ...string) member {
	var members []member
	for i, f := range fields {
		members = append(members, num(f, offset+4*i, 4, udec))
	}
	members = append(members, reserved("resv1", offset+28, 4), reserved("resv2", offset+32, 8))
	return group(name, offset, members...)
}

const uringParametersSize = 120

// uringParameters prints struct io_uring_params: what the call reads, and what it has stored.
func uringParameters(i int) []Arg {
	const attachWQ = 1 << 5
	in := structured(i, uringParametersSize, num("flags", 8, 4, flagsOf(uringSetupFlags)), num("sq_thread_cpu", 12, 4, hex), num("sq_thread_idle", 16, 4, udec),
		ifBits(8, 4, attachWQ, file("wq_fd", 24)), reservedArray("resv", 28, 3, 4))
	open := in.print
	in.print = func(p *Printer, in *Input) {
		at := len(p.buffer)
		open(p, in)
		if p.buffer[at] == '{' { // the exit closes it
			p.buffer = p.buffer[:len(p.buffer)-1]
		}
	}
	stored := []member{num("sq_entries", 0, 4, udec), num("cq_entries", 4, 4, udec), num("features", 20, 4, flagsOf(uringSetupFeatures)),
		ringOffsets("sq_off", 40, "head", "tail", "ring_mask", "ring_entries", "flags", "dropped", "array"),
		ringOffsets("cq_off", 80, "head", "tail", "ring_mask", "ring_entries", "overflow", "cqes", "flags")}
	out := onExit(Arg{ops: []tracespec.Op{fixed(argument(i), uringParametersSize)}})
	out.before = []tracespec.Op{fixed(argument(i), uringParametersSize)}
	out.joined = true
	out.print = func(p *Printer, in *Input) {
		if in.before(0) == nil {
			return
		}
		if b := in.capture(0); b != nil {
			p.text(", ")
			p.members(in, b, stored, func(int) int { return 0 }, len(b))
		}
		p.text("}")
	}
	return []Arg{in, out}
}

// uringRegister are the arguments of io_uring_register(2).
func uringRegister() []Arg {
	on := func(a Arg, opcodes ...uint64) Arg { return when(1, 1<<32-1, opcodes, a) }
	rsrc := func(opcode uint64, m member) Arg {
		a := record(2, sized(2, 3, 32),
			num("nr", 0, 4, udec), num("flags", 4, 4, flagsOf(uringRegisterRsrcFlags)), reserved("resv2", 8, 8), m,
			list("tags", 24, ofStructure(0, 4), 8, number(8, hex)), tailOf(2, argument32(3), 32))
		return on(addressIf(2, func(in *Input) bool { return uint32(in.Arguments[3]) < 32 }, a), opcode)
	}
	update := func(opcode uint64, m member) Arg {
		a := record(2, sized(2, 3, 32),
			num("offset", 0, 4, udec), reserved("resv", 4, 4), m, list("tags", 16, ofStructure(24, 4), 8, number(8, hex)), num("nr", 24, 4, udec), reserved("resv2", 28, 4), tailOf(2, argument32(3), 32))
		return on(addressIf(2, func(in *Input) bool { return uint32(in.Arguments[3]) < 32 }, a), opcode)
	}
	ring := func(o object, names bool) Arg {
		a := arrayIn(2, argument(3), 16, o)
		if names {
			a.ops = append(a.ops, tracespec.Op{Kind: tracespec.Descriptors, Address: captured(0, 8, 4), Count: constant(tracespec.MaxElements), Unit: 16})
			print := a.print
			a.print = func(p *Printer, in *Input) {
				in.files(p, 1)
				print(p, in)
			}
		}
		return a
	}
	known := []uint64{0, 2, 4, 6, 7, 8, 11, 13, 14, 15, 16, 17, 19, 20, 21, 22, 23}
	return []Arg{fd(0), at(1, oneOf(uringRegisterOpcodes)),
		on(arrayIn(2, argument(3), 16, addressVectors), 0),
		on(filesIn(2, 3, plainDescriptor), 2, 4, 7),
		on(structured(2, 16, num("offset", 0, 4, udec), reserved("resv", 4, 4), files("fds", 8, argument(3), 4, 0, registered)), 6),
		on(probeIn(2, 3), 8),
		on(arrayIn(2, argument(3), 16, restriction), 11),
		rsrc(13, files("data", 16, ofStructure(0, 4), 4, 0, plainDescriptor)),
		rsrc(15, list("data", 16, ofStructure(0, 4), 16, addressVectors)),
		update(14, files("data", 8, ofStructure(24, 4), 4, 0, registered)),
		update(16, list("data", 8, ofStructure(24, 4), 16, addressVectors)),
		on(cpuSet(2, argument(3)), 17),
		on(workers(2, 3), 19),
		on(ring(ringFile, true), 20), on(ring(ringSlot, false), 21),
		on(structured(2, 40, num("ring_addr", 0, 8, pointer), num("ring_entries", 8, 4, udec), num("bgid", 12, 2, udec), reserved("pad", 14, 2), reservedArray("resv", 16, 3, 8)), 22, 23),
		unless(1, 1<<32-1, known, at(2, pointer)), at(3, udec)}
}

func ringFile(p *Printer, _ *Input, b []byte) {
	p.text("{offset=")
	if offset := word(b, 0, 4); offset == 1<<32-1 {
		p.text("-1")
	} else {
		p.format("%d", offset)
	}
	if v := word(b, 4, 4); v != 0 {
		p.text(", resv=" + hexText(v))
	}
	p.text(", data=")
	p.descriptor(word(b, 8, 8))
	p.text("}")
}

func ringSlot(p *Printer, _ *Input, b []byte) {
	p.format("{offset=%d", word(b, 0, 4))
	if v := word(b, 4, 4); v != 0 {
		p.text(", resv=" + hexText(v))
	}
	if v := word(b, 8, 8); v != 0 {
		p.text(", data=" + hexText(v))
	}
	p.text("}")
}

// restriction prints struct io_uring_restriction.
func restriction(p *Printer, _ *Input, b []byte) {
	opcode, value := word(b, 0, 2), word(b, 2, 1)
	p.text("{opcode=" + p.value(uringRestrictionOpcodes, opcode))
	switch opcode {
	case 0:
		p.text(", register_op=" + p.value(uringRegisterOpcodes, value))
	case 1:
		p.text(", sqe_op=" + p.value(uringOps, value))
	case 2, 3:
		p.text(", sqe_flags=" + p.flags(uringSqeFlags, value))
	default:
		p.text(" /* op: " + hexText(value) + " */")
	}
	if v := word(b, 3, 1); v != 0 {
		p.text(", resv=" + hexText(v))
	}
	if word(b, 4, 8)|word(b, 12, 4) != 0 {
		p.text(", resv2=[" + hexText(word(b, 4, 4)) + ", " + hexText(word(b, 8, 4)) + ", " + hexText(word(b, 12, 4)) + "]")
	}
	p.text("}")
}

// probeIn prints struct io_uring_probe, which the call stores. Before that it is all zero, and
// is not printed.
func probeIn(i, count int) Arg {
	const head, each = 16, 8
	op := tracespec.Op{Kind: tracespec.Prefix, Address: argument(i), Count: constant(1), Unit: head + 256*each, Max: head + 256*each}
	return Arg{ops: []tracespec.Op{op}, print: func(p *Printer, in *Input) {
		b, n := in.capture(0), int(uint32(in.Arguments[count]))
		zero := true
		if n <= 256 && len(b) >= head+n*each {
			for _, c := range b[:head+n*each] {
				zero = zero && c == 0
			}
		}
		if n > 256 || len(b) < head+n*each || zero {
			p.address(in.Arguments[i])
			return
		}
		p.text("{last_op=" + p.valueDecimal(uringOps, word(b, 0, 1)))
		p.format(", ops_len=%d", word(b, 1, 1))
		if v := word(b, 2, 2); v != 0 {
			p.text(", resv=" + hexText(v))
		}
		if word(b, 4, 8)|word(b, 12, 4) != 0 {
			p.text(", resv2=[" + hexText(word(b, 4, 4)) + ", " + hexText(word(b, 8, 4)) + ", " + hexText(word(b, 12, 4)) + "]")
		}
		p.text(", ops=[")
		for k := range n {
			if k > 0 {
				p.text(", ")
			}
			if k >= p.Strings && !p.Verbose {
				p.text("...")
				break
			}
			e := b[head+k*each:]
			p.text("{op=" + p.valueDecimal(uringOps, word(e, 0, 1)))
			if v := word(e, 1, 1); v != 0 {
				p.text(", resv=" + hexText(v))
			}
			p.text(", flags=" + p.flags(uringOpFlags, word(e, 2, 2)))
			if v := word(e, 4, 4); v != 0 {
				p.text(", resv2=" + hexText(v))
			}
			p.text("}")
		}
		p.text("]}")
	}}
}

// valueDecimal is value with a decimal number.
func (p *Printer) valueDecimal(t *nameTable, v uint64) string {
	other := *t
	other.decimal = true
	return p.value(&other, v)
}

// workers prints the limits of IORING_REGISTER_IOWQ_MAX_WORKERS.
func workers(i, count int) Arg {
	op := array(argument(i), argument(count), 4)
	return Arg{ops: []tracespec.Op{op}, print: orAddress(i, func(p *Printer, in *Input, b []byte) {
		p.text("[")
		for k := 0; 4*k+4 <= len(b); k++ {
			if k > 0 {
				p.text(", ")
			}
			p.text("[" + p.valueDecimal(uringIowqAcct, uint64(k)) + "]=" + decimal(word(b, 4*k, 4)))
		}
		p.text("]")
	})}
}

// uringRows are the calls of io_uring(7).
var uringRows = []Row{
	call(unix.SYS_IO_URING_SETUP, "io_uring_setup", "desc", append([]Arg{at(0, udec)}, uringParameters(1)...)...).givesFD(),
	call(unix.SYS_IO_URING_ENTER, "io_uring_enter", "desc signal", fd(0), at(1, udec), at(2, udec), at(3, flagsOf(uringEnterFlags)), sigset(4, 5), at(5, ulong)),
	call(unix.SYS_IO_URING_REGISTER, "io_uring_register", "desc memory", uringRegister()...),
}
