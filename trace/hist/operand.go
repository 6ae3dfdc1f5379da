package hist

import (
	"math/bits"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/trace/filter"
)

// source is where the value of an operand comes from.
type source uint8

const (
	fieldSource source = iota
	constantSource
	cpuSource
	timeSource
	stackSource
	expressionSource
)

// modifier says how a value is counted or shown.
type modifier uint8

const (
	noModifier modifier = iota
	hexadecimal
	symbol
	symbolOffset
	executable
	systemCall
	logarithm
	microseconds
	buckets
	percent
	graph
)

// modifiers has the names of the modifiers. That of symbolOffset is the text that Parse has put
// in its place.
var modifiers = [...]string{
	hexadecimal: "hex", symbol: "sym", symbolOffset: "symXoffset", executable: "execname", systemCall: "syscall",
	logarithm: "log2", microseconds: "usecs", buckets: "buckets", percent: "percent", graph: "graph",
}

// operand is a key, a value, or an operand of an expression.
type operand struct {
	kind     source
	name     string // as the file hist shows it
	field    *filter.Field
	modifier modifier
	bucket   uint64 // of the modifier buckets
	constant uint64
	operator byte // of an expression: + - * /, or ~ for the unary minus
	operands []*operand

	size      int // in bytes
	at, width int // of a key
}

// use says what an expression is for.
type use struct{ key, variable bool }

// isText reports whether the operand is a string.
func (o *operand) isText() bool { return o.kind == fieldSource && o.field.IsText() }

// uses reports whether a source is part of the operand.
func (o *operand) uses(s source) bool {
	if o.kind == s {
		return true
	}
	for _, one := range o.operands {
		if one.uses(s) {
			return true
		}
	}
	return false
}

// maxExpressions is the greatest number of operators in an expression.
const maxExpressions = 3

// splitAt returns the place of the operator that is applied last, or -1: the last of + and -,
// or, without these, the last of * and /.
func splitAt(text string) int {
	if at := strings.LastIndexAny(text, "+-"); at >= 0 {
		return at
	}
	return strings.LastIndexAny(text, "*/")
}

// expression parses an expression. count is the number of its operators so far. The depth of
// the recursion is bounded by it.
func (p *parser) expression(text string, u use, count *int) (*operand, error) {
	if *count > maxExpressions {
		return nil, p.fail(errSubexpressions, text)
	}
	if strings.HasPrefix(text, "-") {
		return p.unaryMinus(text, count)
	}
	at := splitAt(text)
	if at < 0 {
		return p.atom(text, u)
	}
	*count++
	leftText, rightText := text[:at], text[at+1:]
	if leftText == "" || rightText == "" {
		return nil, plain(unix.EINVAL)
	}
	left, err := p.numericOperand(leftText, count)
	if err != nil {
		return nil, err
	}
	right, err := p.numericOperand(rightText, count)
	if err != nil {
		return nil, err
	}
	if text[at] == '/' && right.kind == constantSource && right.constant == 0 {
		return nil, p.fail(errDivision, rightText)
	}
	o := &operand{kind: expressionSource, operator: text[at], operands: []*operand{left, right}, size: max(left.size, right.size)}
	if left.kind == constantSource && right.kind == constantSource {
		return constantOperand(o.value(nil)), nil
	}
	o.name = left.text() + string(text[at]) + right.text()
	return o, nil
}

// numericOperand parses an operand, which must be a number.
func (p *parser) numericOperand(text string, count *int) (*operand, error) {
	o, err := p.expression(text, use{}, count)
	if err == nil && o.isText() {
		return nil, p.fail(errTextOperand, text)
	}
	return o, err
}

// unaryMinus parses an expression that begins with a minus, which must have parentheses
// around all that follows.
func (p *parser) unaryMinus(text string, count *int) (*operand, error) {
	if *count++; *count > maxExpressions {
		return nil, p.fail(errSubexpressions, text)
	}
	inner := text[1:]
	if !strings.Contains(inner, "(") {
		return nil, plain(unix.EINVAL)
	}
	inner = inner[1:]
	end := strings.LastIndexByte(inner, ')')
	switch {
	case end < 0:
		return nil, plain(unix.EINVAL)
	case end != len(inner)-1:
		return nil, p.fail(errUnaryMinus, inner)
	}
	one, err := p.numericOperand(inner[:end], count)
	if err != nil {
		return nil, err
	}
	return &operand{
		kind: expressionSource, name: "-(" + one.text() + ")", operator: '~', operands: []*operand{one}, size: one.size,
	}, nil
}

func constantOperand(n uint64) *operand {
	return &operand{kind: constantSource, constant: n, size: 8}
}

