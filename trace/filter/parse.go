package filter

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Error is an error in an expression.
type Error struct {
	// Errno is what write(2) and ioctl(2) return. For some errors Linux returns a number
	// that does not fit the error: it is the same here.
	Errno unix.Errno
	// Text is Linux's text, or "" if Linux has none.
	Text string
	// Position is the index in the expression at which the error was found.
	Position int
}

// Error implements error.
func (e *Error) Error() string {
	if e.Text == "" {
		return e.Errno.Error()
	}
	return e.Text
}

// Unwrap returns the Errno.
func (e *Error) Unwrap() error { return e.Errno }

// The texts of errors (Linux: kernel/trace/trace_events_filter.c).
const (
	errInvalidOp      = "Invalid operator"
	errTooManyOpen    = "Too many '('"
	errTooManyClose   = "Too few '('"
	errMissingQuote   = "Missing matching quote"
	errTooLong        = "Operand too long"
	errExpectString   = "Expecting string field"
	errExpectDigit    = "Expecting numeric field"
	errIllegalFieldOp = "Illegal operation for field type"
	errNotFound       = "Field not found"
	errIllegalInteger = "Illegal integer value"
	errTooManyTerms   = "Too many terms in predicate expression"
	errInvalidFilter  = "Meaningless filter expression"
	errInvalidValue   = "Invalid value (did you forget quotes)?"
	errNoFilter       = "No filter found"
	// ErrSubsystem is the error of the filter of a subsystem.
	ErrSubsystem = "Couldn't find or set field in one of a subsystem's events"
	// ErrUnknown is what the error log shows for an Error without a text.
	ErrUnknown = "Error"
)

// The errnos of errors that Linux reports with its internal numbers.
const (
	errnoTooManyClose = unix.EPERM
	errnoTooManyOpen  = unix.ENOENT
	errnoMissingQuote = unix.ESRCH
	errnoTerms        = unix.EPERM
)

// MaxLength is the greatest length of an expression in bytes: a page less the NUL.
const MaxLength = 4095

// maxOperand is the greatest length of an operand (Linux: MAX_FILTER_STR_VAL less the
// NUL), and maxDigits that of a number.
const (
	maxOperand = 255
	maxDigits  = 23
)

// operator is a comparison.
type operator uint8

const (
	glob operator = iota
	notEqual
	equal
	lessOrEqual
	less
	greaterOrEqual
	greater
	bitAnd
	operators
)

// operatorTexts are the texts in the order in which they are tried: "<=" precedes "<".
var operatorTexts = [operators]string{"~", "!=", "==", "<=", "<", ">=", ">", "&"}

// parser parses an expression. c of the NUL beyond the end is 0, as in C.
type parser struct {
	fields []Field
	text   string
}

