package strace

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"slowpath/strace/decode"
)

// TextOptions are the options of strace(1) that change lines.
type TextOptions struct {
	// Output returns the writer for a thread. With Separate it is called for each thread,
	// otherwise once. One that is an io.Closer is closed when its thread has ended.
	Output func(thread uint32) (io.Writer, error)
	// Separate writes each thread to a file of its own (-ff).
	Separate bool
	// AlwaysPID prints the id of the thread in each line, in the way of a file (-f -o).
	AlwaysPID bool
	// Messages prints a line for each new thread.
	Messages bool
	// Modes prints a line for each change between 32-bit and 64-bit calls.
	Modes bool
	// Exits prints a line for the end of each thread.
	Exits bool
	// Clock is the format of the time of day (-t), Relative prints the time since the last
	// line (-r), Elapsed that in calls (-T).
	Clock             ClockFormat
	Relative, Elapsed bool
	// ClockDigits, RelativeDigits and ElapsedDigits are the digits after the seconds: 0, 3, 6 or 9.
	ClockDigits, RelativeDigits, ElapsedDigits int
	// Address prints the program counter (-i), Names the names of threads after their ids (-Y).
	Address, Names bool
	// Superseded prints a line for a thread that execve(2) of another one has ended.
	Superseded bool
	// Column is where results begin (-a).
	Column int
	// Shown decides by the result of a call whether it is printed; nil prints all at once.
	// An unfinished call is nil.
	Shown func(c *decode.Call) bool
	// Signal decides whether a signal is printed. nil prints all.
	Signal func(number int) bool
	// Stack returns the lines of the stack of a call (-k); nil prints none.
	Stack func(t *Thread, c *Call) []string
}

// ClockFormat is a format of the time of day.
type ClockFormat uint8

// The formats.
const (
	ClockNone ClockFormat = iota
	ClockTime             // hours, minutes and seconds
	ClockUnix             // seconds since 1970
)

// textState is the state of a thread in Text.
type textState struct {
	page    *page
	pending string // the text of the entry, if Shown decides about it later
}

// page is one output.
type page struct {
	w        *bufio.Writer
	file     io.Writer // that w writes to
	column   int
	printing *Thread // the thread whose line is not ended; nil if none
}

// Text prints events as strace does.
type Text struct {
	options  TextOptions
	table    *decode.Table
	printer  *decode.Printer
	shared   *page
	threads  int
	boot     uint64
	wall     uint64
	previous uint64 // the time of the last line
	maps     func(process uint32, maps []byte)
	err      error
}

// NewText returns a sink that prints text. maps takes the mappings of processes, and may be
// nil.
func NewText(t *decode.Table, o TextOptions, maps func(process uint32, maps []byte)) *Text {
	return &Text{options: o, table: t, printer: t.Printer(), maps: maps}
}

// Begin implements Sink.
func (x *Text) Begin(boot, wall uint64) { x.boot, x.wall = boot, wall }

// Maps implements Sink.
func (x *Text) Maps(process uint32, maps []byte) {
	if x.maps != nil {
		x.maps(process, maps)
	}
}

// open returns a new page.
func (x *Text) open(thread uint32) *page {
	w, err := x.options.Output(thread)
	if err != nil {
		x.fail(err)
		w = io.Discard
	}
	return &page{w: bufio.NewWriter(w), file: w}
}

// pageOf returns the page of a thread.
func (x *Text) pageOf(t *Thread) *page {
	if t.text.page != nil {
		return t.text.page
	}
	if x.options.Separate {
		t.text.page = x.open(t.ID)
		return t.text.page
	}
	if x.shared == nil {
		x.shared = x.open(t.ID)
	}
	t.text.page = x.shared
	return x.shared
}

// write writes a part of a line.
func (p *page) write(text string) {
	p.w.WriteString(text)
	if end := strings.LastIndexByte(text, '\n'); end >= 0 {
		p.column = len(text) - end - 1
		return
	}
	p.column += len(text)
}

