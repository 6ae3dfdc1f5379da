// Package decode prints system calls of x86-64, and of the ABI I386, as strace 6.1 does.
//
// A call is a row of a table: its name, its classes, and one Arg for each printed argument.
// An Arg says what the kernel captures of the program's memory (package tracespec), and how
// the captured bytes are printed. The rows of a family are in one file.
//
// strace prints arguments that a call reads when it begins, and those that it writes when it
// ends. Likewise the first Arg that is captured at the exit, and all that follow it, are
// printed at the exit.
package decode

import (
	"fmt"
	"slices"
	"strings"

	"slowpath/tracespec"
)

// Options are the options of strace(1) that change how arguments are printed.
type Options struct {
	// Strings is the maximum number of characters of a string (-s).
	Strings int
	// Verbose prints structures and arrays completely (-v).
	Verbose bool
	// Files is what is printed of files after descriptors (-y, -yy).
	Files FileInfo
	// Match captures the names of descriptors for Syscall.Accesses (-P).
	Match bool
	// Hex is which strings are printed in hexadecimal (-x, -xx).
	Hex HexStrings
	// Style is how values with names are printed (-X).
	Style Style
	// Numbers prints the numbers of calls (-n).
	Numbers bool
	// Comm returns the name of a thread, which is printed after its id (-Y). It may be nil.
	Comm func(thread uint32) string
	// Abbreviate, Dereference and Raw are the calls whose structures are abbreviated, whose
	// structures are printed at all, and whose arguments are not decoded (-e abbrev=,
	// verbose= and raw=). nil: all, all and none. Abbreviate replaces Verbose.
	Abbreviate, Dereference, Raw map[int]bool
	// Reads and Writes are the descriptors whose data is captured completely for Dump
	// (-e read= and write=).
	Reads, Writes DescriptorSet

	flat bool // the structures of this call are not printed
	raw  bool // the arguments of this call are not decoded
}

// DescriptorSet is a set of descriptors: those in List, or the others.
type DescriptorSet struct {
	List   []uint64
	Except bool
}

// Empty reports whether no descriptor is in the set.
func (d *DescriptorSet) Empty() bool { return len(d.List) == 0 && !d.Except }

// FileInfo is a set of what is printed of files after descriptors.
type FileInfo uint8

// What may be printed.
const (
	Names   FileInfo = 1 << iota // the name
	Sockets                      // protocol and addresses of sockets
	Devices                      // names and numbers of devices
	PIDFDs                       // the process of a pidfd
)

// HexStrings is which strings are printed in hexadecimal.
type HexStrings uint8

// The choices.
const (
	HexNone       HexStrings = iota
	HexNonASCII              // strings with a character that is not ASCII
	HexAll                   // all strings
	HexCharacters            // characters that are not ASCII
)

// Call is a system call with what was captured.
type Call struct {
	Arguments [6]uint64
	// Result is the result; a negative one down to -4095 is an errno.
	Result int64
	// Done is set at the exit.
	Done bool

	entry, exit [][]byte
}

// Failed reports whether the call has failed, or was interrupted and is restarted.
func (c *Call) Failed() bool { return c.Done && c.Result < 0 && c.Result >= -4095 }

// result prints a successful result, after "= ".
type resultPrinter func(p *Printer, c *Call)

// call returns a row.
func call(number int, name, classes string, args ...Arg) Row {
	return Row{Number: number, Name: name, Classes: classes, args: args}
}

// gives returns a row whose result is printed in another way.
func (r Row) gives(result resultPrinter) Row {
	r.result = result
	return r
}

// givesFD returns a row whose result is a descriptor.
func (r Row) givesFD() Row {
	r.args = append(r.args, resultFD())
	return r
}

// late returns a row that prints the comma before the arguments of the exit at the exit.
func (r Row) late() Row {
	r.lateComma = true
	return r
}

// even returns an argument of the entry that is printed although the call has failed.
func even(a Arg) Arg {
	a.always = true
	return a
}

// never returns a row of a call that does not return.
func (r Row) never() Row {
	r.noReturn = true
	return r
}

// families are the parts of the table.
func families() [][]Row {
	return [][]Row{fileRows, nameRows, memoryRows, processRows, signalRows, timeRows, pollRows, socketRows, ioctlRows, systemRows, bpfRows, uringRows, ipcRows, keyRows, mountRows, kernelRows}
}

// Row is one system call.
type Row struct {
	Number int
	Name   string
	// Classes are the names of the classes of option trace, separated by spaces.
	Classes string

	args   []Arg
	result resultPrinter // nil for a signed decimal number
	// lateComma prints the comma before the first argument of the exit at the exit.
	lateComma bool
	// noReturn marks calls that do not return on success.
	noReturn bool
}