func (p *parser) at(i int) byte {
	if i < len(p.text) {
		return p.text[i]
	}
	return 0
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isWord(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func (p *parser) skipSpaces(i int) int {
	for isSpace(p.at(i)) {
		i++
	}
	return i
}

// Parse parses an expression for records with the given fields. Errors: *Error.
func Parse(fields []Field, expression string) (*Filter, error) {
	if end := strings.IndexByte(expression, 0); end >= 0 {
		expression = expression[:end]
	}
	if len(expression) > MaxLength {
		return nil, &Error{Errno: unix.EINVAL}
	}
	p := &parser{fields: fields, text: expression}
	predicates, err := p.count()
	if err != nil {
		return nil, err
	}
	if predicates == 0 {
		return nil, &Error{Errno: unix.EINVAL}
	}
	program, err := p.parse(predicates)
	if err != nil {
		return nil, err
	}
	return &Filter{text: expression, program: program}, nil
}

// count returns the number of predicates, and checks parentheses and quotes (Linux:
// calc_stack).
func (p *parser) count() (predicates int, err error) {
	open, inPredicate, quote, quoteAt := 0, false, byte(0), 0
	for i := 0; i < len(p.text); i++ {
		c := p.text[i]
		switch {
		case isSpace(c):
			continue
		case quote != 0:
			if c == quote {
				quote = 0
			}
			continue
		case c == '\'' || c == '"':
			quote, quoteAt = c, i
		case (c == '|' || c == '&') && p.at(i+1) == c:
			inPredicate = false
			continue
		case c == '(':
			inPredicate = false
			open++
			continue
		case c == ')':
			inPredicate = false
			if open == 0 {
				return 0, &Error{errnoTooManyClose, errTooManyClose, i}
			}
			open--
			continue
		}
		if !inPredicate {
			predicates++
			inPredicate = true
		}
	}
	if quote != 0 {
		return 0, &Error{errnoMissingQuote, errMissingQuote, quoteAt}
	}
	if open > 0 {
		return 0, &Error{errnoTooManyOpen, errTooManyOpen, p.unclosed()}
	}
	return predicates, nil
}

// unclosed returns the index of the last parenthesis that is not closed.
func (p *parser) unclosed() int {
	level, quote := 0, byte(0)
	for i := len(p.text) - 1; i > 0; i-- {
		c := p.text[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '(' && level == 0:
			return i
		case c == '(':
			level--
		case c == ')':
			level++
		case c == '\'' || c == '"':
			quote = c
		}
	}
	return 0
}

// level is what is pending in a parenthesis.
type level struct{ invert, and, or bool }

// builder makes the program. The method is that of Linux's predicate_parse, which
// describes it: a predicate after which && or || follows branches to a later place that
// is not known yet, and the places that wait form a list through the targets.
type builder struct {
	program []branch
	inverts []bool
	levels  []level
}

// update makes the branches that wait for the place after the predicate n go there, if
// the predicate there has the value when.
func (b *builder) update(n int, when bool) {
	waiting := b.program[n].target
	next := b.program[waiting].target
	b.program[waiting].when = when
	b.program[waiting].target = n
	b.program[n].target = next
}

// parse makes the program.
func (p *parser) parse(predicates int) ([]branch, error) {
	// The element before the first one stands for the end of the list of waiting branches.
	b := &builder{levels: []level{{}}}
	invert := false
	i := 0
	for i < len(p.text) {
		c := p.text[i]
		switch {
		case isSpace(c):
			i++
			continue
		case c == '(':
			b.levels = append(b.levels, level{invert: invert})
			i++
			continue
		case c == '!' && p.at(i+1) != '=' && p.at(i+1) != '~':
			invert = !invert
			i++
			continue
		}
		if len(b.program) >= predicates+2 {
			return nil, &Error{unix.ENOMEM, errTooManyTerms, i}
		}
		one, end, err := p.predicate(i)
		if err != nil {
			return nil, err
		}
		b.inverts = append(b.inverts, invert)
		b.program = append(b.program, branch{predicate: one, target: len(b.program) - 1})
		done := false
		if i, invert, done, err = p.afterPredicate(b, end); err != nil {
			return nil, err
		}
		if done {
			return p.finish(b, i)
		}
	}
	if len(b.program) > 0 {
		return nil, &Error{unix.EINVAL, errInvalidFilter, i}
	}
	return p.finish(b, i)
}

// afterPredicate reads what follows a predicate: closing parentheses, and then an
// operator or the end.
func (p *parser) afterPredicate(b *builder, i int) (next int, invert, done bool, err error) {
	for {
		i = p.skipSpaces(i)
		c := p.at(i)
		switch {
		case c == ')' || i >= len(p.text):
			i++
		case (c == '&' || c == '|') && p.at(i+1) == c:
			i += 2
		default:
			return 0, false, false, &Error{errnoTerms, errTooManyTerms, i}
		}
		top := &b.levels[len(b.levels)-1]
		last := len(b.program) - 1
		invert = top.invert
		if top.and {
			b.waitFor(last, invert)
			top.and = false
		}
		if c == '&' {
			top.and = true
			return i, invert, false, nil
		}
		if top.or {
			b.waitFor(last, !invert)
			top.or = false
		}
		if c == '|' {
			top.or = true
			return i, invert, false, nil
		}
		if i > len(p.text) {
			return i, invert, true, nil
		}
		if len(b.levels) == 1 {
			return 0, false, false, &Error{errnoTooManyClose, errTooManyClose, i}
		}
		b.levels = b.levels[:len(b.levels)-1]
	}
}

// waitFor is update for a predicate that follows another one.
func (b *builder) waitFor(n int, when bool) {
	if b.program[n].target >= 0 {
		b.update(n, when)
	}
}

// finish completes the program: it adds the results, shortens branches to branches, and
// applies the inversions.
func (p *parser) finish(b *builder, position int) ([]branch, error) {
	n := len(b.program)
	switch {
	case len(b.levels) > 1:
		return nil, &Error{errnoTooManyOpen, errTooManyOpen, position}
	case n == 0:
		return nil, &Error{unix.EINVAL, errNoFilter, position}
	}
	program := append(b.program, branch{target: 1}, branch{target: 0})
	program[n-1].target, program[n-1].when = n, false
	for i := n - 2; i >= 0; i-- {
		target := program[i].target
		if program[i].when == program[target].when && program[target].predicate != nil {
			program[i].target = program[target].target
		}
	}
	for i := range n {
		program[i].when = program[i].when != b.inverts[i]
		if program[i].target <= i {
			return nil, &Error{Errno: unix.EINVAL}
		}
	}
	return program, nil
}

// predicate parses the predicate at begin (Linux: parse_pred). The positions of errors
// are one greater than the index, as in Linux.
func (p *parser) predicate(begin int) (*predicate, int, error) {
	fail := func(text string, i int) (*predicate, int, error) {
		return nil, 0, &Error{unix.EINVAL, text, i + 1}
	}
	i := p.skipSpaces(begin)
	start := i
	for isWord(p.at(i)) || p.at(i) == '_' {
		i++
	}
	if i == start {
		return nil, 0, &Error{Errno: errnoTerms}
	}
	field, kind, found := lookup(p.fields, p.text[start:i])
	if !found {
		return fail(errNotFound, i)
	}
	i += len(".ustring") * boolToInt(strings.HasPrefix(p.text[i:], ".ustring"))
	i = p.skipSpaces(i)
	o := operator(0)
	for o < operators && !strings.HasPrefix(p.text[min(i, len(p.text)):], operatorTexts[o]) {
		o++
	}
	if o == operators {
		return fail(errInvalidOp, i)
	}
	i = p.skipSpaces(i + len(operatorTexts[o]))
	one := &predicate{field: field, kind: kind, operator: o}
	switch c := p.at(i); {
	case c == '\'' || c == '"':
		return p.textOperand(one, i)
	case isDigit(c) || c == '-':
		return p.numberOperand(one, i)
	}
	return fail(errInvalidValue, i)
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// textOperand parses the quoted text at i.
func (p *parser) textOperand(one *predicate, i int) (*predicate, int, error) {
	fail := func(text string, i int) (*predicate, int, error) {
		return nil, 0, &Error{unix.EINVAL, text, i + 1}
	}
	if one.operator != notEqual && one.operator != glob && one.operator != equal {
		return fail(errIllegalFieldOp, i)
	}
	if !one.kind.isString() {
		return fail(errExpectDigit, i)
	}
	length := strings.IndexByte(p.text[i+1:], p.text[i])
	if length < 0 {
		return fail(errMissingQuote, len(p.text))
	}
	end := i + 1 + length
	if length > maxOperand {
		return fail(errTooLong, end)
	}
	one.setPattern(p.text[i+1 : end])
	return one, end + 1, nil
}

// setPattern sets the text of a comparison.
func (one *predicate) setPattern(text string) {
	one.not = one.operator == notEqual
	if one.operator == glob {
		if rest, not := strings.CutPrefix(text, "!"); not {
			text, one.not = rest, true
		}
	}
	one.pattern = pattern{text: text, glob: one.operator == glob && hasWildcard(text) && !startsWithDigit(text)}
}

// startsWithDigit reports whether a glob begins with a digit: Linux compares such a text
// as it is (filter_parse_regex, MATCH_INDEX).
func startsWithDigit(text string) bool { return text != "" && isDigit(text[0]) }

// numberOperand parses the number at i.
func (p *parser) numberOperand(one *predicate, i int) (*predicate, int, error) {
	fail := func(text string, i int) (*predicate, int, error) {
		return nil, 0, &Error{unix.EINVAL, text, i + 1}
	}
	if one.kind.isString() {
		return fail(errExpectString, i)
	}
	if one.operator == glob {
		return fail(errIllegalFieldOp, i)
	}
	start := i
	if p.at(i) == '-' {
		i++
	}
	for isWord(p.at(i)) {
		i++
	}
	if i-start > maxDigits {
		return fail(errTooLong, i)
	}
	signed := one.field.Signed || one.kind == processor
	value, ok := parseNumber(p.text[start:i], signed)
	if !ok {
		return fail(errIllegalInteger, start)
	}
	one.value = value
	return one, i, nil
}

// parseNumber parses a number with a prefix of C (Linux: kstrtoll, kstrtoull).
func parseNumber(text string, signed bool) (uint64, bool) {
	digits, negative := strings.CutPrefix(text, "-")
	if negative && !signed || digits == "" || !isDigit(digits[0]) || strings.Contains(digits, "_") {
		return 0, false
	}
	base := 10
	switch {
	case strings.HasPrefix(digits, "0x"), strings.HasPrefix(digits, "0X"):
		digits, base = digits[2:], 16
	case digits[0] == '0' && len(digits) > 1:
		base = 8
	}
	value, err := strconv.ParseUint(digits, base, 64)
	switch {
	case err != nil:
		return 0, false
	case !signed:
		return value, true
	case negative:
		return -value, value <= 1<<63
	}
	return value, value < 1<<63
}