// end ends a line.
func (p *page) end() {
	p.w.WriteByte('\n')
	p.column, p.printing = 0, nil
	p.w.Flush()
}

// leader begins a line of a thread. A line of a call that has not returned is ended first.
func (x *Text) leader(t *Thread, c *Call, now uint64) *page {
	p := x.pageOf(t)
	if p.column != 0 {
		p.write(" <unfinished ...>\n")
	}
	p.printing, p.column = t, 0
	switch {
	case x.options.Separate:
	case x.options.AlwaysPID && x.name(t) != "":
		p.write(fmt.Sprintf("%d%s ", t.ID, x.name(t)))
	case x.options.AlwaysPID:
		p.write(fmt.Sprintf("%-5d ", t.ID))
	case x.threads > 1:
		p.write(fmt.Sprintf("[pid %5d%s] ", t.ID, x.name(t)))
	}
	x.times(p, now)
	if x.options.Address {
		address := strings.Repeat("?", 16) // a signal has none
		if c != nil {
			address = fmt.Sprintf("%016x", c.Address)
		}
		p.write("[" + address + "] ")
	}
	return p
}

// name returns the name of a thread in angle brackets, or "".
func (x *Text) name(t *Thread) string {
	if !x.options.Names || t.Name == "" {
		return ""
	}
	return "<" + decode.Quoted(t.Name) + ">"
}

// seconds returns a time with some digits after the seconds.
func seconds(format string, ns uint64, digits int) string {
	text := fmt.Sprintf(format, ns/1e9)
	if digits > 0 {
		text += fmt.Sprintf(".%09d", ns%1e9)[:1+digits]
	}
	return text
}

// times prints the times of a line.
func (x *Text) times(p *page, now uint64) {
	wall := x.wall + now - x.boot
	switch x.options.Clock {
	case ClockTime:
		day := time.Unix(int64(wall/1e9), 0).Format("15:04:05")
		p.write(day + seconds("%d", wall%1e9, x.options.ClockDigits)[1:] + " ")
	case ClockUnix:
		p.write(seconds("%d", wall, x.options.ClockDigits) + " ")
	}
	if !x.options.Relative {
		return
	}
	if x.previous == 0 {
		x.previous = now
	}
	passed := now - min(x.previous, now)
	x.previous = now
	text := seconds("%6d", passed, x.options.RelativeDigits)
	if x.options.Clock != ClockNone {
		text = "(+" + text + ")"
	}
	p.write(text + " ")
}

// Attached implements Sink.
func (x *Text) Attached(t, parent *Thread, _ uint64) {
	x.threads++
	p := x.pageOf(t)
	if parent != nil && x.options.Messages && !x.options.Separate {
		// strace does not count its message in the column, so the line goes on after it.
		fmt.Fprintf(p.w, "strace: Process %d attached\n", t.ID)
		p.w.Flush()
	}
}

// Mode implements Sink.
func (x *Text) Mode(t *Thread, i386 bool, now uint64) {
	if !x.options.Modes {
		return
	}
	bits := 64
	if i386 {
		bits = 32
	}
	p := x.leader(t, nil, now)
	p.write(fmt.Sprintf("[ Process PID=%d runs in %d bit mode. ]", t.ID, bits))
	p.end()
}

// Enter implements Sink.
func (x *Text) Enter(t *Thread, c *Call) {
	c.Row.Enter(x.printer, c.Call)
	text := x.printer.Take()
	if x.options.Shown != nil {
		t.text.pending = text
		return
	}
	p := x.leader(t, c, c.Begin)
	p.write(text)
	p.w.Flush()
}

// resume continues the line of a call, or begins a new one.
func (x *Text) resume(t *Thread, c *Call, now uint64) *page {
	p := x.pageOf(t)
	if x.options.Shown != nil {
		p = x.leader(t, c, c.Begin)
		p.write(t.text.pending)
		return p
	}
	if p.printing != t {
		p = x.leader(t, c, now)
		p.write("<... " + c.Row.Name + " resumed>")
	}
	return p
}

