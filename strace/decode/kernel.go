package decode

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/tracespec"
)

// nodeMask prints a set of NUMA nodes whose length in bits, plus one, is another argument.
func nodeMask(i, count int) Arg {
	op := tracespec.Op{Kind: tracespec.Prefix, Address: argument(i), Count: constant(tracespec.MaxElements / 4), Unit: 8, Max: maxOfArray}
	return Arg{ops: []tracespec.Op{op}, print: func(p *Printer, in *Input) {
		bits := in.Arguments[count]
		n := (bits + 62) / 64
		if n < bits/64 || bits > 0 && n == 0 {
			p.address(in.Arguments[i])
			return
		}
		p.elements(in, in.Arguments[i], in.capture(0), n, 8, func(p *Printer, _ *Input, b []byte) { p.text(zeroFilled(word(b, 0, 8), 18)) })
	}}
}

// policyMode prints the mode of a memory policy.
func policyMode(p *Printer, _ *Input, v uint64) {
	const mask = 0xe000
	mode, flags := v&^mask, v&mask
	name := mpolModes.find(mode)
	switch {
	case flags == 0:
		p.text(p.value(mpolModes, mode))
	case name == "":
		p.text(p.flags(mpolModeFlags, v))
	default:
		p.text(p.styled(hexText(v), name+"|"+new(Printer).flags(mpolModeFlags, flags)))
	}
}

func policyMode32(p *Printer, in *Input, v uint64) { policyMode(p, in, uint64(uint32(v))) }

// pageStatus prints the status of a page of move_pages(2).
func pageStatus(p *Printer, _ *Input, b []byte) {
	v := int32(word(b, 0, 4))
	if v >= 0 || ErrnoName(int(-v)) == decimal(uint64(-v)) {
		p.format("%d", v)
		return
	}
	p.text(p.styled("-"+decimal(uint64(-v)), "-"+ErrnoName(int(-v))))
}

// waiters prints the array of futex_waitv(2), of which at most 128 elements are used.
func waiters(i, count int) Arg {
	const size, most = 24, 128
	a := arrayIn(i, argument(count), size, waiter)
	a.print = func(p *Printer, in *Input) {
		n, b := uint64(uint32(in.Arguments[count])), in.capture(0)
		limited := p.child()
		limited.Strings = min(p.Strings, most)
		limited.Verbose = p.Verbose && n <= most
		if p.Verbose {
			limited.Strings = most
		}
		limited.elements(in, in.Arguments[i], b, n, size, waiter)
		p.text(limited.Take())
	}
	return a
}

// waiter prints struct futex_waitv.
func waiter(p *Printer, _ *Input, b []byte) {
	p.text("{val=" + hexText(word(b, 0, 8)) + ", uaddr=")
	p.address(word(b, 8, 8))
	p.text(", flags=" + p.flags(futexWaiterFlags, word(b, 16, 4)))
	if v := word(b, 20, 4); v != 0 {
		p.text(", __reserved=" + hexText(v))
	}
	p.text("}")
}

const timexSize = 208

// timex is struct timex.
var timex = []member{num("modes", 0, 4, flagsOf(adjtimexModes)), num("offset", 8, 8, long), num("freq", 16, 8, long), num("maxerror", 24, 8, long), num("esterror", 32, 8, long),
	num("status", 40, 4, flagsOf(adjtimexStatus)), num("constant", 48, 8, long), num("precision", 56, 8, long), num("tolerance", 64, 8, long),
	group("time", 72, num("tv_sec", 72, 8, long), num("tv_usec", 80, 8, ulong)), num("tick", 88, 8, long), num("ppsfreq", 96, 8, long), num("jitter", 104, 8, long),
	num("shift", 112, 4, dec), num("stabil", 120, 8, long), num("jitcnt", 128, 8, long), num("calcnt", 136, 8, long), num("errcnt", 144, 8, long), num("stbcnt", 152, 8, long), num("tai", 160, 4, dec)}

// clockState prints the result of adjtimex(2).
func clockState(p *Printer, c *Call) {
	p.format("%d", c.Result)
	if name := adjtimexState.find(uint64(c.Result)); name != "" {
		p.text(" (" + name + ")")
	}
}

// segment prints struct kexec_segment.
func segment(p *Printer, _ *Input, b []byte) {
	p.text("{buf=")
	p.address(word(b, 0, 8))
	p.format(", bufsz=%d, mem=", word(b, 8, 8))
	p.address(word(b, 16, 8))
	p.format(", memsz=%d}", word(b, 24, 8))
}

