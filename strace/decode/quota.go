package decode

import (
	"slices"

	"golang.org/x/sys/unix"

	"slowpath/tracespec"
)

// quotaCommand prints the command of quotactl(2).
func quotaCommand(p *Printer, _ *Input, v uint64) {
	abbreviated := new(Printer)
	v = uint64(uint32(v))
	p.text(p.styled(decimal(v), "QCMD("+abbreviated.value(quotacmds, v>>8)+", "+abbreviated.value(quotatypes, v&0xff)+")"))
}

// brief is a member that prints "..." in place of the members after it, unless they are
// printed completely.
func brief(members ...member) member {
	return member{print: func(p *Printer, in *Input, b []byte, op int) {
		if !p.Verbose {
			p.text("...")
			return
		}
		p.members(in, b, members, func(int) int { return op }, len(b))
	}}
}

func unsigned(prefix string, offset int, fields ...string) (members []member) {
	for i, f := range fields {
		members = append(members, num(prefix+f, offset+8*i, 8, ulong))
	}
	return members
}

// quotaFile is a member that is struct fs_qfilestat, or fs_qfilestatv, whose last field is
// followed by padding.
func quotaFile(name string, offset int) member {
	return group(name, offset, num("qfs_ino", offset, 8, ulong), num("qfs_nblks", offset+8, 8, ulong), num("qfs_nextents", offset+16, 4, udec))
}

var (
	blockQuota = append(unsigned("dqb_", 0, "bhardlimit", "bsoftlimit", "curspace", "ihardlimit", "isoftlimit", "curinodes"),
		brief(num("dqb_btime", 48, 8, ulong), num("dqb_itime", 56, 8, ulong), num("dqb_valid", 64, 4, flagsOf(ifDqblkValid))))
	nextQuota = append(unsigned("dqb_", 0, "bhardlimit", "bsoftlimit", "curspace", "ihardlimit", "isoftlimit", "curinodes"),
		member{print: func(p *Printer, in *Input, b []byte, _ int) {
			if !p.Verbose {
				p.format("dqb_id=%d, ...", word(b, 68, 4))
				return
			}
			p.format("dqb_btime=%d, dqb_itime=%d, dqb_valid=%s, dqb_id=%d", word(b, 48, 8), word(b, 56, 8), p.flags(ifDqblkValid, word(b, 64, 4)), word(b, 68, 4))
		}})
	xfsQuota = slices.Concat([]member{num("d_version", 0, 1, signedByte), num("d_flags", 1, 1, flagsOf(xfsDqblkFlags)), num("d_fieldmask", 2, 2, hex), num("d_id", 4, 4, udec)},
		unsigned("d_", 8, "blk_hardlimit", "blk_softlimit", "ino_hardlimit", "ino_softlimit", "bcount", "icount"),
		[]member{brief(num("d_itimer", 56, 4, dec), num("d_btimer", 60, 4, dec), num("d_iwarns", 64, 2, udec), num("d_bwarns", 66, 2, udec),
			num("d_rtb_hardlimit", 72, 8, ulong), num("d_rtb_softlimit", 80, 8, ulong), num("d_rtbcount", 88, 8, ulong), num("d_rtbtimer", 96, 4, dec), num("d_rtbwarns", 100, 2, udec))})
	quotaInfo = []member{num("dqi_bgrace", 0, 8, ulong), num("dqi_igrace", 8, 8, ulong), num("dqi_flags", 16, 4, flagsOf(ifDqinfoFlags)), num("dqi_valid", 20, 4, flagsOf(ifDqinfoValid))}
	xfsState  = []member{num("qs_version", 0, 1, signedByte), brief(num("qs_flags", 2, 2, flagsOf(xfsQuotaFlags)), quotaFile("qs_uquota", 8), quotaFile("qs_gquota", 32),
		num("qs_incoredqs", 56, 4, udec), num("qs_btimelimit", 60, 4, dec), num("qs_itimelimit", 64, 4, dec), num("qs_rtbtimelimit", 68, 4, dec),
		num("qs_bwarnlimit", 72, 2, udec), num("qs_iwarnlimit", 74, 2, udec))}
	xfsStateV = []member{num("qs_version", 0, 1, signedByte), brief(num("qs_flags", 2, 2, flagsOf(xfsQuotaFlags)), num("qs_incoredqs", 4, 4, udec),
		quotaFile("qs_uquota", 8), quotaFile("qs_gquota", 32), quotaFile("qs_pquota", 56), num("qs_btimelimit", 80, 4, dec), num("qs_itimelimit", 84, 4, dec),
		num("qs_rtbtimelimit", 88, 4, dec), num("qs_bwarnlimit", 92, 2, udec), num("qs_iwarnlimit", 94, 2, udec))}
)

