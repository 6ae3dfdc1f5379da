package decode

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"slowpath/tracespec"
)

// maxAttribute is the maximum size of union bpf_attr that is decoded: a page.
const maxAttribute = 4096

// bpfCommand are the members of union bpf_attr for a command of bpf(2), and the size of what
// is known of it.
type bpfCommand struct {
	commands []uint64
	size     int
	members  []member
}

// objectName is a name in an array of 16 characters, which may be cut off.
func objectName(name string, offset int) member {
	const size = 16
	return optional(member{name: name, offset: offset, print: func(p *Printer, in *Input, b []byte, _ int) {
		s := b[offset:min(offset+size, in.size)]
		if end := slices.Index(s, 0); end >= 0 {
			p.quote(s[:end])
			return
		}
		p.quote(s[:max(len(s)-1, 0)])
		p.text("...")
	}})
}

// interfaceIndex prints the index of a network interface.
func interfaceIndex(p *Printer, _ *Input, v uint64) {
	if v == 1 {
		p.text(p.styled("1", `if_nametoindex("lo")`))
		return
	}
	p.format("%d", uint32(v))
}

// kernelVersion prints the version of a kernel.
func kernelVersion(p *Printer, _ *Input, v uint64) {
	p.text(p.styled(hexText(v), fmt.Sprintf("KERNEL_VERSION(%d, %d, %d)", v>>16, v>>8&0xff, v&0xff)))
}

// program is the member insns of BPF_PROG_LOAD.
func bpfInstructions(name string, offset, countOffset int) member {
	const size, most = 8, 4096
	m := list(name, offset, ofStructure(countOffset, 4), size, func(p *Printer, in *Input, b []byte) {
		registers := word(b, 1, 1)
		p.text("{code=")
		filterCode(p, word(b, 0, 1), true)
		p.text(", dst_reg=" + p.value(ebpfRegs, registers&0xf) + ", src_reg=" + p.value(ebpfRegs, registers>>4))
		p.format(", off=%d, imm=%s}", int16(word(b, 2, 2)), hexText(word(b, 4, 4)))
	})
	full := m.print
	m.print = func(p *Printer, in *Input, b []byte, op int) {
		if !p.Verbose {
			p.address(word(b, offset, 8))
			return
		}
		full(p, in, b, op)
	}
	return m
}

// logText is the member log_buf of BPF_PROG_LOAD.
func logText(name string, offset, lengthOffset int) member {
	m := data(name, offset, lengthOffset, 4)
	m.optional = true
	m.print = func(p *Printer, in *Input, b []byte, op int) {
		s, length := in.capture(op), word(b, lengthOffset, 4)
		switch end := slices.Index(s, 0); {
		case s == nil:
			p.address(word(b, offset, 8))
		case end >= 0 && end <= p.Strings:
			p.quote(s[:end])
		default:
			p.quote(s[:min(uint64(len(s)), length, uint64(p.Strings))])
			p.text("...")
		}
	}
	return m
}

// The types of links whose attributes are decoded.
const (
	traceIterator = 28
	perfEvent     = 41
	kprobeMulti   = 42
)

// linked is a member of BPF_LINK_CREATE for a type of links.
func linked(kind uint64, m member) member {
	before := m.shown
	m.optional, m.offset = true, 16
	m.shown = func(b []byte) bool { return word(b, 8, 4) == kind && (before == nil || before(b)) }
	return m
}