func kexecFlags(p *Printer, _ *Input, v uint64) {
	const arch = 0xffff0000
	p.text(p.value(kexecArchValues, v&arch))
	if rest := v &^ arch; rest != 0 {
		p.text("|" + p.flags(kexecLoadFlags, rest))
	}
}

// swapFlags prints the flags of swapon(2).
func swapFlagsOf(p *Printer, _ *Input, v uint64) {
	const priority = 0x7fff
	v = uint64(uint32(v))
	if flags := v &^ priority; flags != 0 {
		p.text(p.flags(swapFlags, flags) + "|")
	}
	p.format("%d", v&priority)
}

// segmentDescriptor is struct user_desc.
var segmentDescriptor = []member{num("entry_number", 0, 4, id), num("base_addr", 4, 4, eightDigits), num("limit", 8, 4, eightDigits),
	bit("seg_32bit", 0, 1), bit("contents", 1, 3), bit("read_exec_only", 3, 1), bit("limit_in_pages", 4, 1), bit("seg_not_present", 5, 1), bit("useable", 6, 1), bit("lm", 7, 1)}

func eightDigits(p *Printer, _ *Input, v uint64) { p.text(zeroFilled(v, 8)) }

// zeroFilled is a number as "%#0*x" of C prints it.
func zeroFilled(v uint64, width int) string {
	if v == 0 {
		return strings.Repeat("0", width)
	}
	return fmt.Sprintf("0x%0*x", width-2, v)
}

// bit is a member of the last word of struct user_desc.
func bit(name string, shift int, mask uint64) member {
	return num(name, 12, 4, func(p *Printer, _ *Input, v uint64) { p.format("%d", v>>shift&mask) })
}

// maxLevel prints the argument of SYSLOG_ACTION_CONSOLE_LEVEL.
func consoleLevel(p *Printer, _ *Input, v uint64) {
	p.format("%d /* %s */", int32(v), cmpName(syslogConsoleLevels.find(uint64(uint32(v))), "LOGLEVEL_???"))
}

func cmpName(name, unknown string) string {
	if name == "" {
		return unknown
	}
	return name
}

// syslogCall prints the command of syslog(2), always as a number with a comment.
func syslogCall(p *Printer, _ *Input, v uint64) {
	p.format("%d /* %s */", int32(v), cmpName(syslogCalls.find(uint64(uint32(v))), "SYSLOG_ACTION_???"))
}

// syslogOn is an argument of syslog(2) for some commands.
func syslogOn(a Arg, commands ...uint64) Arg { return when(0, 1<<32-1, commands, a) }

// perfConfig prints the field config of struct perf_event_attr.
func perfConfig(p *Printer, b []byte) {
	const hardware, software, tracepoint, cache, event = 0, 1, 2, 3, 0xffffffff
	config := word(b, 8, 8)
	high := func() {
		if config>>32 != 0 {
			p.text(hexText(config>>32) + "<<32|")
		}
	}
	switch word(b, 0, 4) {
	case hardware:
		high()
		p.text(p.value(perfHwId, config&event))
	case software:
		p.text(p.value(perfSwIds, config))
	case tracepoint:
		p.format("%d", config)
	case cache:
		high()
		if v := config & event >> 24; v != 0 {
			p.text(hexText(v) + "<<24|")
		}
		p.text(p.value(perfHwCacheOpResultId, config>>16&0xff) + "<<16|" + p.value(perfHwCacheOpId, config>>8&0xff) + "<<8|" + p.value(perfHwCacheId, config&0xff))
	default:
		p.text(hexText(config))
	}
}

// perfFlags are the bits of struct perf_event_attr from offset 40. Two bits are precise_ip.
var perfFlags = []string{"disabled", "inherit", "pinned", "exclusive", "exclude_user", "exclude_kernel", "exclude_hv", "exclude_idle", "mmap", "comm", "freq", "inherit_stat",
	"enable_on_exec", "task", "watermark", "precise_ip", "", "mmap_data", "sample_id_all", "exclude_host", "exclude_guest", "exclude_callchain_kernel", "exclude_callchain_user",
	"mmap2", "comm_exec", "use_clockid", "context_switch", "write_backward", "namespaces", "ksymbol", "bpf_event", "aux_output", "cgroup", "text_poke", "build_id", "inherit_thread",
	"remove_on_exec", "sigtrap"}

