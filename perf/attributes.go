package perf

import (
	"bytes"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/cred"
	"slowpath/mm"
	"slowpath/task"
)

// Attributes are struct perf_event_attr after the checks of copyAttributes.
type Attributes struct{ unix.PerfEventAttr }

// Sizes of struct perf_event_attr. A program passes the size that it knows.
const (
	firstSize = 64  // PERF_ATTR_SIZE_VER0
	ownSize   = 128 // PERF_ATTR_SIZE_VER7, that of Linux 6.1
)

// Bits of Attributes.Bits that package unix does not name.
const (
	bitInheritThread = 1 << 35
	bitRemoveOnExec  = 1 << 36
	bitSigtrap       = 1 << 37
	bitNamespaces    = 1 << 28
	knownBits        = 1<<38 - 1
)

// Has reports whether a bit of Bits is set.
func (a *Attributes) Has(bit uint64) bool { return a.Bits&bit != 0 }

// samples reports whether the sample type has all bits of what.
func (a *Attributes) samples(what uint64) bool { return a.Sample_type&what == what }

// sampling reports whether the event writes samples, and does not only count.
func (a *Attributes) sampling() bool { return a.Sample != 0 }

// copyAttributes reads the structure at a user address (Linux: perf_copy_attr). Errors:
// EFAULT, E2BIG for an unknown size or unknown fields, EINVAL.
func copyAttributes(t *task.Task, address uint64) (*Attributes, error) {
	size, err := abi.CopyIn[uint32](t, address+4)
	if err != nil {
		return nil, err
	}
	if size == 0 {
		size = firstSize
	}
	if size < firstSize || size > mm.PageSize {
		return nil, tooBig(t, address)
	}
	raw := make([]byte, size)
	if err := t.CopyIn(address, raw); err != nil {
		return nil, err
	}
	a, err := decodeAttributes(raw)
	if err == unix.E2BIG {
		return nil, tooBig(t, address)
	}
	return a, err
}

// decodeAttributes decodes the bytes of the structure, at least firstSize. Errors: E2BIG
// for fields that the kernel does not know, EINVAL.
func decodeAttributes(raw []byte) (*Attributes, error) {
	if len(raw) > ownSize && len(bytes.Trim(raw[ownSize:], "\x00")) > 0 {
		return nil, unix.E2BIG
	}
	a := new(Attributes)
	copy(abi.Bytes(&a.PerfEventAttr), raw)
	a.Size = uint32(len(raw))
	return a, a.check(raw)
}

// tooBig tells the program which size the kernel knows.
func tooBig(t *task.Task, address uint64) error {
	if err := abi.CopyOut(t, address+4, uint32(ownSize)); err != nil {
		return err
	}
	return unix.E2BIG
}

// Offsets of the reserved fields.
const (
	reserved2 = 110 // 2 bytes
	reserved3 = 116 // 4 bytes
)

// check validates what does not depend on the event's type.
func (a *Attributes) check(raw []byte) error {
	for _, reserved := range [][2]int{{reserved2, reserved2 + 2}, {reserved3, reserved3 + 4}} {
		if len(raw) >= reserved[1] && len(bytes.Trim(raw[reserved[0]:reserved[1]], "\x00")) > 0 {
			return unix.EINVAL
		}
	}
	for _, wrong := range []bool{
		a.Bits&^knownBits != 0,
		a.Sample_type&^(unix.PERF_SAMPLE_MAX-1) != 0,
		a.Read_format&^(unix.PERF_FORMAT_MAX-1) != 0,
		a.samples(unix.PERF_SAMPLE_REGS_USER) && !validRegisters(a.Sample_regs_user),
		a.samples(unix.PERF_SAMPLE_REGS_INTR) && !validRegisters(a.Sample_regs_intr),
		a.samples(unix.PERF_SAMPLE_STACK_USER) && (a.Sample_stack_user >= 0xffff || a.Sample_stack_user%8 != 0),
		a.samples(unix.PERF_SAMPLE_WEIGHT | unix.PERF_SAMPLE_WEIGHT_STRUCT),
		a.samples(unix.PERF_SAMPLE_CGROUP),
		!a.Has(unix.PerfBitInherit) && a.Has(bitInheritThread),
		a.Has(bitRemoveOnExec) && a.Has(unix.PerfBitEnableOnExec),
		a.Has(bitSigtrap) && !a.Has(bitRemoveOnExec),
		a.Has(unix.PerfBitInherit) && a.Read_format&unix.PERF_FORMAT_GROUP != 0,
	} {
		if wrong {
			return unix.EINVAL
		}
	}
	if a.samples(unix.PERF_SAMPLE_BRANCH_STACK) || a.samples(unix.PERF_SAMPLE_AUX) || a.Has(bitSigtrap) {
		return unix.EOPNOTSUPP // Linux: perf_tp_event_init, for software events
	}
	return nil
}

// validRegisters reports whether mask selects registers that a sample can have: the
// general registers, RIP, RFLAGS, CS and SS (Linux: perf_reg_validate).
func validRegisters(mask uint64) bool {
	const segments = 0xf << 12 // DS, ES, FS, GS
	return mask != 0 && mask&segments == 0 && mask>>registerCount == 0
}

// allowed checks what the caller may observe at all (perf_event_open(2), "EACCES"). wide
// is set for an event that counts for every task of a CPU.
func (p *Perf) allowed(t *task.Task, a *Attributes, wide bool) error {
	if privileged(t) {
		return nil
	}
	paranoid := p.settings.PerfEventParanoid.Get()
	switch {
	case paranoid > 1 && !a.Has(unix.PerfBitExcludeKernel):
		return unix.EACCES
	case wide && paranoid > 0:
		return unix.EACCES
	case a.Has(bitNamespaces):
		return unix.EACCES
	}
	return nil
}

// privileged is perfmon_capable of Linux.
func privileged(t *task.Task) bool {
	c := t.Credentials()
	return c.Has(cred.PerfMon) || c.Has(cred.SysAdmin)
}

// checkRate checks the sampling frequency or period.
func (p *Perf) checkRate(a *Attributes) error {
	if a.Has(unix.PerfBitFreq) {
		if a.Sample > uint64(p.settings.PerfEventMaxSampleRate.Get()) {
			return unix.EINVAL
		}
		return nil
	}
	if a.Sample>>63 != 0 {
		return unix.EINVAL
	}
	return nil
}
