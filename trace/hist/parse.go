// Package hist implements histograms of trace events: the parameters of the trigger hist, the
// map that counts, and the text of the file hist (Documentation/trace/histogram.rst of
// Linux). References to variables of other events and the actions onmatch, onmax and onchange
// are missing: they are refused with EINVAL.
//
// Who is charged: a histogram belongs to a trigger, which only root can make. Its memory has a
// fixed size, which Bytes returns and the owner reserves before New.
package hist

import (
	"math/bits"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/trace/filter"
)

// Limits (Linux: TRACING_MAP_*, HIST_KEY_SIZE_MAX).
const (
	maxKeys   = 3
	maxValues = 3 // with the hit count
	maxVars   = 16
	maxSort   = 2

	leastBits, defaultBits, greatestBits = 7, 11, 17

	maxText     = 256 // bytes of a dynamic string in a key
	stackDepth  = 16
	maxKeyBytes = maxText + 8*stackDepth
)

// Spec is the parameters of a trigger. It is constant.
type Spec struct {
	// Name is the parameter name=, with these characters, or "".
	Name string
	// Pause, Continue and Clear are set by the parameters of that name.
	Pause, Continue, Clear bool
	// Clock is the trace clock of a histogram with common_timestamp, or "".
	Clock string
	// Condition is the filter expression behind "if", or "".
	Condition string

	command  string // begins with "hist:"
	keys     []*operand
	values   []*operand // without the hit count
	vars     []variable
	sort     []sortKey
	bits     int
	keyBytes int
	names    bool // the names of threads are kept
	usecs    bool // common_timestamp is in microseconds
}

// variable is a value that has a name.
type variable struct {
	name  string
	value *operand
}

// sortKey is a field by which entries are sorted: 0 is the hit count, followed by the values
// and then the keys.
type sortKey struct {
	field      int
	descending bool
}

// parser is the state of Parse.
type parser struct {
	Spec
	fields      []filter.Field
	definitions []definition
}

// definition is the text of a variable.
type definition struct{ name, expression string }

