package values

import (
	"errors"
	"fmt"
	"strings"

	"slowpath/probe/location"
	"slowpath/probe/spec"
	"slowpath/probe/symbols"
	"slowpath/uprobe/fetch"
)

// Layout says what the kernel reads at a hit, and how the values are decoded.
type Layout struct {
	// Arguments are for the kernel.
	Arguments []fetch.Argument
	reader    *Reader
	values    []child
	hidden    hidden
}

// hidden are captures that are no arguments: they identify the call.
type hidden struct {
	pointer int // RSP
	g       int // address of the goroutine's g
	top     int // the upper end of its stack
	goid    int
	bias    int // see decoder.bias
}

// Offsets in runtime.g, which the assembly of the runtime relies on: stack.hi is the second
// word.
const stackHighOffset = 8

// Compile compiles the arguments of a spec for a site. Its errors are sentences for the
// user.
func (r *Reader) Compile(site *symbols.Site, s *spec.Spec) (*Layout, error) {
	c := &compiler{captures: &captures{}, goLanguage: site.Function != nil && site.Function.Go}
	l := &Layout{reader: r}
	l.hidden = r.identify(c, site)
	var err error
	if site.Return {
		err = l.compileResults(c, site, s)
	} else {
		err = l.compileArguments(c, site, s)
	}
	l.Arguments = c.arguments
	return l, err
}

// identify adds the captures that identify a call: the place of its frame in the stack of
// its thread or goroutine.
func (r *Reader) identify(c *compiler, site *symbols.Site) hidden {
	h := hidden{pointer: c.number([]fetch.Step{{Op: fetch.StackPointer}}), g: none, top: none, goid: none, bias: none}
	if offset, err := site.Offset(); err == nil && r.object.PositionIndependent() {
		h.bias = c.number([]fetch.Step{{Op: fetch.FileOffset, Value: int64(offset - site.Address)}})
	}
	if !c.goLanguage {
		return h
	}
	g := registerSteps(fetch.R14)
	h.g = c.number(g)
	h.top = c.memory(location.Add(g, stackHighOffset), eightbyte)
	if r.goid > 0 {
		h.goid = c.memory(location.Add(g, r.goid), eightbyte)
	}
	return h
}

func (l *Layout) add(name string, n *node) { l.values = append(l.values, child{name, n}) }

// compileArguments compiles the arguments of a probe on an instruction.
func (l *Layout) compileArguments(c *compiler, site *symbols.Site, s *spec.Spec) error {
	lenient := s.Place.Several()
	if s.All {
		return l.compileAll(c, site, lenient)
	}
	for i := range s.Arguments {
		n, err := l.reader.argument(c, site, &s.Arguments[i])
		if err != nil && !lenient {
			return err
		}
		if err != nil {
			n = missing(err.Error())
		}
		l.add(s.Arguments[i].Label, n)
	}
	return nil
}

// compileAll compiles all parameters. One that cannot be read has no value.
func (l *Layout) compileAll(c *compiler, site *symbols.Site, lenient bool) error {
	scope, err := l.reader.scopeOf(site)
	if err != nil {
		if lenient {
			return nil
		}
		return err
	}
	for _, v := range scope.wanted() {
		p, err := scope.place(v)
		if err != nil {
			l.add(v.name, missing(err.Error()))
			continue
		}
		l.add(v.name, c.node(p, levels))
	}
	return nil
}

// argument compiles one argument.
func (r *Reader) argument(c *compiler, site *symbols.Site, a *spec.Argument) (*node, error) {
	p, err := r.root(site, a)
	if err != nil {
		return nil, err
	}
	if p.typ == nil && a.Root != spec.Variable {
		p.typ = hexadecimal(eightbyte)
	}
	if p, err = p.follow(a.Path); err != nil {
		return nil, fmt.Errorf("%s: %w", a.Label, err)
	}
	if a.Type != "" {
		return c.named(a.Type, p.at), nil
	}
	return c.node(p, levels), nil
}