func signedByte(p *Printer, _ *Input, v uint64) { p.format("%d", int8(v)) }

// quotaData are the arguments 2 and 3 of quotactl(2) and quotactl_fd(2). Argument command has
// the command and the type.
func quotaData(command int) []Arg {
	const mask = 0xffffff00
	on := func(a Arg, commands ...uint64) Arg {
		shifted := make([]uint64, len(commands))
		for i, c := range commands {
			shifted[i] = c << 8
		}
		return when(command, mask, shifted, a)
	}
	const quotaOff, sync, quotaOn, getFormat, getInfo, setInfo, getQuota, setQuota, getNext = 0x800003, 0x800001, 0x800002, 0x800004, 0x800005, 0x800006, 0x800007, 0x800008, 0x800009
	const xOn, xOff, xGet, xSet, xStat, xRemove, xSync, xStatV, xNext = 0x5801, 0x5802, 0x5803, 0x5804, 0x5805, 0x5806, 0x5807, 0x5808, 0x5809
	known := []uint64{quotaOff, sync, quotaOn, getFormat, getInfo, setInfo, getQuota, setQuota, getNext, xOn, xOff, xGet, xSet, xStat, xRemove, xSync, xStatV, xNext}
	for i := range known {
		known[i] <<= 8
	}
	flags := func(t *nameTable) Arg { return structIn(3, 4, indirect(4, flagsOf(t))) }
	return []Arg{
		on(at(2, oneOf(quotaFormats)), quotaOn), on(path(3), quotaOn),
		on(at(2, id), getQuota, setQuota, getNext, xGet, xNext, xSet),
		on(onExit(structured(3, 68, blockQuota...)), getQuota), on(structured(3, 68, blockQuota...), setQuota),
		on(onExit(structured(3, 72, nextQuota...)), getNext),
		on(onExit(structured(3, 112, xfsQuota...)), xGet, xNext), on(structured(3, 112, xfsQuota...), xSet),
		on(structOut(3, 4, indirect(4, oneOf(quotaFormats))), getFormat),
		on(onExit(structured(3, 24, quotaInfo...)), getInfo), on(structured(3, 24, quotaInfo...), setInfo),
		on(onExit(structured(3, 80, xfsState...)), xStat), on(onExit(structured(3, 160, xfsStateV...)), xStatV),
		on(flags(xfsQuotaFlags), xOn, xOff), on(flags(xfsDqblkFlags), xRemove),
		unless(command, mask, known, at(2, id)), unless(command, mask, known, at(3, pointer)),
	}
}

// fanotifyClass prints the flags of fanotify_init(2).
func fanotifyClass(p *Printer, _ *Input, v uint64) {
	const class = 0xc
	v = uint64(uint32(v))
	p.text(p.value(fanClasses, v&class))
	if rest := v &^ class; rest != 0 {
		p.text("|" + p.flags(fanInitFlags, rest))
	}
}

// markedDirectory prints the directory of fanotify_mark(2), -1 for none.
func markedDirectory(i int) Arg {
	a := dirfd(i)
	print := a.print
	a.print = func(p *Printer, in *Input) {
		if int32(in.Arguments[i]) == -1 {
			p.text(p.styled("-1", "FAN_NOFD"))
			return
		}
		print(p, in)
	}
	return a
}

// fileHandle are the arguments with struct file_handle of name_to_handle_at(2).
func fileHandle(i int) []Arg {
	in := structIn(i, 8, func(p *Printer, _ *Input, b []byte) { p.format("{handle_bytes=%d", word(b, 0, 4)) })
	const most = 128
	out := Arg{exit: true, always: true, joined: true, before: []tracespec.Op{fixed(argument(i), 8)},
		ops: []tracespec.Op{fixed(argument(i), 8), {Kind: tracespec.Prefix, Address: argument(i), Count: captured(0, 0, 4), Unit: 1, Max: most, Offset: 8}}}
	out.print = func(p *Printer, in *Input) {
		before, b := in.before(0), in.capture(0)
		if before == nil {
			return
		}
		const overflow = 75
		if b != nil && (!in.Failed() || in.Result == -overflow) {
			if n := word(b, 0, 4); n != word(before, 0, 4) {
				p.format(" => %d", n)
			}
			if !in.Failed() {
				p.format(", handle_type=%d, f_handle=", int32(word(b, 4, 4)))
				p.handle(in.capture(1), word(b, 0, 4))
			}
		}
		p.text("}")
	}
	return []Arg{in, out}
}

