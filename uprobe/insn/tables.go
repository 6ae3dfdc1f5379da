package insn

// layout says which parts follow an opcode.
type layout byte

// The layouts, as letters of the tables below.
const (
	invalid         layout = 'x' // no 64-bit instruction, or a prefix
	plain           layout = '.'
	modRM           layout = 'm'
	controlRegister layout = 'c' // ModRM whose mod is ignored
	immediate8      layout = 'b'
	immediate16     layout = 'w'
	immediateZ      layout = 'z' // 16 or 32 bits
	immediateV      layout = 'v' // 16, 32 or 64 bits
	offset          layout = 'o' // an absolute address of the address size
	enter           layout = 'e' // 16 and 8 bits
	relative8       layout = 'r'
	relative32      layout = 'j' // also with prefix 66: see Steppable
	modRM8          layout = 'M' // ModRM, and 8 bits
	modRMZ          layout = 'Z' // ModRM, and 16 or 32 bits
	test8           layout = 'G' // ModRM, and 8 bits for TEST
	testZ           layout = 'H' // ModRM, and 16 or 32 bits for TEST
	bitField        layout = 'q' // ModRM, and 16 bits for EXTRQ and INSERTQ
)

// layouts has the layouts of each opcode map of the legacy encoding (SDM vol. 2D, A.3; APM
// vol. 3, A.1).
var layouts = [...]string{
	primary: "" +
		"mmmmbzxxmmmmbzxx" + // 00
		"mmmmbzxxmmmmbzxx" +
		"mmmmbzxxmmmmbzxx" +
		"mmmmbzxxmmmmbzxx" +
		"xxxxxxxxxxxxxxxx" + // 40
		"................" +
		"xxxmxxxxzZbM...." +
		"rrrrrrrrrrrrrrrr" +
		"MZxMmmmmmmmmmmmm" + // 80
		"..........x....." +
		"oooo....bz......" +
		"bbbbbbbbvvvvvvvv" +
		"MMw.xxMZe.w..bx." + // C0
		"mmmmxxx.mmmmmmmm" +
		"rrrrbbbbjjxr...." +
		"x.xx..GH......mm",
	map0F: "" +
		"mmmmx.....x.xm.M" + // 00
		"mmmmmmmmmmmmmmmm" +
		"ccccxxxxmmmmmmmm" +
		"......x.xxxxxxxx" +
		"mmmmmmmmmmmmmmmm" + // 40
		"mmmmmmmmmmmmmmmm" +
		"mmmmmmmmmmmmmmmm" +
		"MMMMmmm.qmxxmmmm" +
		"jjjjjjjjjjjjjjjj" + // 80
		"mmmmmmmmmmmmmmmm" +
		"...mMmxx...mMmmm" +
		"mmmmmmmmmmMmmmmm" +
		"mmMmMMMm........" + // C0
		"mmmmmmmmmmmmmmmm" +
		"mmmmmmmmmmmmmmmm" +
		"mmmmmmmmmmmmmmmm",
}

// layoutOf returns the layout of an opcode.
func layoutOf(e encoding, m opcodeMap, opcode uint8) layout {
	switch {
	case m == map0F3A:
		return modRM8
	case m > map0F:
		return modRM
	case e == legacy:
		return layout(layouts[m][opcode])
	case opcode == 0x77: // VZEROUPPER, VZEROALL
		return plain
	case opcode >= 0x70 && opcode <= 0x73 || opcode == 0xc2 || opcode >= 0xc4 && opcode <= 0xc6:
		return modRM8
	}
	return modRM
}

// prefixOf has the legacy prefixes.
var prefixOf = [256]prefixes{
	0x26: prefixNullSegment, 0x2e: prefixNullSegment, 0x36: prefixNullSegment, 0x3e: prefixNullSegment,
	0x64: prefixFS, 0x65: prefixGS, 0x66: prefixOperandSize, 0x67: prefixAddressSize,
	0xf0: prefixLock, 0xf2: prefixRepeatNot, 0xf3: prefixRepeat,
}