// root returns the place that an expression begins with.
func (r *Reader) root(site *symbols.Site, a *spec.Argument) (place, error) {
	switch a.Root {
	case spec.Register:
		at, err := registerNamed(a.Name)
		return place{hexadecimal(eightbyte), at}, err
	case spec.Positional:
		if !site.Entry && !site.CopyEntry {
			return place{}, errors.New("$arg1 and the like are only right at the entry of a function")
		}
		return place{hexadecimal(eightbyte), positional(a.Number)}, nil
	case spec.Result:
		return place{}, fmt.Errorf("$retval is only known at the return; write FUNC%%return")
	}
	scope, err := r.scopeOf(site)
	if err != nil {
		return place{}, err
	}
	v, err := scope.lookup(a.Name)
	if err != nil {
		return place{}, err
	}
	return scope.place(v)
}

// positional returns where the C calling convention puts the nth integer argument.
func positional(n int) location.Location {
	if n <= len(argumentRegisters) {
		return location.In(argumentRegisters[n-1])
	}
	return location.At(stackPointer(returnAddress + int64(n-1-len(argumentRegisters))*eightbyte))
}

// registerNamed returns the location of a register: rdi or di, r8, rip or ip, xmm0.
func registerNamed(name string) (location.Location, error) {
	name = strings.ToLower(name)
	var number int
	if n, err := fmt.Sscanf(name, "xmm%d", &number); n == 1 && err == nil && number >= 0 && number < 16 {
		return location.In(location.FirstXMM + number), nil
	}
	short := name
	if len(name) == 3 && (name[0] == 'r' || name[0] == 'e') && name[1] > '9' {
		short = name[1:]
	}
	r, ok := fetch.RegisterByName(short)
	if !ok {
		return nil, fmt.Errorf("there is no register %%%s; the registers are %%rax to %%rdx, %%rsi, %%rdi, %%rbp, %%rsp, %%r8 to %%r15, %%rip, %%flags and %%xmm0 to %%xmm15", name)
	}
	return location.Location{{Kind: location.Computed, Steps: registerSteps(r)}}, nil
}

// compileResults compiles what a probe on a return shows: the results, and the registers
// that the user names.
func (l *Layout) compileResults(c *compiler, site *symbols.Site, s *spec.Spec) error {
	wanted := len(s.Arguments) == 0
	for i := range s.Arguments {
		a := &s.Arguments[i]
		if a.Root != spec.Register {
			wanted = true
			continue
		}
		n, err := l.reader.argument(c, site, a)
		if err != nil {
			return err
		}
		l.add(a.Label, n)
	}
	if !wanted {
		return nil
	}
	scope, err := l.reader.scopeOf(site)
	if err != nil {
		if !c.goLanguage {
			l.add("", c.node(place{hexadecimal(eightbyte), location.In(resultRegisters[0])}, 0))
		}
		return nil
	}
	for _, r := range scope.results() {
		if r.err != nil {
			l.add(r.name, missing(r.err.Error()))
			continue
		}
		l.add(r.name, c.node(r.place, levels))
	}
	return nil
}

// Call identifies a call of a function: the thread or goroutine, and the place of its frame.
type Call struct {
	// Goroutine is the address of the g of Go, 0 for a thread of another language.
	Goroutine uint64
	// GoID is the number of the goroutine, 0 if it is unknown.
	GoID uint64
	// Depth tells frames of a thread or goroutine apart. It stays the same when the
	// stack of a goroutine is copied.
	Depth uint64
}

// Hit is a decoded hit.
type Hit struct {
	Call   Call
	Values []Named
}

// Named is a value with its name. A result without a name has an empty one.
type Named struct {
	Name  string
	Value Value
}

// Decode decodes the record of a hit. What the record lacks is a value that could not be
// read.
func (l *Layout) Decode(record []byte) Hit {
	d := split(l.Arguments, record)
	var h Hit
	h.Call = l.hidden.decode(d)
	bias, _ := d.word(source{{capture: l.hidden.bias, size: eightbyte}}, eightbyte)
	for _, v := range l.values {
		decoder := decoder{data: d, reader: l.reader, bias: bias}
		h.Values = append(h.Values, Named{v.name, decoder.value(v.node)})
	}
	return h
}

func (h *hidden) decode(d data) Call {
	number := func(capture int) uint64 {
		n, _ := d.word(source{{capture: capture, size: eightbyte}}, eightbyte)
		return n
	}
	call := Call{Goroutine: number(h.g), GoID: number(h.goid), Depth: -number(h.pointer)}
	if top := number(h.top); top != 0 {
		call.Depth += top
	} else {
		call.Goroutine, call.GoID = 0, 0
	}
	return call
}