func (p *Printer) handle(b []byte, length uint64) {
	if uint64(len(b)) < min(length, 128) {
		p.text("???")
		return
	}
	hex := &Printer{Options: Options{Hex: HexAll}}
	hex.quote(b[:min(length, 128)])
	p.text(hex.Take())
	if length > 128 {
		p.text("...")
	}
}

// knownHandle prints the struct file_handle of open_by_handle_at(2).
func knownHandle(i int) Arg {
	ops := []tracespec.Op{fixed(argument(i), 8), {Kind: tracespec.Prefix, Address: argument(i), Count: captured(0, 0, 4), Unit: 1, Max: 128, Offset: 8}}
	return Arg{ops: ops, print: orAddress(i, func(p *Printer, in *Input, b []byte) {
		p.format("{handle_bytes=%d, handle_type=%d, f_handle=", word(b, 0, 4), int32(word(b, 4, 4)))
		p.handle(in.capture(1), word(b, 0, 4))
		p.text("}")
	})}
}

// mountAttributes prints struct mount_attr.
func mountAttributes(i, size int) Arg {
	const identity, known = 0x100000, 32
	a := record(i, sized(i, size, known),
		num("attr_set", 0, 8, longFlagsOf(mountAttrAttr)), num("attr_clr", 8, 8, longFlagsOf(mountAttrAttr)), num("propagation", 16, 8, longOneOf(mountAttrPropagation)),
		member{name: "userns_fd", offset: 24, ops: file("", 24).ops, print: func(p *Printer, in *Input, b []byte, op int) {
			v := word(b, 24, 8)
			p.format("%d", v)
			if v < 1<<31 && (word(b, 0, 8)|word(b, 8, 8))&identity != 0 {
				p.path(in.capture(op))
			}
		}}, tail(i, size, known))
	return addressIf(i, func(in *Input) bool { return in.Arguments[size] < known }, a)
}

// configOn is an argument of fsconfig(2) for some commands.
func configOn(a Arg, commands ...uint64) Arg { return when(1, 1<<32-1, commands, a) }

// configText prints a string of at most 256 bytes.
func configText(i int) Arg { return limitedText(i, 256) }

// limitedText prints a string of at most most bytes.
func limitedText(i, most int) Arg {
	op := tracespec.Op{Kind: tracespec.String, Address: argument(i), Max: uint32(most + 1)}
	return Arg{ops: []tracespec.Op{op}, print: func(p *Printer, in *Input) {
		b := in.capture(0)
		limit := min(p.Strings, most)
		if len(b) == 0 || len(b) <= limit && b[len(b)-1] != 0 {
			p.address(in.Arguments[i])
			return
		}
		p.cstring(b, limit)
	}}
}

// configBinary prints the value of FSCONFIG_SET_BINARY.
func configBinary(i, length int) Arg {
	a := inBuffer(i, length)
	print := a.print
	a.print = func(p *Printer, in *Input) {
		if int32(in.Arguments[length]) < 0 || in.Arguments[length] > 1<<20 || in.capture(0) == nil {
			p.address(in.Arguments[i])
			return
		}
		hex := &Printer{Options: Options{Strings: p.Strings, Hex: HexAll}}
		print(hex, in)
		p.text(hex.Take())
	}
	return a
}

// landlockRules prints struct landlock_ruleset_attr.
func landlockRules(i, size int) Arg {
	const known = 8
	a := recordWith(i, sized(i, size, known), nil, num("handled_access_fs", 0, 8, longFlagsOf(landlockRulesetAccessFs)),
		member{print: func(p *Printer, _ *Input, _ []byte, _ int) { p.text("...") }})
	inner := a.print
	a.print = func(p *Printer, in *Input) {
		b := in.capture(0)
		if in.Arguments[size] < known || len(b) < known {
			p.address(in.Arguments[i])
			return
		}
		if in.Arguments[size] > known {
			inner(p, in)
			return
		}
		p.text("{handled_access_fs=" + p.flags(landlockRulesetAccessFs, word(b, 0, 8)) + "}")
	}
	return a
}

