package probes

import (
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/uprobe/fetch"
)

// argument is a fetch argument and how the event's format shows it.
type argument struct {
	fetch.Argument
	kind *argumentType
	// at is the offset of the argument's field behind the event's own fields.
	at int
}

// argumentType is a type of fetch arguments.
type argumentType struct {
	name   string
	cType  string // in the file format
	format string // of printf, in the file format
	fetch  fetch.Argument
}

// argumentTypes are the types (Linux: probe_fetch_types).
var argumentTypes = []argumentType{
	{"string", "__data_loc char[]", `\"%s\"`, fetch.Argument{Kind: fetch.String}},
	{"ustring", "__data_loc char[]", `\"%s\"`, fetch.Argument{Kind: fetch.String}},
	{"symstr", "__data_loc char[]", `\"%s\"`, fetch.Argument{Kind: fetch.SymbolString}},
	{"u8", "u8", "%u", fetch.Argument{Size: 1}},
	{"u16", "u16", "%u", fetch.Argument{Size: 2}},
	{"u32", "u32", "%u", fetch.Argument{Size: 4}},
	{"u64", "u64", "%Lu", fetch.Argument{Size: 8}},
	{"s8", "s8", "%d", fetch.Argument{Size: 1, Signed: true}},
	{"s16", "s16", "%d", fetch.Argument{Size: 2, Signed: true}},
	{"s32", "s32", "%d", fetch.Argument{Size: 4, Signed: true}},
	{"s64", "s64", "%Ld", fetch.Argument{Size: 8, Signed: true}},
	{"x8", "u8", "0x%x", fetch.Argument{Size: 1, Base: fetch.Hexadecimal}},
	{"x16", "u16", "0x%x", fetch.Argument{Size: 2, Base: fetch.Hexadecimal}},
	{"x32", "u32", "0x%x", fetch.Argument{Size: 4, Base: fetch.Hexadecimal}},
	{"x64", "u64", "0x%Lx", fetch.Argument{Size: 8, Base: fetch.Hexadecimal}},
	{"symbol", "u64", "%pS", fetch.Argument{Size: 8, Base: fetch.Symbol}},
}

// defaultType is the type of an argument without one.
const defaultType = "x64"

// isString reports whether values of the type are in the dynamic part of a record.
func (t *argumentType) isString() bool { return t.fetch.Dynamic() }

// findType returns the type with a name. A bit field bWIDTH@OFFSET/SIZE has the type of
// its container.
func findType(name string) *argumentType {
	if strings.HasPrefix(name, "b") {
		_, size, found := strings.Cut(name, "/")
		if bits, errno := parseUnsigned(size); found && errno == 0 {
			name = "u" + strconv.FormatUint(bits, 10)
		}
	}
	i := slices.IndexFunc(argumentTypes, func(t argumentType) bool { return t.name == name })
	if i < 0 {
		return nil
	}
	return &argumentTypes[i]
}

// reservedNames are the fields that each event has.
var reservedNames = []string{
	"common_type", "common_flags", "common_preempt_count", "common_pid", "common_tgid",
	fieldIP, fieldReturnIP, fieldFunction,
}

// argument parses the argument with an index (Linux: traceprobe_parse_probe_arg). size is
// the size of the arguments before it.
func (d *definition) argument(text string, index, size int) (*argument, *failure) {
	fail := func(text string) (*argument, *failure) { return nil, &failure{errno: unix.EINVAL, text: text} }
	name, body, named := strings.Cut(text, "=")
	switch {
	case !named:
		name, body = "arg"+strconv.Itoa(index+1), text
	case len(name) > maxArgumentName:
		return fail(errNameTooLong)
	case name == "":
		return fail(errNoName)
	}
	if !isGoodName(name) {
		return fail(errBadName)
	}
	if slices.Contains(reservedNames, name) || slices.ContainsFunc(d.arguments, func(a argument) bool { return a.Name == name }) {
		return fail(errUsedName)
	}
	p := &argumentParser{isReturn: d.isReturn, offset: len(text) - len(body)}
	a, failed := p.parse(body, size)
	if failed != nil {
		return nil, failed
	}
	a.Name = strings.Clone(name)
	return a, nil
}

// lastOp is what the last instruction of a fetch program does in Linux. It decides which
// types are possible.
type lastOp uint8

const (
	opNone lastOp = iota
	opRegister
	opStack
	opStackPointer
	opReturnValue
	opImmediate
	opComm
	opText
	opDereference
)

// maxInstructions is the number of instructions that a fetch program may have in Linux
// (FETCH_INSN_MAX less the end).
const maxInstructions = 15

// argumentParser parses the expression of an argument.
type argumentParser struct {
	isReturn bool
	offset   int // of the expression in the word
	steps    []fetch.Step
	last     lastOp
	// instruction is the index of the last instruction in Linux's program.
	instruction int
}

func (p *argumentParser) fail(text string, offset int) *failure {
	return &failure{errno: unix.EINVAL, text: text, offset: offset}
}