// bpfAttributes are the commands. The guest has no bpf(2), so no command changes its attribute.
var bpfAttributes = []bpfCommand{
	{[]uint64{0}, 72, []member{num("map_type", 0, 4, oneOf(bpfMapTypes)), num("key_size", 4, 4, udec), num("value_size", 8, 4, udec), num("max_entries", 12, 4, udec),
		optional(num("map_flags", 16, 4, flagsOf(bpfMapFlags))), optional(file("inner_map_fd", 20)),
		optional(ifBits(16, 4, 4, num("numa_node", 24, 4, numaNode))), objectName("map_name", 28), optional(num("map_ifindex", 44, 4, interfaceIndex)),
		optionalFrom(48, file("btf_fd", 48)), optionalFrom(48, num("btf_key_type_id", 52, 4, udec)), optionalFrom(48, num("btf_value_type_id", 56, 4, udec)),
		optional(num("btf_vmlinux_value_type_id", 60, 4, udec)), optional(num("map_extra", 64, 8, ulong))}},
	{[]uint64{1, 21}, 32, []member{file("map_fd", 0), num("key", 8, 8, pointer), num("value", 16, 8, pointer), optional(num("flags", 24, 8, longFlagsOf(bpfMapLookupElemFlags)))}},
	{[]uint64{2}, 32, []member{file("map_fd", 0), num("key", 8, 8, pointer), num("value", 16, 8, pointer), num("flags", 24, 8, longOneOf(bpfMapUpdateElemFlags))}},
	{[]uint64{3}, 16, []member{file("map_fd", 0), num("key", 8, 8, pointer)}},
	{[]uint64{4}, 24, []member{file("map_fd", 0), num("key", 8, 8, pointer), num("next_key", 16, 8, pointer)}},
	{[]uint64{22}, 4, []member{file("map_fd", 0)}},
	{[]uint64{5}, 128, []member{num("prog_type", 0, 4, oneOf(bpfProgTypes)), num("insn_cnt", 4, 4, udec), bpfInstructions("insns", 8, 4), text("license", 16, 0),
		optional(num("log_level", 24, 4, udec)), optional(num("log_size", 28, 4, udec)), logText("log_buf", 32, 28), optional(num("kern_version", 40, 4, kernelVersion)),
		optional(num("prog_flags", 44, 4, flagsOf(bpfProgFlags))), objectName("prog_name", 48), optional(num("prog_ifindex", 64, 4, interfaceIndex)),
		optional(num("expected_attach_type", 68, 4, oneOf(bpfAttachType))), optional(file("prog_btf_fd", 72)), optional(num("func_info_rec_size", 76, 4, udec)),
		optional(num("func_info", 80, 8, pointer)), optional(num("func_info_cnt", 88, 4, udec)), optional(num("line_info_rec_size", 92, 4, udec)),
		optional(num("line_info", 96, 8, pointer)), optional(num("line_info_cnt", 104, 4, udec)), optional(num("attach_btf_id", 108, 4, udec)),
		optional(file("attach_prog_fd", 112)), optional(num("fd_array", 120, 8, pointer))}},
	{[]uint64{6, 7}, 16, []member{text("pathname", 0, maxPath), file("bpf_fd", 8), optional(num("file_flags", 12, 4, flagsOf(bpfFileModeFlags)))}},
	{[]uint64{8}, 20, []member{file("target_fd", 0), file("attach_bpf_fd", 4), num("attach_type", 8, 4, oneOf(bpfAttachType)), num("attach_flags", 12, 4, flagsOf(bpfAttachFlags)),
		optional(file("replace_bpf_fd", 16))}},
	{[]uint64{9}, 12, []member{file("target_fd", 0), num("attach_type", 8, 4, oneOf(bpfAttachType))}},
	{[]uint64{10}, 76, []member{group("test", 0, file("prog_fd", 0), num("retval", 4, 4, udec), num("data_size_in", 8, 4, udec), num("data_size_out", 12, 4, udec),
		num("data_in", 16, 8, pointer), num("data_out", 24, 8, pointer), num("repeat", 32, 4, udec), num("duration", 36, 4, udec),
		optionalFrom(40, num("ctx_size_in", 40, 4, udec)), optionalFrom(40, num("ctx_size_out", 44, 4, udec)), optionalFrom(40, num("ctx_in", 48, 8, pointer)),
		optionalFrom(40, num("ctx_out", 56, 8, pointer)),
		optional(num("flags", 64, 4, flagsOf(bpfTestRunFlags))), optional(num("cpu", 68, 4, udec)), optional(num("batch_size", 72, 4, udec)))}},
	{[]uint64{11, 12, 23, 31}, 12, []member{num("start_id", 0, 4, udec), num("next_id", 4, 4, udec), optional(num("open_flags", 8, 4, flagsOf(bpfFileModeFlags)))}},
	{[]uint64{13}, 12, []member{num("prog_id", 0, 4, udec), num("next_id", 4, 4, udec), optional(num("open_flags", 8, 4, flagsOf(bpfFileModeFlags)))}},
	{[]uint64{14}, 12, []member{num("map_id", 0, 4, udec), num("next_id", 4, 4, udec), optional(num("open_flags", 8, 4, flagsOf(bpfFileModeFlags)))}},
	{[]uint64{15}, 16, []member{group("info", 0, file("bpf_fd", 0), num("info_len", 4, 4, udec), num("info", 8, 8, pointer))}},
	{[]uint64{16}, 28, []member{group("query", 0, file("target_fd", 0), num("attach_type", 4, 4, oneOf(bpfAttachType)), num("query_flags", 8, 4, flagsOf(bpfQueryFlags)),
		num("attach_flags", 12, 4, flagsOf(bpfAttachFlags)), num("prog_ids", 16, 8, pointer), num("prog_cnt", 24, 4, udec))}},
	{[]uint64{17}, 12, []member{group("raw_tracepoint", 0, text("name", 0, 129), file("prog_fd", 8))}},
	{[]uint64{18}, 28, []member{data("btf", 0, 16, 4), num("btf_log_buf", 8, 8, pointer), num("btf_size", 16, 4, udec), num("btf_log_size", 20, 4, udec), num("btf_log_level", 24, 4, udec)}},
	{[]uint64{19}, 4, []member{num("btf_id", 0, 4, udec)}},
	{[]uint64{20}, 48, []member{group("task_fd_query", 0, num("pid", 0, 4, pid), file("fd", 4), num("flags", 8, 4, udec), num("buf_len", 12, 4, udec), text("buf", 16, 0),
		num("prog_id", 24, 4, udec), num("fd_type", 28, 4, oneOf(bpfTaskFdType)), num("probe_offset", 32, 8, hex), num("probe_addr", 40, 8, hex))}},
	{[]uint64{24, 25}, 56, []member{group("batch", 0, num("in_batch", 0, 8, pointer), num("out_batch", 8, 8, pointer), num("keys", 16, 8, pointer), num("values", 24, 8, pointer),
		num("count", 32, 4, udec), file("map_fd", 36), num("elem_flags", 40, 8, longFlagsOf(bpfMapLookupElemFlags)), num("flags", 48, 8, hex))}},
	{[]uint64{26}, 56, []member{group("batch", 0, num("keys", 16, 8, pointer), num("values", 24, 8, pointer),
		num("count", 32, 4, udec), file("map_fd", 36), num("elem_flags", 40, 8, longFlagsOf(bpfMapLookupElemFlags)), num("flags", 48, 8, hex))}},
	{[]uint64{27}, 56, []member{group("batch", 0, num("keys", 16, 8, pointer),
		num("count", 32, 4, udec), file("map_fd", 36), num("elem_flags", 40, 8, longFlagsOf(bpfMapLookupElemFlags)), num("flags", 48, 8, hex))}},
	{[]uint64{28}, 48, []member{group("link_create", 0, file("prog_fd", 0), file("target_fd", 4), num("attach_type", 8, 4, oneOf(bpfAttachType)), num("flags", 12, 4, hex),
		linked(0, ifSet(16, 4, num("target_btf_id", 16, 4, udec))),
		linked(traceIterator, num("iter_info", 16, 8, pointer)), linked(traceIterator, num("iter_info_len", 24, 4, udec)),
		linked(perfEvent, group("perf_event", 16, num("bpf_cookie", 16, 8, hex))),
		linked(kprobeMulti, group("kprobe_multi", 16, num("flags", 16, 4, flagsOf(bpfLinkCreateKprobeMultiFlags)), num("cnt", 20, 4, udec), num("syms", 24, 8, pointer),
			list("addrs", 32, ofStructure(20, 4), 8, number(8, hex)), list("cookies", 40, ofStructure(20, 4), 8, number(8, hex)))))}},
	{[]uint64{29}, 16, []member{group("link_update", 0, file("link_fd", 0), file("new_prog_fd", 4), num("flags", 8, 4, flagsOf(bpfAttachFlags)), ifBits(8, 4, 4, file("old_prog_fd", 12)))}},
	{[]uint64{30}, 4, []member{num("link_id", 0, 4, udec)}},
}