// Parse parses the parameters of a trigger: what follows "hist:". fields are those of the
// event's records, with the common ones. Error: *Error.
func Parse(fields []filter.Field, text string) (*Spec, error) {
	p := &parser{fields: fields}
	p.command, p.bits = "hist:"+text, defaultBits
	parameters, err := p.cutCondition(text)
	if err != nil {
		return nil, err
	}
	// The hyphen of the modifier is no operator.
	parameters = strings.ReplaceAll(parameters, ".sym-offset", ".symXoffset")
	lists := make(map[string]string)
	for one := range strings.SplitSeq(parameters, ":") {
		if err := p.parameter(one, lists); err != nil {
			return nil, err
		}
	}
	if lists["keys"] == "" {
		return nil, plain(unix.EINVAL)
	}
	for _, step := range []func() error{
		func() error { return p.addValues(lists["vals"]) },
		p.addVariables,
		func() error { return p.addKeys(lists["keys"]) },
		func() error { return p.addSort(lists["sort"]) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if p.Clock != "" && !p.hasTime() {
		p.Clock = ""
	} else if p.Clock == "" && p.hasTime() {
		p.Clock = "global"
	}
	spec := p.Spec
	return &spec, nil
}

// cutCondition splits off the filter: the first word "if" that is not at the beginning.
func (p *parser) cutCondition(text string) (parameters string, err error) {
	isBlank := func(c byte) bool { return c == ' ' || c == '\t' }
	for at := 0; ; {
		next := strings.Index(text[at:], "if")
		if next < 0 {
			return strings.TrimSpace(text), nil
		}
		at += next
		switch {
		case at == 0, isBlank(text[at-1]) && at+3 >= len(text):
			return "", plain(unix.EINVAL)
		case isBlank(text[at-1]) && isBlank(text[at+2]):
			p.Condition = strings.TrimSpace(text[at+2:])
			return strings.TrimSpace(text[:at]), nil
		}
		at++
	}
}

// assignments are the parameters with a value, and the lists that they are stored in.
var assignments = []struct{ prefix, list string }{
	{"key=", "keys"}, {"keys=", "keys"}, {"val=", "vals"}, {"vals=", "vals"}, {"values=", "vals"}, {"sort=", "sort"},
}

// parameter handles one parameter.
func (p *parser) parameter(text string, lists map[string]string) error {
	_, value, assigns := strings.Cut(text, "=")
	switch {
	case !assigns:
		return p.word(text)
	case value == "":
		return p.fail(errEmpty, text)
	}
	for _, a := range assignments {
		if rest, ok := strings.CutPrefix(text, a.prefix); ok {
			lists[a.list] = rest
			return nil
		}
	}
	switch {
	case strings.HasPrefix(text, "name="):
		p.Name = text
	case strings.HasPrefix(text, "clock="):
		p.Clock = strings.TrimSpace(value)
	case strings.HasPrefix(text, "size="):
		return p.size(value)
	default:
		return p.define(text)
	}
	return nil
}

// word handles a parameter without a value.
func (p *parser) word(text string) error {
	switch text {
	case "pause":
		p.Pause = true
	case "cont", "continue":
		p.Continue = true
	case "clear":
		p.Clear = true
	default:
		for _, action := range []string{"onmatch(", "onmax(", "onchange("} {
			if strings.HasPrefix(text, action) {
				return p.fail(errAction, text)
			}
		}
		return plain(unix.EINVAL)
	}
	return nil
}

// size handles size=: the number of entries, rounded up to a power of two.
func (p *parser) size(text string) error {
	n, err := parseNumber(text)
	if err != nil || n == 0 {
		return plain(unix.EINVAL)
	}
	p.bits = bits.Len64(n - 1)
	if p.bits < leastBits || p.bits > greatestBits {
		return plain(unix.EINVAL)
	}
	return nil
}

// parseNumber parses a number as kstrtoull does.
func parseNumber(text string) (uint64, error) {
	if strings.ContainsAny(text, "_bBoO") && !strings.HasPrefix(text, "0x") {
		return 0, unix.EINVAL
	}
	return strconv.ParseUint(strings.TrimPrefix(text, "+"), 0, 64)
}

// define notes the variables of a parameter.
func (p *parser) define(text string) error {
	for one := range strings.SplitSeq(text, ",") {
		name, expression, ok := strings.Cut(one, "=")
		switch {
		case !ok:
			return p.fail(errAssignment, name)
		case len(p.definitions) == maxVars:
			return p.fail(errManyVars, name)
		}
		p.definitions = append(p.definitions, definition{name, expression})
	}
	return nil
}

// notAsValue are the modifiers that a value cannot have, and notAsVariable those that a
// variable cannot have.
var (
	notAsValue    = []modifier{buckets, logarithm, symbol, symbolOffset, systemCall}
	notAsVariable = []modifier{graph, percent, buckets, logarithm}
)

// addValues parses the list of values.
func (p *parser) addValues(list string) error {
	if list == "" {
		return nil
	}
	texts := strings.Split(list, ",")
	for i, text := range texts {
		if i == maxValues || len(p.values) == maxValues-1 {
			if rest := texts[i:]; len(rest) > 1 || rest[0] != "hitcount" {
				return plain(unix.EINVAL)
			}
			return nil
		}
		if text == "hitcount" {
			continue
		}
		o, err := p.value(text, "", notAsValue)
		if err != nil {
			return err
		}
		p.values = append(p.values, o)
	}
	return nil
}

// value parses a value or, if it has a name, a variable.
func (p *parser) value(text, variable string, refused []modifier) (*operand, error) {
	o, err := p.expression(text, use{variable: variable != ""}, new(int))
	if err != nil {
		return nil, err
	}
	for _, one := range refused {
		if o.modifier == one {
			return nil, p.fail(errModifier, text)
		}
	}
	if o.isText() && variable == "" {
		return nil, plain(unix.EINVAL) // Linux adds up the addresses of the strings
	}
	return o, nil
}

// addVariables parses the variables.
func (p *parser) addVariables() error {
	for _, d := range p.definitions {
		for _, one := range p.vars {
			if one.name == d.name {
				return p.fail(errDuplicateVar, d.name)
			}
		}
		o, err := p.value(d.expression, d.name, notAsVariable)
		if err != nil {
			return err
		}
		p.vars = append(p.vars, variable{d.name, o})
	}
	return nil
}

// addKeys parses the list of keys, and lays out the key.
func (p *parser) addKeys(list string) error {
	texts := strings.Split(list, ",")
	for i, text := range texts {
		if i == maxKeys {
			return plain(unix.EINVAL)
		}
		o := &operand{kind: stackSource, name: "stacktrace", size: 8 * stackDepth}
		if text != "stacktrace" {
			var err error
			if o, err = p.expression(text, use{key: true}, new(int)); err != nil {
				return err
			}
		}
		o.at = p.keyBytes
		o.width = (o.size + 7) / 8 * 8
		if p.keyBytes += o.width; p.keyBytes > maxKeyBytes {
			return plain(unix.EINVAL)
		}
		p.names = p.names || o.modifier == executable
		p.keys = append(p.keys, o)
	}
	return nil
}

// addSort parses the list of fields by which entries are sorted.
func (p *parser) addSort(list string) error {
	if list == "" {
		p.sort = []sortKey{{}}
		return nil
	}
	texts := strings.Split(list, ",")
	for i, text := range texts {
		switch {
		case text == "":
			return p.fail(errEmptySort, "sort=")
		case i == maxSort-1 && len(texts) > maxSort:
			return p.fail(errManySort, "sort=")
		}
		name, direction, directed := strings.Cut(text, ".")
		if name == "" {
			return p.fail(errEmptySort, "sort=")
		}
		field := p.sortField(name)
		if field < 0 {
			return p.fail(errSortField, name)
		}
		if directed && direction != "ascending" && direction != "descending" {
			return p.fail(errSortModifier, direction)
		}
		p.sort = append(p.sort, sortKey{field, direction == "descending"})
	}
	return nil
}

// sortField returns the number of a field for sortKey, or -1.
func (p *parser) sortField(name string) int {
	if name == "hitcount" {
		return 0
	}
	for i, o := range append(p.values[:len(p.values):len(p.values)], p.keys...) {
		if o.kind != stackSource && o.name == name {
			return 1 + i
		}
	}
	return -1
}

// hasTime reports whether the histogram uses common_timestamp.
func (s *Spec) hasTime() bool {
	for _, o := range s.keys {
		if o.uses(timeSource) {
			return true
		}
	}
	for _, o := range s.values {
		if o.uses(timeSource) {
			return true
		}
	}
	for i := range s.vars {
		if s.vars[i].value.uses(timeSource) {
			return true
		}
	}
	return false
}

// Same reports whether two triggers of an event count the same in the same way (Linux:
// hist_trigger_match without the name and the filter).
func (s *Spec) Same(other *Spec) bool {
	return s.fieldText() == other.fieldText()
}
