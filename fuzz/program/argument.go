package program

// argument decodes one argument of a call. It reports whether the value is the
// number of a slot.
type argument interface {
	decode(d *decoder) (value uint64, slot bool)
}

// one is a value of a list, or seldom any other number.
type one []uint64

func (o one) decode(d *decoder) (uint64, bool) {
	b := d.byte()
	switch {
	case b >= 0xfc:
		return uint64(d.word()), false
	case b >= 0xf8 || len(o) == 0:
		return numbers[int(d.byte())%len(numbers)], false
	}
	return o[int(b)%len(o)], false
}

// flags is the OR of up to three values of a list.
type flags []uint64

func (f flags) decode(d *decoder) (value uint64, slot bool) {
	b := d.byte()
	if b >= 0xfe || len(f) == 0 {
		return numbers[int(d.byte())%len(numbers)], false
	}
	for range b % 4 {
		value |= f[int(d.byte())%len(f)]
	}
	return value, false
}

// with is the OR of one value of a list and of flags.
type with struct {
	values one
	flags  flags
}

func (w with) decode(d *decoder) (uint64, bool) {
	value, _ := w.values.decode(d)
	more, _ := w.flags.decode(d)
	return value | more, false
}

// numbers are values at the limits of types and sizes.
var numbers = []uint64{
	0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 100, 127, 128, 255, 256, 511, 512, 1023, 1024, 4095, 4096, 4097, 8192,
	65535, 65536, 1 << 20, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<47 - 4096, 1 << 47, 1<<62 - 1, 1<<63 - 1, 1 << 63,
	^uint64(0), ^uint64(1), ^uint64(99), 0xfffffffffffff000, 0xffff800000000000, 0xffffffffffff0000,
}

// descriptor is a file descriptor: usually one of those that prologue opens or that
// the next calls return, because the kernel allocates the lowest that is free. Half
// of the time it is one of the list, if there is one: those of the call's kind.
type descriptor []uint64

func (f descriptor) decode(d *decoder) (uint64, bool) {
	b := d.byte()
	switch {
	case b < 0x80 && len(f) > 0:
		return f[int(b)%len(f)], false
	case b < 0xd0:
		return 3 + uint64(b%10), false
	case b < 0xf4:
		return uint64(b % 36), false
	}
	special := []uint64{^uint64(0), atCurrentDirectory, 63, 255, 1023, 1024, 1<<20 - 1, 1<<31 - 1}
	return special[b%8], false
}

// atCurrentDirectory is AT_FDCWD.
const atCurrentDirectory = 1<<64 - 100

// directory is the descriptor of a directory, often AT_FDCWD.
type directory struct{}

func (directory) decode(d *decoder) (uint64, bool) {
	if b := d.byte(); b < 0xa0 {
		return atCurrentDirectory, false
	}
	return descriptor{}.decode(d)
}

// process is a process or thread id.
type process struct{}

func (process) decode(d *decoder) (uint64, bool) {
	b := d.byte()
	switch {
	case b < 0xc0:
		return uint64(b % Slots), true
	case b < 0xe0:
		return 0, false
	case b < 0xf0:
		return ^uint64(0), false
	}
	special := []uint64{1, 2, ^uint64(1), 32767, 1<<31 - 1, 1 << 31, 1<<22 - 1, ^uint64(4)}
	return special[b%8], false
}

// pointer is the address of an example of a structure in the data area. Seldom it
// is a bad address, or an example of another structure.
type pointer struct{ kind area }

func (p pointer) decode(d *decoder) (uint64, bool) {
	b := d.byte()
	examples := image.addresses[p.kind]
	switch {
	case b >= 0xf4:
		return badAddresses[int(b)%len(badAddresses)], false
	case b >= 0xf0:
		return d.anyAddress(), false
	case b >= 0xec || len(examples) == 0:
		return 0, false
	}
	return examples[int(b)%len(examples)], false
}

// badAddresses are addresses that fault in different ways.
var badAddresses = []uint64{
	0, 1, 4096, DataBase - 4096, DataBase + imageSize - 1, DataBase + imageSize - 8, DataBase + imageSize,
	1<<47 - 4096, 1<<47 - 4097, 1 << 47, 0xffff800000000000, ^uint64(0),
}

// place is the address of a page for calls that change mappings.
type place struct{}

func (place) decode(d *decoder) (uint64, bool) {
	b := d.byte()
	switch {
	case b < 0xd0:
		return MapBase + uint64(b%16)*4096, false
	case b < 0xe0:
		return 0, false
	case b < 0xe4:
		return DataBase + uint64(b%16)*4096, false
	case b < 0xf0:
		return MapBase + uint64(b)*131, false
	}
	return badAddresses[int(b)%len(badAddresses)], false
}

// extent is the length of a range of memory or of a file.
var extent = one{4096, 8192, 1, 0x4000, 0x8000, 100, 0x10000, 0, 4097, 0x100000}

// size is the length of a buffer.
var size = one{64, 8, 1, 4096, 16, 0, 100, 128, 1000, 5000, 8192, 24, 32}

// signalNumber is the number of a signal. The signals that stop a process or end it
// for certain are seldom.
var signalNumber = one{10, 12, 14, 17, 34, 35, 64, 1, 2, 13, 15, 18, 23, 28, 10, 12, 34, 10, 11, 7, 0, 19, 20, 9, 65}