// numaNode prints a NUMA node, -1 for none.
func numaNode(p *Printer, _ *Input, v uint64) {
	if uint32(v) == ^uint32(0) {
		p.text("4294967295 /* NUMA_NO_NODE */")
		return
	}
	p.format("%d", uint32(v))
}

// bpfArgs are the arguments of bpf(2).
func bpfArgs() []Arg {
	args := []Arg{at(0, oneOf(bpfCommands))}
	var known []uint64
	for _, c := range bpfAttributes {
		a := recordWith(1, sized(1, 2, maxAttribute), func(p *Printer, _ *Input, b []byte) { extra(p, b, c.size) }, c.members...)
		a = addressIf(1, func(in *Input) bool { return uint32(in.Arguments[2]) == 0 || uint32(in.Arguments[2]) > maxAttribute }, a)
		args = append(args, when(0, 1<<32-1, c.commands, a))
		known = append(known, c.commands...)
	}
	return append(args, unless(0, 1<<32-1, known, at(1, pointer)), at(2, udec))
}

// filterCode prints the code of an instruction of BPF, classic or extended.
func filterCode(p *Printer, code uint64, extended bool) {
	if p.Style == RawNumbers {
		p.text(hexText(code))
		return
	}
	text := filterCodeText(code, extended)
	p.text(p.styled(hexText(code), text))
}

// codeForm is how the code of a class of instructions is printed: the name of the class, if it
// is not that of classic BPF, the fields, and the bits that mean nothing.
type codeForm struct {
	class  string
	fields []codeField
	rest   uint64
}