// parse parses an expression with its type (Linux: traceprobe_parse_probe_arg_body).
func (p *argumentParser) parse(body string, size int) (*argument, *failure) {
	switch {
	case len(body) > maxArgumentLength:
		return nil, p.fail(errArgTooLong, p.offset)
	case body == "":
		return nil, p.fail(errNoBody, p.offset)
	}
	expression, typeName, typed := strings.Cut(body, ":")
	typeAt := p.offset
	if typed {
		typeAt += len(expression) + 1
	}
	typeName, count, fail := p.array(body, typeName)
	if fail != nil {
		return nil, fail
	}
	kind := findType(typeName)
	switch {
	case expression == "$comm" || expression == "$COMM" || strings.HasPrefix(expression, `\"`):
		if count > 0 || typed && typeName != "string" {
			return nil, &failure{errno: unix.EINVAL}
		}
		kind = findType("string")
	case !typed:
		kind = findType(defaultType)
	}
	if kind == nil {
		return nil, p.fail(errBadType, typeAt)
	}
	a := &argument{Argument: kind.fetch, kind: kind, at: size}
	a.Text, a.Count = strings.Clone(body), count
	if size+a.FixedSize() > maxFixedSize {
		return nil, &failure{errno: unix.E2BIG, text: errEventTooBig, offset: p.offset}
	}
	if fail := p.expression(expression, p.offset); fail != nil {
		return nil, fail
	}
	if fail := p.store(a, typeAt); fail != nil {
		return nil, fail
	}
	if typed && strings.HasPrefix(typeName, "b") && !p.bitfield(a, typeName) {
		return nil, p.fail(errBadBitfield, typeAt)
	}
	a.Steps = p.steps
	if count == 0 {
		return a, nil
	}
	if !a.InMemory {
		return nil, p.fail(errBadString, typeAt)
	}
	if p.instruction++; p.instruction == maxInstructions {
		return nil, p.fail(errTooManyOps, p.offset)
	}
	return a, nil
}

// array splits the length of an array from a type.
func (p *argumentParser) array(body, typeName string) (name string, count int, _ *failure) {
	name, rest, isArray := strings.Cut(typeName, "[")
	if !isArray {
		return name, 0, nil
	}
	at := p.offset + len(body) - len(rest)
	number, after, closed := strings.Cut(rest, "]")
	switch {
	case !closed:
		return "", 0, p.fail(errArrayNotEnded, at+len(rest))
	case after != "":
		return "", 0, p.fail(errArraySuffix, at+len(number)+1)
	}
	n, errno := parseUnsigned(number)
	switch {
	case errno != 0 || n == 0 || n > 1<<32-1:
		return "", 0, p.fail(errArrayNumber, at)
	case n > maxArray:
		return "", 0, p.fail(errArrayTooBig, at)
	}
	return name, int(n), nil
}

// expression parses an expression without type (Linux: parse_probe_arg).
func (p *argumentParser) expression(text string, offset int) *failure {
	var fail *failure
	switch {
	case text == "":
	case text[0] == '$':
		fail = p.variable(text[1:], offset)
	case text[0] == '%':
		register, known := fetch.RegisterByName(text[1:])
		if !known {
			return p.fail(errBadRegister, offset)
		}
		p.set(opRegister, fetch.Step{Op: fetch.LoadRegister, Register: register})
	case text[0] == '@':
		fail = p.address(text[1:], offset)
	case text[0] == '+' || text[0] == '-':
		fail = p.dereference(text, offset)
	case text[0] == '\\':
		fail = p.immediate(text[1:], offset)
	}
	if fail == nil && p.last == opNone {
		return p.fail(errBadFetch, offset)
	}
	return fail
}

// set sets the first step.
func (p *argumentParser) set(op lastOp, s fetch.Step) {
	p.last, p.steps = op, append(p.steps, s)
}

// variable parses what follows $ (Linux: parse_probe_vars).
func (p *argumentParser) variable(name string, offset int) *failure {
	slot, isStack := strings.CutPrefix(name, "stack")
	switch {
	case name == "retval" && !p.isReturn:
		return p.fail(errRetvalOnProbe, offset)
	case name == "retval":
		p.set(opReturnValue, fetch.Step{Op: fetch.ReturnValue})
	case isStack && slot == "":
		p.set(opStackPointer, fetch.Step{Op: fetch.StackPointer})
	case isStack && isDigit(slot[0]):
		n, err := strconv.ParseUint(slot, 10, 64)
		if err != nil {
			return p.fail(errBadVariable, offset)
		}
		p.set(opStack, fetch.Step{Op: fetch.StackSlot, Value: int64(uint32(n))})
	case name == "comm" || name == "COMM":
		p.set(opComm, fetch.Step{Op: fetch.Comm})
	default:
		return p.fail(errBadVariable, offset)
	}
	return nil
}

// address parses what follows @: an address, or + and a file offset.
func (p *argumentParser) address(text string, offset int) *failure {
	fileOffset, inFile := strings.CutPrefix(text, "+")
	switch {
	case text != "" && isDigit(text[0]):
		value, errno := parseUnsigned(text)
		if errno != 0 {
			return &failure{errno: errno, text: errBadAddress, offset: offset}
		}
		p.set(opImmediate, fetch.Step{Op: fetch.Immediate, Value: int64(value)})
	case inFile:
		value, errno := parseSigned(fileOffset)
		if errno != 0 {
			return &failure{errno: errno, text: errBadFileOffset, offset: offset}
		}
		p.set(opImmediate, fetch.Step{Op: fetch.FileOffset, Value: value})
	default:
		return p.fail(errSymbol, offset)
	}
	return p.nest(0, offset)
}