var preciseTexts = []string{"arbitrary skid", "constant skid", "requested to have 0 skid", "must have 0 skid"}

const (
	perfMinimum = 64
	perfMaximum = 128
	perfBrief   = 48 // what is read unless everything is printed
)

// perfAttributes prints struct perf_event_attr, whose size is in it.
func perfAttributes(i int) Arg {
	op := tracespec.Op{Kind: tracespec.Prefix, Address: argument(i), Count: constant(1), Unit: perfMaximum, Max: perfMaximum}
	return Arg{ops: []tracespec.Op{op}, print: func(p *Printer, in *Input) {
		b := in.capture(0)
		size := min(int(word(b, 4, 4)), perfMaximum)
		if size == 0 {
			size = perfMinimum
		}
		if !p.Verbose && size >= perfMinimum {
			size = perfBrief
		}
		if len(b) < 8 || size < perfBrief || len(b) < size {
			p.address(in.Arguments[i])
			return
		}
		p.perfAttributes(slices.Concat(b[:size], make([]byte, perfMaximum-size)), size)
	}}
}

func (p *Printer) perfAttributes(b []byte, size int) {
	const breakpoint, branches, stackUser, isFreq, watermark, clockID = 5, 1 << 11, 1 << 13, 1 << 10, 1 << 14, 1 << 25
	kind, given, flags, samples := word(b, 0, 4), word(b, 4, 4), word(b, 40, 8), word(b, 24, 8)
	p.text("{type=" + p.value(perfTypeId, kind) + ", size=" + p.value(perfAttrSize, given) + ", config=")
	perfConfig(p, b)
	period := "sample_period"
	if flags&isFreq != 0 {
		period = "sample_freq"
	}
	p.format(", %s=%d, sample_type=%s, read_format=%s", period, word(b, 16, 8), p.flags(perfEventSampleFormat, samples), p.flags(perfEventReadFormat, word(b, 32, 8)))
	for i, name := range perfFlags {
		switch set := flags >> i & 1; {
		case name == "precise_ip":
			p.format(", precise_ip=%d /* %s */", flags>>i&3, preciseTexts[flags>>i&3])
		case name != "" && (p.Verbose || set != 0):
			p.format(", %s=%d", name, set)
		}
	}
	if rest := flags >> len(perfFlags); rest != 0 {
		p.format(", __reserved_1=%s /* Bits 63..%d */", hexText(rest), len(perfFlags))
	}
	if p.Verbose {
		p.perfRest(b, size, kind == breakpoint, flags&watermark != 0, samples&branches != 0, samples&stackUser != 0, flags&clockID != 0)
	}
	if given > uint64(size) {
		p.text(", ...")
	}
	p.text("}")
}

// perfRest prints the fields after the flags, as far as the structure has them.
func (p *Printer) perfRest(b []byte, size int, breakpoint, watermark, branches, stack, clock bool) {
	wakeup := "wakeup_events"
	if watermark {
		wakeup = "wakeup_watermark"
	}
	p.format(", %s=%d", wakeup, word(b, 48, 4))
	if breakpoint {
		unknown := hwBreakpointType
		if word(b, 52, 4) <= 7 {
			unknown = names("HW_BREAKPOINT_INVALID", "")
			unknown.names = hwBreakpointType.names
		}
		p.text(", bp_type=" + p.value(unknown, word(b, 52, 4)) + ", bp_addr=" + hexText(word(b, 56, 8)))
	} else {
		p.text(", config1=" + hexText(word(b, 56, 8)))
	}
	for _, f := range []struct {
		offset int
		shown  bool
		text   func() string
	}{
		{64, breakpoint, func() string { return ", bp_len=" + decimal(word(b, 64, 8)) }},
		{64, !breakpoint, func() string { return ", config2=" + hexText(word(b, 64, 8)) }},
		{72, branches, func() string { return ", branch_sample_type=" + p.flags(perfBranchSampleType, word(b, 72, 8)) }},
		{80, true, func() string { return ", sample_regs_user=" + hexText(word(b, 80, 8)) }},
		{88, stack, func() string { return ", sample_stack_user=" + hexText(word(b, 88, 4)) }},
		{92, clock, func() string { return ", clockid=" + p.value(clocks, word(b, 92, 4)) }},
		{96, true, func() string { return ", sample_regs_intr=" + hexText(word(b, 96, 8)) }},
		{104, true, func() string { return ", aux_watermark=" + decimal(word(b, 104, 4)) }},
		{108, true, func() string { return ", sample_max_stack=" + decimal(word(b, 108, 2)) }},
		{110, word(b, 110, 2) != 0, func() string { return " /* bytes 110..111: " + hexText(word(b, 110, 2)) + " */" }},
		{112, true, func() string { return ", aux_sample_size=" + decimal(word(b, 112, 4)) }},
		{116, word(b, 116, 4) != 0, func() string { return " /* bytes 116..119: " + hexText(word(b, 116, 4)) + " */" }},
		{120, true, func() string { return ", sig_data=" + hexText(word(b, 120, 8)) }},
	} {
		if f.offset >= size {
			return
		}
		if f.shown {
			p.text(f.text())
		}
	}
}