// mountRows are the calls on quotas, marks, file handles, mounts and Landlock.
var mountRows = []Row{
	call(unix.SYS_QUOTACTL, "quotactl", "file", slices.Concat([]Arg{at(0, quotaCommand), path(1)}, quotaData(0))...),
	call(unix.SYS_QUOTACTL_FD, "quotactl_fd", "desc", slices.Concat([]Arg{fd(0), at(1, quotaCommand)}, quotaData(1))...),
	call(unix.SYS_FANOTIFY_INIT, "fanotify_init", "desc", at(0, fanotifyClass), at(1, openFlagsOf)).givesFD(),
	call(unix.SYS_FANOTIFY_MARK, "fanotify_mark", "desc file", fd(0), at(1, flagsOf(fanMarkFlags)), at(2, longFlagsOf(fanEventFlags)), markedDirectory(3), path(4)),
	call(unix.SYS_NAME_TO_HANDLE_AT, "name_to_handle_at", "desc file", slices.Concat([]Arg{dirfd(0), path(1)}, fileHandle(2), []Arg{structOut(3, 4, indirect(4, dec)), at(4, flagsOf(nameToHandleAtFlags))})...),
	call(unix.SYS_OPEN_BY_HANDLE_AT, "open_by_handle_at", "desc", fd(0), knownHandle(1), at(2, openFlagsOf)),
	call(unix.SYS_OPEN_TREE, "open_tree", "desc file", dirfd(0), path(1), at(2, flagsOf(openTreeFlags))).givesFD(),
	call(unix.SYS_MOVE_MOUNT, "move_mount", "desc file", dirfd(0), path(1), dirfd(2), path(3), at(4, flagsOf(moveMountFlags))),
	call(unix.SYS_FSOPEN, "fsopen", "desc", str(0), at(1, flagsOf(names("FSOPEN_???", "FSOPEN_CLOEXEC 1")))).givesFD(),
	call(unix.SYS_FSCONFIG, "fsconfig", "desc file", fd(0), at(1, oneOf(fsconfigCmds)),
		configOn(configText(2), 0, 1, 2, 3, 4, 5), unless(1, 1<<32-1, []uint64{0, 1, 2, 3, 4, 5}, at(2, pointer)),
		configOn(configText(3), 1), configOn(configBinary(3, 4), 2), configOn(path(3), 3, 4), unless(1, 1<<32-1, []uint64{1, 2, 3, 4}, at(3, pointer)),
		configOn(dirfd(4), 3, 4), configOn(fd(4), 5), unless(1, 1<<32-1, []uint64{3, 4, 5}, at(4, dec))),
	call(unix.SYS_FSMOUNT, "fsmount", "desc", fd(0), at(1, flagsOf(fsmountFlags)), at(2, flagsOf(fsmountAttrFlags))).givesFD(),
	call(unix.SYS_FSPICK, "fspick", "desc file", dirfd(0), path(1), at(2, flagsOf(fspickFlags))).givesFD(),
	call(unix.SYS_MOUNT_SETATTR, "mount_setattr", "desc file", dirfd(0), path(1), at(2, flagsOf(mountSetattrFlags)), mountAttributes(3, 4), at(4, ulong)),
	call(unix.SYS_LANDLOCK_CREATE_RULESET, "landlock_create_ruleset", "desc", landlockRules(0, 1), at(1, ulong), at(2, flagsOf(names("LANDLOCK_CREATE_RULESET_???", "LANDLOCK_CREATE_RULESET_VERSION 1"))),
		if_(func(c *Call) bool { return c.Arguments[2]&1 == 0 }, resultFD())),
	call(unix.SYS_LANDLOCK_ADD_RULE, "landlock_add_rule", "desc", fd(0), at(1, oneOf(landlockRuleTypes)),
		when(1, 1<<32-1, []uint64{1}, structured(2, 12, num("allowed_access", 0, 8, longFlagsOf(landlockRulesetAccessFs)), file("parent_fd", 8))),
		unless(1, 1<<32-1, []uint64{1}, at(2, pointer)), at(3, hex32)),
	call(unix.SYS_LANDLOCK_RESTRICT_SELF, "landlock_restrict_self", "desc", fd(0), at(1, hex32)),
}