// nest adds a dereference: the memory at the number and an offset. Only a further one
// reads it.
func (p *argumentParser) nest(add int64, offset int) *failure {
	if p.instruction++; p.instruction == maxInstructions {
		return p.fail(errTooManyOps, offset)
	}
	if p.last == opDereference {
		p.steps = append(p.steps, fetch.Step{Op: fetch.Dereference})
	}
	p.last = opDereference
	if add != 0 {
		p.steps = append(p.steps, fetch.Step{Op: fetch.Add, Value: add})
	}
	return nil
}

// dereference parses +OFFSET(EXPRESSION) and -OFFSET(EXPRESSION), also with a u before the
// offset: all memory is the program's.
func (p *argumentParser) dereference(text string, offset int) *failure {
	sign, number := text[:1], text[1:]
	number = strings.TrimPrefix(number, "u")
	number, inner, opened := strings.Cut(number, "(")
	if !opened {
		return p.fail(errDerefBrace, offset)
	}
	signed := number
	if sign == "-" {
		signed = sign + number
	}
	add, errno := parseSigned(signed)
	if errno != 0 {
		return &failure{errno: errno, text: errDerefOffset, offset: offset}
	}
	offset += len(number) + 2 // the sign, the number and the brace
	end := strings.LastIndexByte(inner, ')')
	if end < 0 {
		return p.fail(errDerefNotEnded, offset+len(inner))
	}
	if fail := p.expression(inner[:end], offset); fail != nil {
		return fail
	}
	if p.last == opComm || p.last == opText {
		return p.fail(errCommDeref, offset)
	}
	return p.nest(add, offset)
}

// immediate parses what follows a backslash: a number, or a text in quotes.
func (p *argumentParser) immediate(text string, offset int) *failure {
	if quoted, isText := strings.CutPrefix(text, `"`); isText {
		inside, closed := strings.CutSuffix(quoted, `"`)
		if !closed {
			return p.fail(errStringNotEnded, offset+2+len(quoted))
		}
		p.set(opText, fetch.Step{Op: fetch.Literal, Text: strings.Clone(inside)})
		return nil
	}
	value, errno := parseImmediate(text)
	if errno != 0 {
		return &failure{errno: errno, text: errBadImmediate, offset: offset + 1}
	}
	p.set(opImmediate, fetch.Step{Op: fetch.Immediate, Value: value})
	return nil
}

// parseImmediate is Linux's str_to_immediate.
func parseImmediate(text string) (int64, unix.Errno) {
	switch {
	case text == "":
		return 0, unix.EINVAL
	case isDigit(text[0]):
		value, errno := parseUnsigned(text)
		return int64(value), errno
	case text[0] == '-':
		return parseSigned(text)
	case text[0] == '+':
		return parseSigned(text[1:])
	}
	return 0, unix.EINVAL
}

// store checks that the expression suits the type, and completes the argument.
func (p *argumentParser) store(a *argument, typeAt int) *failure {
	a.InMemory = p.last == opDereference
	switch a.kind.name {
	case "string", "ustring":
		if p.last != opDereference && p.last != opImmediate && p.last != opComm && p.last != opText {
			return p.fail(errBadString, typeAt)
		}
		// An immediate number is the address of the string.
		if a.InMemory && a.Count == 0 {
			return nil
		}
	case "symstr":
		if p.last != opRegister && p.last != opStack && p.last != opReturnValue && p.last != opDereference {
			return p.fail(errBadSymbol, typeAt)
		}
		if a.InMemory { // the symbol is at the number that is in memory
			p.steps, a.InMemory = append(p.steps, fetch.Step{Op: fetch.Dereference}), false
		}
	default:
		if a.InMemory {
			return nil
		}
	}
	if p.instruction++; p.instruction == maxInstructions {
		return p.fail(errTooManyOps, p.offset)
	}
	return nil
}

// bitfield parses bWIDTH@OFFSET/SIZE (Linux: __parse_bitfield_probe_arg). Linux reads the
// numbers up to the first other character.
func (p *argumentParser) bitfield(a *argument, text string) bool {
	widthText, rest, hasOffset := strings.Cut(text[1:], "@")
	offsetText, _, hasSize := strings.Cut(rest, "/")
	if !hasOffset || !hasSize {
		return false
	}
	width, errno := parseUnsigned(widthText)
	if errno != 0 || width == 0 {
		return false
	}
	offset, errno := parseUnsigned(offsetText)
	if errno != 0 {
		return false
	}
	if p.instruction++; p.instruction == maxInstructions {
		return false
	}
	bits := uint64(8 * a.Size)
	if width > bits || offset > bits || width+offset > bits {
		return false
	}
	a.BitSize, a.BitOffset = int(width), int(offset)
	return true
}
