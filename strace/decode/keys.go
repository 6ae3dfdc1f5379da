package decode

import (
	"golang.org/x/sys/unix"

	"slowpath/tracespec"
)

// keySerial prints the number of a key or keyring.
func keySerial(p *Printer, _ *Input, v uint64) { p.text(p.value(keySpec, uint64(int64(int32(v))))) }

// keyError prints an errno.
func keyError(p *Printer, _ *Input, v uint64) {
	name := ErrnoName(int(uint32(v)))
	if uint32(v) >= 4096 || name == decimal(uint64(uint32(v))) {
		p.format("%d", uint32(v))
		return
	}
	p.text(p.styled(decimal(uint64(uint32(v))), name))
}

// keyBuffer prints the buffer of a call whose result may be greater than it. trailingNUL drops
// a NUL at the end.
func keyBuffer(i, size int, trailingNUL bool) Arg {
	a := outBuffer(i)
	a.ops[0].Kind = tracespec.Prefix
	a.print = func(p *Printer, in *Input) {
		b, n := in.capture(0), min(uint64(max(in.Result, 0)), in.Arguments[size])
		if b == nil {
			p.address(in.Arguments[i])
			return
		}
		b = b[:min(uint64(len(b)), n)]
		if trailingNUL && n > 0 && uint64(len(b)) == n && b[n-1] == 0 && n <= uint64(p.Strings)+1 {
			p.quote(b[:n-1])
			return
		}
		p.data(b, n)
	}
	return a
}

// keyOn is an argument of keyctl(2) for some commands.
func keyOn(a Arg, commands ...uint64) Arg { return when(0, 1<<32-1, commands, a) }

// keyCapabilities prints what KEYCTL_CAPABILITIES has stored.
func keyCapabilities(i, size int) Arg {
	a := keyBuffer(i, size, false)
	a.print = func(p *Printer, in *Input) {
		b := in.capture(0)
		if b == nil {
			p.address(in.Arguments[i])
			return
		}
		p.text("[")
		for k, c := range b[:min(uint64(len(b)), in.Arguments[size])] {
			if k > 0 {
				p.text(", ")
			}
			switch k {
			case 0:
				p.text(p.flags(keyctlCaps0, uint64(c)))
			case 1:
				p.text(p.flags(keyctlCaps1, uint64(c)))
			default:
				p.text(hexText(uint64(c)))
			}
		}
		p.text("]")
	}
	return a
}

// keyOperation are the arguments of KEYCTL_PKEY_ENCRYPT and its like, and of
// KEYCTL_PKEY_VERIFY.
func keyOperation(commands []uint64, last string) (list []Arg) {
	const size = 44
	parameters := func(members ...member) []member {
		return append([]member{num("key_id", 0, 4, keySerial), num("in_len", 4, 4, udec), num(last, 8, 4, udec), reservedArray("__spare", 12, 7, 4)}, members...)
	}
	operand := func(i, lengthAt int) Arg {
		ops := []tracespec.Op{fixed(argument(1), size), buffer(argument(i), captured(0, lengthAt, 4))}
		return Arg{ops: ops, print: func(p *Printer, in *Input) {
			if s := in.capture(1); s != nil {
				p.data(s, word(in.capture(0), lengthAt, 4))
				return
			}
			p.address(in.Arguments[i])
		}}
	}
	second := operand(4, 8)
	if last == "out_len" {
		second = onExit(second)
	}
	for _, a := range []Arg{structured(1, size, parameters()...), str(2), operand(3, 4), second} {
		list = append(list, keyOn(a, commands...))
	}
	return list
}