// codeField is a field of the code: the names of its values, and its bits.
type codeField struct {
	names *nameTable
	mask  uint64
}

var (
	loadFields     = []codeField{{bpfSize, 0x18}, {bpfMode, 0xe0}}
	ebpfLoadFields = []codeField{{ebpfSize, 0x18}, {ebpfMode, 0xe0}}
	ebpfAluFields  = []codeField{{bpfSrc, 8}, {ebpfOpAlu, 0xf0}}
	ebpfJmpFields  = []codeField{{bpfSrc, 8}, {ebpfOpJmp, 0xf0}}
)

// codeForms has the forms by class, of classic BPF. ebpfCodeForms has those of extended BPF.
var codeForms = [8]codeForm{
	0: {fields: loadFields}, // BPF_LD
	1: {fields: loadFields}, // BPF_LDX
	2: {rest: 0xf8},         // BPF_ST
	3: {rest: 0xf8},         // BPF_STX
	4: {fields: []codeField{{bpfSrc, 8}, {bpfOpAlu, 0xf0}}},
	5: {fields: []codeField{{bpfSrc, 8}, {bpfOpJmp, 0xf0}}},
	6: {fields: []codeField{{bpfRval, 0x18}}, rest: 0xe0}, // BPF_RET
	7: {fields: []codeField{{bpfMiscop, 0xf8}}},
}

var ebpfCodeForms = [8]codeForm{
	0: {fields: ebpfLoadFields},
	1: {fields: ebpfLoadFields},
	2: {fields: ebpfLoadFields},
	3: {fields: ebpfLoadFields},
	4: {fields: ebpfAluFields},
	5: {fields: ebpfJmpFields},
	6: {class: "BPF_JMP32", fields: ebpfJmpFields},
	7: {class: "BPF_ALU64", fields: ebpfAluFields},
}

func filterCodeText(code uint64, extended bool) string {
	abbreviated, form := new(Printer), &codeForms[code&7]
	if extended {
		form = &ebpfCodeForms[code&7]
	}
	text := form.class
	if text == "" {
		text = abbreviated.value(bpfClass, code&7)
	}
	for _, f := range form.fields {
		text += "|" + abbreviated.value(f.names, code&f.mask)
	}
	if v := code & form.rest; v != 0 {
		text += "|" + hexText(v) + " /* BPF_??? */"
	}
	return text
}

// filterProgram prints struct sock_fprog of a filter. value prints the operands.
func filterProgram(i int, value func(p *Printer, code, k uint64) bool) Arg {
	const size, most = 8, 4096
	ops := []tracespec.Op{fixed(argument(i), 16), {Kind: tracespec.Prefix, Address: captured(0, 8, 8), Count: captured(0, 0, 2), Unit: size, Max: verboseBytes}}
	return Arg{ops: ops, print: orAddress(i, func(p *Printer, in *Input, b []byte) {
		p.format("{len=%d, filter=", word(b, 0, 2))
		p.filter(in, b, in.capture(1), value)
		p.text("}")
	})}
}

func (p *Printer) filter(in *Input, b, program []byte, value func(p *Printer, code, k uint64) bool) {
	const size = 8
	if p.Verbose && word(b, 0, 2) == 0 && word(b, 8, 8) != 0 {
		p.text("[]")
		return
	}
	if !p.Verbose || len(program) < size {
		p.address(word(b, 8, 8))
		return
	}
	p.elements(in, word(b, 8, 8), program, word(b, 0, 2), size, func(p *Printer, _ *Input, b []byte) {
		code, jt, jf, k := word(b, 0, 2), word(b, 2, 1), word(b, 3, 1), word(b, 4, 4)
		if jt != 0 || jf != 0 {
			p.text("BPF_JUMP(")
		} else {
			p.text("BPF_STMT(")
		}
		filterCode(p, code, false)
		p.text(", ")
		if !value(p, code, k) {
			p.text(hexText(k))
		}
		if jt != 0 || jf != 0 {
			p.text(", " + hexText(jt) + ", " + hexText(jf))
		}
		p.text(")")
	})
}

// seccompValue prints the operand of BPF_RET in a filter of seccomp(2).
func seccompValue(p *Printer, code, k uint64) bool {
	const ret = 6
	if code&7 != ret {
		return false
	}
	action, data := k&0xffff0000, k&0xffff
	text := p.value(seccompActions, action)
	if p.Style != RawNumbers && data != 0 {
		text += "|" + hexText(data)
	}
	if p.Style == RawNumbers {
		text = hexText(k)
	}
	p.text(text)
	return true
}

// bpfRows have bpf(2).
var bpfRows = []Row{
	call(unix.SYS_BPF, "bpf", "desc", bpfArgs()...).givesFD(),
}