// result writes the parenthesis, the column and the result of a call.
func (x *Text) result(p *page, text string) {
	p.write(") ")
	if p.column < x.options.Column {
		p.write(strings.Repeat(" ", x.options.Column-p.column))
	}
	p.write("= " + text)
}

// injections are the notes on calls that were changed.
var injections = [4]string{"", " (INJECTED)", " (DELAYED)", " (INJECTED) (DELAYED)"}

// Leave implements Sink.
func (x *Text) Leave(t *Thread, c *Call) {
	if x.options.Shown != nil && !x.options.Shown(c.Call) {
		return
	}
	p := x.resume(t, c, c.End)
	c.Row.Leave(x.printer, c.Call)
	p.write(x.printer.Take())
	c.Row.Result(x.printer, c.Call)
	x.result(p, x.printer.Take())
	p.write(injections[c.Injected&3])
	if x.options.Elapsed {
		p.write(" <" + seconds("%d", c.End-c.Begin, x.options.ElapsedDigits) + ">")
	}
	p.end()
	for _, line := range c.Row.Dump(c.Call) {
		p.write(line)
		p.end()
	}
	if x.options.Stack != nil {
		for _, line := range x.options.Stack(t, c) {
			p.write(" > " + line)
			p.end()
		}
	}
}

// Unfinished implements Sink.
func (x *Text) Unfinished(t *Thread, c *Call, now uint64) {
	if x.options.Shown != nil && !x.options.Shown(nil) {
		return
	}
	p := x.resume(t, c, now)
	if !c.Row.Complete(c.Call) {
		p.write(" <unfinished ...>")
	}
	x.result(p, "?")
	p.end()
}

// Signal implements Sink.
func (x *Text) Signal(t *Thread, info []byte, now uint64) {
	number := signalOf(info)
	if x.options.Signal != nil && !x.options.Signal(number) {
		return
	}
	p := x.leader(t, nil, now)
	p.write("--- " + x.table.SignalText(number) + " " + x.table.Siginfo(info) + " ---")
	p.end()
}

// Superseded implements Sink.
func (x *Text) Superseded(t *Thread, by uint32, now uint64) {
	x.threads--
	if !x.options.Superseded {
		return
	}
	p := x.leader(t, nil, now)
	p.write(fmt.Sprintf("+++ superseded by execve in pid %d +++", by))
	p.end()
}

// Exited implements Sink.
func (x *Text) Exited(t *Thread, status uint32, now uint64) {
	if x.options.Exits {
		p := x.leader(t, nil, now)
		p.write("+++ " + exitText(status) + " +++")
		p.end()
	}
	x.threads--
	x.release(t)
}

// exitText says how a thread has ended.
func exitText(status uint32) string {
	const core = 0x80
	switch signal := int(status & 0x7f); {
	case signal == 0:
		return fmt.Sprintf("exited with %d", status>>8&0xff)
	case status&core != 0:
		return "killed by " + decode.SignalName(signal) + " (core dumped)"
	default:
		return "killed by " + decode.SignalName(signal)
	}
}

// release closes the file of a thread that has ended (-ff).
func (x *Text) release(t *Thread) {
	p := t.text.page
	if !x.options.Separate || p == nil {
		return
	}
	t.text.page = nil
	x.flush(p)
	if file, ok := p.file.(io.Closer); ok {
		x.fail(file.Close())
	}
}

// flush writes the rest of a page.
func (x *Text) flush(p *page) {
	if p.column != 0 {
		p.write(" <unfinished ...>\n")
	}
	x.fail(p.w.Flush())
}

func (x *Text) fail(err error) {
	if x.err == nil {
		x.err = err
	}
}

// Lost implements Sink.
func (x *Text) Lost(uint64) {}

// Close implements Sink.
func (x *Text) Close() error {
	if x.shared != nil {
		x.flush(x.shared)
	}
	return x.err
}