// keyctlArgs are the arguments of keyctl(2).
func keyctlArgs() []Arg {
	known := []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31}
	args := []Arg{at(0, oneOf(keyctlCommands)),
		keyOn(at(1, keySerial), 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 17, 19, 20, 21, 24, 29, 30),
		keyOn(str(1), 1),
		keyOn(at(1, decimalOf(keyReqkeys)), 14),
		keyOn(at(1, id), 22),
		keyOn(at(2, dec), 0),
		keyOn(inBuffer(2, 3), 2), keyOn(at(3, ulong), 2),
		keyOn(at(2, keySerial), 8, 9, 30, 22),
		keyOn(str(2), 10, 29), keyOn(str(3), 10, 29), keyOn(at(4, keySerial), 10, 12, 19, 20),
		keyOn(at(2, id), 4), keyOn(at(3, id), 4),
		keyOn(at(2, flagsOf(keyPerms)), 5),
		keyOn(inBuffer(2, 3), 12), keyOn(at(3, ulong), 12),
		keyOn(vectorsIn(2, 3), 20), keyOn(at(3, ulong), 20),
		keyOn(at(2, udec), 13, 15, 19), keyOn(at(3, keySerial), 13), keyOn(at(3, keyError), 19),
		keyOn(keyBuffer(2, 3, true), 6, 17), keyOn(keyBuffer(2, 3, false), 11), keyOn(at(3, ulong), 6, 17, 11),
		keyOn(at(3, keySerial), 30), keyOn(at(4, flagsOf(keyctlMoveFlags)), 30),
		// KEYCTL_DH_COMPUTE
		keyOn(structured(1, 12, num("private", 0, 4, keySerial), num("prime", 4, 4, keySerial), num("base", 8, 4, keySerial)), 23),
		keyOn(keyBuffer(2, 3, false), 23), keyOn(at(3, ulong), 23),
		keyOn(even(structured(4, 56, text("hashname", 0, 0), keyInfo(), num("otherinfolen", 16, 4, udec), reservedArray("__spare", 20, 8, 4))), 23),
		// KEYCTL_PKEY_QUERY
		keyOn(at(2, hex), 24), keyOn(str(3), 24),
		keyOn(onExit(structured(4, 56, num("supported_ops", 0, 4, flagsOf(keyctlPkeyOps)), num("key_size", 4, 4, udec), num("max_data_size", 8, 2, udec), num("max_sig_size", 10, 2, udec),
			num("max_enc_size", 12, 2, udec), num("max_dec_size", 14, 2, udec), reservedArray("__spare", 16, 10, 4))), 24),
		// KEYCTL_CAPABILITIES
		keyOn(keyCapabilities(1, 2), 31), keyOn(at(2, ulong), 31),
	}
	args = append(args, keyOperation([]uint64{25, 26, 27}, "out_len")...)
	args = append(args, keyOperation([]uint64{28}, "in2_len")...)
	for i := 1; i < 5; i++ {
		args = append(args, unless(0, 1<<32-1, known, at(i, hex)))
	}
	return args
}

// keyInfo is the member otherinfo of struct keyctl_kdf_params.
func keyInfo() member {
	m := data("otherinfo", 8, 16, 4)
	print := m.print
	m.print = func(p *Printer, in *Input, b []byte, op int) {
		if word(b, 16, 4) == 0 {
			p.address(word(b, 8, 8))
			return
		}
		print(p, in, b, op)
	}
	return m
}

// decimalOf prints a value of a table with 32 bits; numbers are signed decimals.
func decimalOf(t *nameTable) scalar {
	other := *t
	other.decimal = true
	return func(p *Printer, _ *Input, v uint64) { p.text(p.value(&other, uint64(int64(int32(v))))) }
}

// keyRows are the calls of keyrings(7).
var keyRows = []Row{
	call(unix.SYS_ADD_KEY, "add_key", "", str(0), str(1), inBuffer(2, 3), at(3, ulong), at(4, keySerial)),
	call(unix.SYS_REQUEST_KEY, "request_key", "", str(0), str(1), str(2), at(3, keySerial)),
	call(unix.SYS_KEYCTL, "keyctl", "", keyctlArgs()...),
}