// Arg is one printed argument.
type Arg struct {
	// exit is set if ops are captured at the exit.
	exit bool
	ops  []tracespec.Op
	// before are captured at the entry in addition, although ops are captured at the exit.
	before []tracespec.Op
	// always keeps what was captured although the call has failed, if the argument is printed at the exit.
	always bool
	// access is what argument index refers to, for Syscall.Accesses.
	access accessKind
	index  int
	// joined prints no comma before the argument.
	joined bool
	// shown decides whether the argument is printed. nil: always.
	shown func(c *Call) bool
	print func(p *Printer, in *Input)
	// note returns what follows the result in parentheses, instead of printing an
	// argument.
	note func(p *Printer, in *Input) (text string, shown bool)
}

// Input is what an Arg prints: the call, and the captures of its ops, nil if missing.
type Input struct {
	*Call
	captures [][]byte
	earlier  [][]byte // of Arg.before
	always   bool     // Arg.always
	size     int      // of the structure whose members are printed
	narrow   bool     // the control messages are those of i386, converted
}

// before returns the bytes of an op of Arg.before, nil if they are missing.
func (in *Input) before(i int) []byte {
	if i >= len(in.earlier) {
		return nil
	}
	return in.earlier[i]
}

// capture returns the bytes of an op, nil if they are missing.
func (in *Input) capture(i int) []byte {
	if i >= len(in.captures) {
		return nil
	}
	return in.captures[i]
}

// files gives the names of descriptors in structures, which an op has captured, to the
// printer.
func (in *Input) files(p *Printer, i int) { p.files = tracespec.SplitVector(in.capture(i)) }

// Limits that depend on the options. compile replaces them.
const (
	maxOfString   = 1<<30 + iota // Op.Max: one byte more than Options.Strings
	maxOfArray                   // Op.Max: one element of Op.Unit bytes more than Options.Strings
	maxOfList                    // Op.Unit: one element more than Options.Strings
	verboseString                // Op.Max: maxOfString with Options.Verbose, otherwise 0
	verboseBytes                 // Op.Max: tracespec.MaxBytes with Options.Verbose, otherwise 0
)

// Syscall is a row for certain options.
type Syscall struct {
	*Row
	options Options
	// Plan is what the kernel captures.
	Plan  tracespec.Call
	dump  *dumper // nil unless data of the call is dumped
	dumps []int   // the indices of its captures
	// where are the indices of the captures of each argument, -1 for those that are not captured
	where, before [][]int
}

// Table has the system calls by number.
type Table struct {
	options Options
	calls   map[int]*Syscall
	names   map[string]*Syscall
}

// New returns the table for options.
func New(o Options) *Table {
	t := &Table{options: o, calls: map[int]*Syscall{}, names: map[string]*Syscall{}}
	for _, family := range families() {
		for i := range family {
			c := compile(&family[i], o)
			t.calls[c.Number], t.names[c.Name] = c, c
		}
	}
	for _, r := range rows386() {
		t.calls[r.Number] = compile(&r, o)
	}
	return t
}

// Printer returns a printer.
func (t *Table) Printer() *Printer { return &Printer{Options: t.options, table: t} }

// Call returns the call of x86-64 with a number, or nil. Those of the ABI I386 begin at
// tracespec.FirstI386.
func (t *Table) Call(number int) *Syscall { return t.calls[number] }

// CallOf returns the call of a record, or one without arguments that are known.
func (t *Table) CallOf(r *tracespec.Record) *Syscall {
	index := int(r.Number)
	if r.I386 {
		index += tracespec.FirstI386
	}
	if row := t.calls[index]; row != nil && uint32(r.Number) < tracespec.FirstI386 {
		return row
	}
	return Unknown(int(r.Number))
}

// Named returns the call of x86-64 with a name, or nil.
func (t *Table) Named(name string) *Syscall { return t.names[name] }

// All returns all calls in the order of their numbers.
func (t *Table) All() []*Syscall {
	var all []*Syscall
	for number := range tracespec.MaxCalls {
		if c := t.calls[number]; c != nil {
			all = append(all, c)
		}
	}
	return all
}

// InClass reports whether a call is in a class.
func (r *Row) InClass(class string) bool { return slices.Contains(strings.Fields(r.Classes), class) }

// Unknown returns a row for a number without a call. strace prints it with six arguments.
func Unknown(number int) *Syscall {
	row := &Row{Number: number, Name: fmt.Sprintf("syscall_0x%x", uint32(number))}
	for i := range 6 {
		row.args = append(row.args, at(i, hex))
	}
	return compile(row, Options{})
}