// residency prints what mincore(2) has stored: a byte for each page.
func residency(i, length int) Arg {
	const page, most = 4096, tracespec.MaxBytes
	op := tracespec.Op{Kind: tracespec.Prefix, Address: argument(i), Count: constant(1), Unit: most, Max: most}
	a := onExit(Arg{ops: []tracespec.Op{op}})
	a.print = func(p *Printer, in *Input) {
		n := (in.Arguments[length] + page - 1) / page
		p.elements(in, in.Arguments[i], in.capture(0), n, 1, func(p *Printer, _ *Input, b []byte) {
			if b[0]&1 != 0 {
				p.text("1")
			} else {
				p.text("0")
			}
		})
	}
	return a
}

// kernelRows are the calls on NUMA, clocks, modules, the machine and performance counters.
var kernelRows = []Row{
	call(unix.SYS_MBIND, "mbind", "memory", at(0, pointer), at(1, ulong), at(2, policyMode), nodeMask(3, 4), at(4, ulong), at(5, flagsOf(mbindFlags))),
	call(unix.SYS_SET_MEMPOLICY, "set_mempolicy", "memory", at(0, policyMode32), nodeMask(1, 2), at(2, ulong)),
	call(unix.SYS_GET_MEMPOLICY, "get_mempolicy", "memory", structOut(0, 4, indirect(4, oneOf(mpolModes))), onExit(nodeMask(1, 2)), at(2, ulong), at(3, pointer), at(4, longFlagsOf(getMempolicyFlags))),
	call(unix.SYS_MIGRATE_PAGES, "migrate_pages", "memory", at(0, pid), at(1, ulong), nodeMask(2, 1), nodeMask(3, 1)),
	call(unix.SYS_MOVE_PAGES, "move_pages", "memory", at(0, pid), at(1, ulong), arrayIn(2, argument(1), 8, number(8, pointer)), arrayIn(3, argument(1), 4, number(4, dec)),
		evenEmpty(onExit(arrayIn(4, argument(1), 4, pageStatus))), at(5, flagsOf(movePagesFlags))),
	call(unix.SYS_SET_MEMPOLICY_HOME_NODE, "set_mempolicy_home_node", "memory", at(0, pointer), at(1, ulong), at(2, ulong), at(3, hex)),
	call(unix.SYS_FUTEX_WAITV, "futex_waitv", "", waiters(0, 1), at(1, udec), at(2, hex32), structIn(3, timespecSize, timespec), at(4, oneOf(clocks))),
	call(unix.SYS_PROCESS_MADVISE, "process_madvise", "desc memory", fd(0), remoteVectors(1, 2), at(2, ulong), at(3, oneOf(madviseCmds)), at(4, hex32)),
	call(unix.SYS_PROCESS_MRELEASE, "process_mrelease", "desc", fd(0), at(1, hex32)),
	call(unix.SYS_MINCORE, "mincore", "memory", at(0, pointer), at(1, ulong), residency(2, 1)),
	call(unix.SYS_ADJTIMEX, "adjtimex", "%clock", onExit(structured(0, timexSize, timex...))).gives(clockState),
	call(unix.SYS_CLOCK_ADJTIME, "clock_adjtime", "%clock", at(0, clockName), onExit(structured(1, timexSize, timex...))).gives(clockState),
	call(unix.SYS_KEXEC_LOAD, "kexec_load", "", at(0, pointer), at(1, ulong),
		addressIf(2, func(in *Input) bool { return in.Arguments[1] > 16 }, arrayIn(2, argument(1), 32, segment)), at(3, kexecFlags)),
	call(unix.SYS_KEXEC_FILE_LOAD, "kexec_file_load", "desc", fd(0), fd(1), at(2, ulong), inBuffer(3, 2), at(4, longFlagsOf(kexecFileLoadFlags))),
	call(unix.SYS_REBOOT, "reboot", "", at(0, oneOf(bootflags1)), at(1, oneOf(bootflags2)), at(2, oneOf(bootflags3)), when(2, 1<<32-1, []uint64{0xa1b2c3d4}, limitedText(3, 255))),
	call(unix.SYS_SWAPON, "swapon", "file", path(0), at(1, swapFlagsOf)), call(unix.SYS_SWAPOFF, "swapoff", "file", path(0)), call(unix.SYS_ACCT, "acct", "file", path(0)),
	call(unix.SYS_INIT_MODULE, "init_module", "", at(0, pointer), at(1, ulong), str(2)),
	call(unix.SYS_FINIT_MODULE, "finit_module", "desc", fd(0), str(1), at(2, flagsOf(names("MODULE_INIT_???", "MODULE_INIT_IGNORE_MODVERSIONS 1 MODULE_INIT_IGNORE_VERMAGIC 2 MODULE_INIT_COMPRESSED_FILE 4")))),
	call(unix.SYS_DELETE_MODULE, "delete_module", "", str(0), at(1, flagsOf(names("O_???", "O_NONBLOCK 0x800 O_TRUNC 0x200")))),
	call(unix.SYS_IOPRIO_SET, "ioprio_set", "", at(0, oneOf(ioprioWho)), at(1, dec), at(2, func(p *Printer, _ *Input, v uint64) {
		p.text(p.styled(strconv.Itoa(int(int32(v))), p.priorityText(uint64(uint32(v)))))
	})),
	call(unix.SYS_IOPRIO_GET, "ioprio_get", "", at(0, oneOf(ioprioWho)), at(1, dec)).gives(func(p *Printer, c *Call) {
		p.format("%d", c.Result)
		if p.Style != RawNumbers {
			p.text(" (" + p.priorityText(uint64(c.Result)) + ")")
		}
	}),
	call(unix.SYS_SYSLOG, "syslog", "", at(0, syslogCall), syslogOn(outBuffer(1), 2, 3, 4), syslogOn(at(1, pointer), 8), syslogOn(at(2, dec), 2, 3, 4), syslogOn(at(2, consoleLevel), 8),
		unless(0, 1<<32-1, []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, at(1, pointer)), unless(0, 1<<32-1, []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, at(2, dec))),
	call(unix.SYS_USTAT, "ustat", "", at(0, device), onExit(at(1, pointer))),
	call(unix.SYS_SYSFS, "sysfs", "", at(0, dec), at(1, hex), at(2, hex)),
	call(unix.SYS_LOOKUP_DCOOKIE, "lookup_dcookie", "", at(0, ulong), outBuffer(1), at(2, ulong)),
	call(unix.SYS_MODIFY_LDT, "modify_ldt", "", at(0, dec), addressIf(1, func(in *Input) bool { return in.Arguments[2] != 16 }, structured(1, 16, segmentDescriptor...)), at(2, ulong)),
	call(unix.SYS_SET_THREAD_AREA, "set_thread_area", "", structured(0, 16, segmentDescriptor...)),
	call(unix.SYS_GET_THREAD_AREA, "get_thread_area", "", onExit(structured(0, 16, segmentDescriptor...))),
	call(unix.SYS_USERFAULTFD, "userfaultfd", "desc", at(0, flagsOf(uffdFlags))).givesFD(),
	call(unix.SYS_PERF_EVENT_OPEN, "perf_event_open", "desc", perfAttributes(0), at(1, dec), at(2, dec), fd(3), at(4, longFlagsOf(perfEventOpenFlags))).givesFD(),
	call(unix.SYS_VHANGUP, "vhangup", ""), call(unix.SYS_IOPERM, "ioperm", "", at(0, hex), at(1, hex), at(2, dec)), call(unix.SYS_IOPL, "iopl", "", at(0, dec)),
	call(unix.SYS_REMAP_FILE_PAGES, "remap_file_pages", "memory", at(0, pointer), at(1, ulong), at(2, longFlagsOf(protFlags)), at(3, ulong), at(4, mapFlagsOf)),
	call(unix.SYS_MEMFD_SECRET, "memfd_secret", "desc", at(0, flagsOf(names("", "O_CLOEXEC 0x80000")))).givesFD(),
}