// atom parses a number or a field with a modifier.
func (p *parser) atom(text string, u use) (*operand, error) {
	if text != "" && text[0] >= '0' && text[0] <= '9' {
		n, err := parseNumber(text)
		if err != nil {
			return nil, p.fail(errNumber, text)
		}
		return constantOperand(n), nil
	}
	if name, isReference := strings.CutPrefix(text, "$"); isReference && name != "" {
		var found bool
		if text, found = p.local(name); !found {
			missing := p.errorAt(errNoField, "$"+name)
			missing.Before = p.errorAt(errNoVariable, name)
			return nil, missing
		}
	}
	name, suffix, modified := strings.Cut(text, ".")
	o := &operand{name: name}
	if modified {
		if err := p.modify(o, suffix, u); err != nil {
			return nil, err
		}
	}
	return o, p.place(o)
}

// local returns the field for which a variable of this trigger stands. Others have no value
// outside of the trigger.
func (p *parser) local(name string) (text string, found bool) {
	for _, d := range p.definitions {
		if d.name == name && !strings.HasPrefix(d.expression, "$") && splitAt(d.expression) < 0 {
			return d.expression, true
		}
	}
	return "", false
}

// modify sets the modifier.
func (p *parser) modify(o *operand, text string, u use) error {
	for m := hexadecimal; m <= graph; m++ {
		if modifiers[m] != text || m == buckets {
			continue
		}
		if m == executable && o.name != "common_pid" || (m == percent || m == graph) && (u.key || u.variable) {
			break
		}
		o.modifier = m
		return nil
	}
	size, ok := strings.CutPrefix(text, "buckets=")
	if !ok {
		size, ok = strings.CutPrefix(text, "bucket=")
	}
	n, err := parseNumber(size)
	if !ok || err != nil || n == 0 {
		return p.fail(errModifier, text)
	}
	o.modifier, o.bucket = buckets, n
	return nil
}

// place finds the field of an operand.
func (p *parser) place(o *operand) error {
	switch o.name {
	case "common_timestamp":
		o.kind, o.size = timeSource, 8
		p.usecs = p.usecs || o.modifier == microseconds
		return nil
	case "common_cpu":
		o.kind, o.size = cpuSource, 4
		return nil
	}
	for i := range p.fields {
		if f := &p.fields[i]; f.Name == o.name && f.Size > 0 {
			return p.placeField(o, f)
		}
	}
	if o.name == "cpu" || o.name == "CPU" {
		o.kind, o.name, o.size = cpuSource, "common_cpu", 4
		return nil
	}
	return p.fail(errNoField, o.name)
}

// placeField makes the operand a field. Errors: EINVAL for the address of a string, ENOMEM, as
// on Linux, for an array of numbers.
func (p *parser) placeField(o *operand, f *filter.Field) error {
	o.field, o.size = f, f.Size
	switch {
	case f.IsPointer():
		return plain(unix.EINVAL)
	case f.IsDynamic():
		o.size = maxText
	case !f.IsText() && f.Size != 1 && f.Size != 2 && f.Size != 4 && f.Size != 8:
		return plain(unix.ENOMEM)
	}
	if o.isText() && o.modifier != noModifier {
		return p.fail(errModifier, o.name) // Linux shows the address of the string
	}
	return nil
}

// value returns the value of an operand that is no string and no stack. It does not sleep.
func (o *operand) value(s *Sample) uint64 {
	var n uint64
	switch o.kind {
	case fieldSource:
		n = o.field.Number(s.Record)
	case constantSource:
		n = o.constant
	case cpuSource:
		n = uint64(s.CPU)
	case timeSource:
		n = s.time
	case expressionSource:
		return o.compute(s)
	}
	switch o.modifier {
	case logarithm:
		if n <= 1 { // Linux: ilog2(roundup_pow_of_two(n)), and 0 is like 1
			return 0
		}
		return uint64(bits.Len64(n - 1))
	case buckets:
		return n / o.bucket * o.bucket
	}
	return n
}

// compute returns the value of an expression. A division by 0 is -1, as on Linux.
func (o *operand) compute(s *Sample) uint64 {
	left := o.operands[0].value(s)
	if o.operator == '~' {
		return -left
	}
	right := o.operands[1].value(s)
	switch o.operator {
	case '+':
		return left + right
	case '-':
		return left - right
	case '*':
		return left * right
	}
	if right == 0 {
		return ^uint64(0)
	}
	return left / right
}

// text returns the operand as the file trigger shows it.
func (o *operand) text() string {
	if o.kind == constantSource {
		return strconv.FormatUint(o.constant, 10)
	}
	text := o.name
	switch {
	case o.modifier == symbolOffset:
		text += ".sym-offset"
	case o.modifier == buckets:
		text += ".buckets=" + strconv.FormatUint(o.bucket, 10)
	case o.modifier != noModifier:
		text += "." + modifiers[o.modifier]
	}
	return text
}

// Symbol returns the name of the kernel's function at an address and the offset in it, or the
// address if it has none.
func Symbol(address uint64) (name string, offset uint64, known bool) {
	if f := runtime.FuncForPC(uintptr(address)); f != nil {
		return f.Name(), address - uint64(f.Entry()), true
	}
	return "0x" + strconv.FormatUint(address, 16), 0, false
}