// compile makes the plan of a row.
func compile(r *Row, o Options) *Syscall {
	if o.Abbreviate != nil {
		o.Verbose = !o.Abbreviate[r.Number]
	}
	o.flat, o.raw = o.Dereference != nil && !o.Dereference[r.Number], o.Raw[r.Number]
	c := &Syscall{Row: r, options: o}
	c.addDump()
	for i := range r.args {
		a := &r.args[i]
		ops := &c.Plan.Entry
		if a.exit {
			ops = &c.Plan.Exit
		}
		c.where = append(c.where, addOps(ops, a.ops, o))
		c.before = append(c.before, addOps(&c.Plan.Entry, a.before, o))
	}
	return c
}

// addOps adds the ops of an argument to those of the call. It returns their indices, -1 for
// those that the options do not want.
func addOps(all *[]tracespec.Op, ops []tracespec.Op, o Options) []int {
	where := make([]int, len(ops))
	for i, op := range ops {
		if !o.wants(&op, where) {
			where[i] = -1
			continue
		}
		where[i] = len(*all)
		*all = append(*all, relocate(op, where, o))
	}
	return where
}

// wants reports whether an op is captured. where has the indices of the ops before it.
func (o *Options) wants(op *tracespec.Op, where []int) bool {
	for _, v := range []*tracespec.Value{&op.Address, &op.Count} {
		if v.Source == tracespec.Captured && where[v.Index] < 0 {
			return false
		}
	}
	switch op.Kind {
	case tracespec.Descriptor, tracespec.Descriptors, tracespec.Members, tracespec.Rights:
		return o.Files != 0 || o.Match
	case tracespec.String, tracespec.Strings:
		return true
	}
	return !o.flat || op.Max == maxOfString && op.Unit == 1 // a buffer is no structure
}

// relocate turns an op of an argument into one of the call.
func relocate(op tracespec.Op, where []int, o Options) tracespec.Op {
	for _, v := range []*tracespec.Value{&op.Address, &op.Count} {
		if v.Source == tracespec.Captured {
			v.Index = uint8(where[v.Index])
		}
	}
	most := func(size int) uint32 { return uint32(min(size, tracespec.MaxBytes)) }
	if o.Files&^Names != 0 && (op.Kind == tracespec.Descriptor || op.Kind == tracespec.Descriptors || op.Kind == tracespec.Members || op.Kind == tracespec.Rights) {
		op.Max = tracespec.WithDetails
	}
	switch op.Max {
	case maxOfString:
		op.Max = most(o.Strings + 1)
	case maxOfArray:
		op.Max = most((o.Strings + 1) * int(op.Unit))
		if o.Verbose {
			op.Max = tracespec.MaxBytes
		}
	case verboseString, verboseBytes:
		op.Max = o.verboseMax(op.Max)
	}
	if op.Unit == maxOfList {
		op.Unit = most(o.Strings + 1)
		if o.Verbose {
			op.Unit = tracespec.MaxElements
		}
	}
	return op
}

// verboseMax returns the limit that verboseString or verboseBytes stands for.
func (o *Options) verboseMax(limit uint32) uint32 {
	switch {
	case !o.Verbose:
		return 0
	case limit == verboseString:
		return uint32(min(o.Strings+1, tracespec.MaxBytes))
	}
	return tracespec.MaxBytes
}

// Attach adds the captures of the kernel to a call. It reports false if they are damaged.
func (s *Syscall) Attach(c *Call, captures []byte) bool {
	ops, list := s.Plan.Entry, &c.entry
	if c.Done {
		ops, list = s.Plan.Exit, &c.exit
	}
	var ok bool
	*list, ok = tracespec.Split(captures, len(ops))
	return ok
}

// input returns what an argument prints.
func (s *Syscall) input(c *Call, i int) *Input {
	list := c.entry
	if s.args[i].exit {
		list = c.exit
	}
	return &Input{Call: c, captures: pick(list, s.where[i]), earlier: pick(c.entry, s.before[i]), always: s.args[i].always}
}

// pick returns the captures with some indices.
func pick(list [][]byte, indices []int) [][]byte {
	picked := make([][]byte, len(indices))
	for i, at := range indices {
		if at >= 0 && at < len(list) {
			picked[i] = list[at]
		}
	}
	return picked
}

// visible returns the indices of the arguments that are printed, and the number of those
// that are printed at the entry.
func (s *Syscall) visible(c *Call) (list []int, entry int) {
	entry = -1
	for i := range s.args {
		a := &s.args[i]
		if a.print == nil || a.shown != nil && !a.shown(c) {
			continue
		}
		if a.exit && entry < 0 {
			entry = len(list)
		}
		list = append(list, i)
	}
	if entry < 0 {
		entry = len(list)
	}
	return list, entry
}

// Complete reports whether all arguments are printed at the entry, and nothing depends on
// the exit.
func (s *Syscall) Complete(c *Call) bool {
	list, entry := s.visible(c)
	return s.options.raw || entry == len(list) && !slices.ContainsFunc(s.args, func(a Arg) bool { return a.note != nil })
}

// Enter prints the name, the parenthesis, and the arguments of the entry.
func (s *Syscall) Enter(p *Printer, c *Call) {
	p.begin(s)
	if p.Numbers {
		p.format("[%4d] ", s.Number%tracespec.FirstI386)
	}
	p.text(s.Name)
	p.text("(")
	if s.options.raw {
		p.text(strings.Join(s.rawTexts(c), ", "))
		return
	}
	list, entry := s.visible(c)
	s.printArgs(p, c, list[:entry])
	if entry > 0 && entry < len(list) && !s.lateComma && !s.args[list[entry]].joined {
		p.text(", ")
	}
}

// begin gives a printer the options of a call.
func (p *Printer) begin(s *Syscall) {
	comm := p.Comm
	p.Options = s.options
	p.Comm = comm
}

// rawTexts returns the arguments as numbers.
func (s *Syscall) rawTexts(c *Call) (texts []string) {
	for _, v := range c.Arguments[:argumentCount(s.Name)] {
		texts = append(texts, hexText(v))
	}
	return texts
}

// Leave prints the arguments of the exit.
func (s *Syscall) Leave(p *Printer, c *Call) {
	p.begin(s)
	if s.options.raw {
		return
	}
	list, entry := s.visible(c)
	if entry > 0 && entry < len(list) && s.lateComma {
		p.text(", ")
	}
	s.printArgs(p, c, list[entry:])
}

func (s *Syscall) printArgs(p *Printer, c *Call, list []int) {
	for i, at := range list {
		if i > 0 && !s.args[at].joined {
			p.text(", ")
		}
		p.files = nil
		s.args[at].print(p, s.printed(c, at))
	}
}

// printed returns what an argument prints. After a failure strace reads no more memory of the
// program.
func (s *Syscall) printed(c *Call, i int) *Input {
	in := s.input(c, i)
	if c.Failed() && !s.args[i].always {
		clear(in.captures)
	}
	return in
}

// Texts returns the text of each argument that is printed at the phase of the call.
func (s *Syscall) Texts(c *Call) (texts []string) {
	p := &Printer{Options: s.options}
	if s.options.raw {
		if c.Done {
			return nil
		}
		return s.rawTexts(c)
	}
	list, entry := s.visible(c)
	part := list[:entry]
	if c.Done {
		part = list[entry:]
	}
	for _, at := range part {
		p.files = nil
		s.args[at].print(p, s.printed(c, at))
		texts = append(texts, p.Take())
	}
	return texts
}

// Result prints the result, without "= ".
func (s *Syscall) Result(p *Printer, c *Call) {
	p.begin(s)
	if s.options.raw && !c.Failed() {
		p.text(hexText(uint64(c.Result)))
		return
	}
	switch {
	case restarts[-c.Result] != "":
		p.text("? " + restarts[-c.Result])
		return
	case c.Failed():
		p.text("-1 " + ErrnoText(int(-c.Result)))
	case s.noReturn:
		p.text("?")
	case s.result != nil:
		s.result(p, c)
	default:
		p.format("%d", c.Result)
	}
	for i := range s.args {
		if a := &s.args[i]; a.note != nil && (a.shown == nil || a.shown(c)) {
			if note, shown := a.note(p, s.input(c, i)); shown {
				p.text(" (" + note + ")")
			}
		}
	}
}

// restarts has the texts of the results by which the kernel restarts a call.
var restarts = map[int64]string{
	512: "ERESTARTSYS (To be restarted if SA_RESTART is set)",
	513: "ERESTARTNOINTR (To be restarted)",
	514: "ERESTARTNOHAND (To be restarted if no handler)",
	516: "ERESTART_RESTARTBLOCK (Interrupted by signal)",
}

// Started returns the execve(2) by which a program was started with a path, arguments and a
// number of variables whose array is at an address. The row must be that of execve.
func (s *Syscall) Started(path string, arguments []string, variables int, environment uint64) *Call {
	return &Call{
		Arguments: [6]uint64{1, 1, environment},
		entry: [][]byte{append([]byte(path), 0), tracespec.JoinStrings(arguments, s.options.Strings+1),
			tracespec.JoinStrings(make([]string, variables), 0)},
	}
}
