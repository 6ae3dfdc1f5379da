package decode

import (
	"bytes"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"

	"slowpath/tracespec"
)

// Printer collects text.
type Printer struct {
	Options
	buffer []byte
	table  *Table   // for the names of calls; may be nil
	files  [][]byte // the names of the descriptors that are printed next (Input.files)
}

// callName returns the name of a call as __NR_name.
func (p *Printer) callName(number int) string {
	if p.table == nil || p.table.calls[number] == nil {
		return strconv.Itoa(number)
	}
	return "__NR_" + p.table.calls[number].Name
}

// child returns a printer with the same options.
func (p *Printer) child() *Printer { return &Printer{Options: p.Options, table: p.table} }

// Take returns the text, and begins a new one.
func (p *Printer) Take() string {
	s := string(p.buffer)
	p.buffer = p.buffer[:0]
	return s
}

func (p *Printer) text(s string) { p.buffer = append(p.buffer, s...) }

func (p *Printer) format(format string, a ...any) { p.buffer = fmt.Appendf(p.buffer, format, a...) }

// word returns a little-endian number in a structure, 0 beyond its end.
func word(b []byte, offset, size int) uint64 {
	if offset < 0 || offset+size > len(b) {
		return 0
	}
	return tracespec.Number(b[offset:], size)
}

// hexText is a number as "%#x" of C prints it.
func hexText(v uint64) string {
	if v == 0 {
		return "0"
	}
	return "0x" + strconv.FormatUint(v, 16)
}

// address prints a user address.
func (p *Printer) address(v uint64) {
	if v == 0 {
		p.text("NULL")
		return
	}
	p.text(hexText(v))
}

// octal prints a number as "%#03o" does.
func (p *Printer) octal(v uint64) { p.text(octalText(v)) }

func octalText(v uint64) string {
	s := strconv.FormatUint(v, 8)
	if v != 0 {
		s = "0" + s
	}
	return strings.Repeat("0", max(0, 3-len(s))) + s
}

// quote prints bytes as a quoted string.
func (p *Printer) quote(b []byte) {
	p.text(`"`)
	p.escape(b, "")
	p.text(`"`)
}

// mustBeHex reports whether -x prints a string in hexadecimal.
func mustBeHex(b []byte) bool {
	for _, c := range b {
		if c > 0x7e || c < ' ' && (c < '\t' || c > '\r') {
			return true
		}
	}
	return false
}

// escapes are the characters that have an escape sequence of their own.
var escapes = map[byte]string{'"': `\"`, '\\': `\\`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\v': `\v`}

// escape prints bytes with the escape sequences of strace. others are characters that are
// escaped in addition.
func (p *Printer) escape(b []byte, others string) {
	if p.Hex == HexAll || p.Hex == HexNonASCII && mustBeHex(b) {
		for _, c := range b {
			p.format(`\x%02x`, c)
		}
		return
	}
	for i, c := range b {
		switch {
		case c < ' ' && escapes[c] == "" && p.Hex == HexCharacters, c >= 0x7f && p.Hex == HexCharacters, strings.IndexByte(others, c) >= 0 && p.Hex == HexCharacters:
			p.format(`\x%02x`, c)
		case escapes[c] != "":
			p.text(escapes[c])
		case c >= ' ' && c < 0x7f && strings.IndexByte(others, c) < 0:
			p.buffer = append(p.buffer, c)
		case i+1 < len(b) && b[i+1] >= '0' && b[i+1] <= '7':
			p.format(`\%03o`, c)
		default:
			p.format(`\%o`, c)
		}
	}
}

// cstring prints a captured string: up to limit characters, and "..." if it continues.
func (p *Printer) cstring(b []byte, limit int) {
	if end := bytes.IndexByte(b, 0); end >= 0 && end <= limit {
		p.quote(b[:end])
		return
	}
	p.quote(b[:min(len(b), limit)])
	p.text("...")
}

// data prints a captured buffer that has length bytes in the program.
func (p *Printer) data(b []byte, length uint64) {
	p.quote(b[:min(len(b), p.Strings)])
	if length > uint64(p.Strings) {
		p.text("...")
	}
}

// path prints what is known of the file of a descriptor, after its number. It is the file's
// name, or the details that follow it after NUL (tracespec.Descriptor).
func (p *Printer) path(captured []byte) {
	if captured == nil || p.Files == 0 {
		return
	}
	name, details, _ := bytes.Cut(captured, []byte{0})
	kind, details, _ := bytes.Cut(details, []byte{0})
	switch {
	case string(kind) == tracespec.DetailSocket && p.Files&Sockets != 0:
		p.text("<")
		p.text(string(details))
		p.text(">")
		return
	case string(kind) == tracespec.DetailProcess && p.Files&PIDFDs != 0:
		p.text("<pid:")
		p.text(string(details))
		p.text(">")
		return
	case string(kind) == tracespec.DetailDevice && p.Files&Devices != 0:
		p.text("<")
		p.escape(name, "<>")
		p.text("<" + string(details) + ">>")
		return
	case p.Files&Names == 0:
		return
	}
	p.text("<")
	text, deleted := strings.CutSuffix(string(name), " (deleted)")
	p.escape([]byte(text), "<>")
	p.text(">")
	if deleted {
		p.text("(deleted)")
	}
}

// descriptor prints a descriptor in a structure, with the next name of p.files.
func (p *Printer) descriptor(v uint64) {
	p.format("%d", int32(v))
	if len(p.files) > 0 {
		p.path(p.files[0])
		p.files = p.files[1:]
	}
}

// pid prints the id of a process or thread, with its name if that is wanted.
func (p *Printer) pid(v uint64) {
	p.format("%d", int32(v))
	p.comm(int32(v))
}

func (p *Printer) comm(id int32) {
	if p.Comm == nil || id <= 0 {
		return
	}
	if name := p.Comm(uint32(id)); name != "" {
		p.text("<")
		p.escape([]byte(name), "<>")
		p.text(">")
	}
}

// name is a value with a name.
type name struct {
	text  string
	value uint64
}

// nameTable has names in the order in which strace tries them.
type nameTable struct {
	names   []name
	unknown string // what the comment of an unknown value says
	decimal bool   // numbers are printed as signed decimals
}

// names parses "NAME VALUE ..." into a table.
func names(unknown, text string) *nameTable {
	t := &nameTable{unknown: unknown}
	words := strings.Fields(text)
	for i := 0; i+1 < len(words); i += 2 {
		v, err := strconv.ParseUint(words[i+1], 0, 64)
		if err != nil {
			panic("the table of names has the value " + words[i+1])
		}
		t.names = append(t.names, name{words[i], v})
	}
	return t
}

// decimals is names for values that are printed as signed decimal numbers.
func decimals(unknown, text string) *nameTable {
	t := names(unknown, text)
	t.decimal = true
	return t
}

// sequence makes a table of consecutive values. "-" is a value without a name.
func sequence(unknown string, first uint64, text string) *nameTable {
	t := &nameTable{unknown: unknown}
	for i, word := range strings.Fields(text) {
		if word != "-" {
			t.names = append(t.names, name{word, first + uint64(i)})
		}
	}
	return t
}

// find returns the name of a value, or "".
func (t *nameTable) find(v uint64) string {
	for _, n := range t.names {
		if n.value == v {
			return n.text
		}
	}
	return ""
}

// number returns a value as a number.
func (t *nameTable) number(v uint64) string {
	if t.decimal {
		return strconv.FormatInt(int64(v), 10)
	}
	return hexText(v)
}

// flagNames returns the names of the flags in v that have one, and the rest.
func (t *nameTable) flagNames(v uint64) (list []string, rest uint64) {
	for _, n := range t.names {
		if n.value != 0 && v&n.value == n.value {
			list = append(list, n.text)
			v &^= n.value
		}
	}
	return list, v
}

// Style is how values with names are printed (-X).
type Style uint8

// The styles.
const (
	Abbreviated Style = iota // the name
	RawNumbers               // the number
	Both                     // the number, and the name in a comment
)

// styled returns a number and its text in the style of the printer.
func (p *Printer) styled(number, text string) string {
	switch {
	case p.Style == RawNumbers:
		return number
	case p.Style == Both:
		return number + " /* " + text + " */"
	}
	return text
}

// value returns the name of a value, or the value with a comment.
func (p *Printer) value(t *nameTable, v uint64) string {
	if s := t.find(v); s != "" {
		return p.styled(t.number(v), s)
	}
	return p.unknown(t, v)
}

// unknown returns a value without a name.
func (p *Printer) unknown(t *nameTable, v uint64) string {
	if t.unknown == "" || p.Style == RawNumbers {
		return t.number(v)
	}
	return t.number(v) + " /* " + t.unknown + " */"
}

// flags returns the names of flags with | between them.
func (p *Printer) flags(t *nameTable, v uint64) string {
	if v == 0 {
		if s := t.find(0); s != "" {
			return p.styled("0", s)
		}
		return "0"
	}
	list, rest := t.flagNames(v)
	if len(list) == 0 {
		return p.unknown(t, rest)
	}
	if rest != 0 {
		list = append(list, t.number(rest))
	}
	return p.styled(t.number(v), strings.Join(list, "|"))
}

// SignalName returns the name of a signal as strace prints it.
func SignalName(n int) string {
	switch {
	case n == 32:
		return "SIGRTMIN"
	case n > 32 && n <= 64:
		return "SIGRT_" + strconv.Itoa(n-32)
	}
	if s := unix.SignalName(unix.Signal(n)); s != "" && n > 0 {
		return s
	}
	return strconv.Itoa(n)
}

// SignalText returns a signal in the style of the options.
func (t *Table) SignalText(n int) string { return t.Printer().signal(n) }

// Quoted returns a text as strace prints names in angle brackets.
func Quoted(text string) string {
	p := new(Printer)
	p.escape([]byte(text), "<>")
	return p.Take()
}

// signal returns a signal in the style of the printer.
func (p *Printer) signal(n int) string {
	number, text := strconv.Itoa(n), SignalName(n)
	if text == number {
		return number
	}
	return p.styled(number, text)
}

// signalSet prints a set of signals of size bytes.
func (p *Printer) signalSet(b []byte) {
	set := word(b, 0, min(len(b), 8))
	size := (len(b) + 3) / 4 * 32
	if bits.OnesCount64(set) >= size*2/3 {
		p.text("~")
		set = ^set
		if size < 64 {
			set &= 1<<size - 1
		}
	}
	p.text("[")
	for separator := ""; set != 0; set &= set - 1 {
		p.text(separator + strings.TrimPrefix(SignalName(bits.TrailingZeros64(set)+1), "SIG"))
		separator = " "
	}
	p.text("]")
}

// errnoNames has the names of errnos for which package unix prefers another one or has none.
var errnoNames = map[int]string{95: "EOPNOTSUPP", 512: "ERESTARTSYS", 524: "ENOTSUPP"}

// ErrnoName returns the name of an errno.
func ErrnoName(n int) string {
	if s := errnoNames[n]; s != "" {
		return s
	}
	if s := unix.ErrnoName(unix.Errno(n)); s != "" {
		return s
	}
	return strconv.Itoa(n)
}

// ErrnoText returns the name of an errno with its text in parentheses.
func ErrnoText(n int) string {
	text := unix.Errno(n).Error()
	if unix.ErrnoName(unix.Errno(n)) == "" {
		text = "Unknown error " + strconv.Itoa(n)
	}
	runes := []rune(text)
	if len(runes) > 1 && unicode.IsLower(runes[1]) || strings.HasPrefix(text, "no ") {
		runes[0] = unicode.ToUpper(runes[0])
	}
	return ErrnoName(n) + " (" + string(runes) + ")"
}

// unit is a fraction of a second.
type unit struct {
	perSecond uint64
	format    string // of a number of them, after the seconds
}

var (
	nanoseconds  = unit{1e9, ".%09d"}
	microseconds = unit{1e6, ".%06d"}
)

// timeComment prints the comment of a point of time.
func (p *Printer) timeComment(seconds int64, fraction uint64, u unit) {
	if seconds == 0 && fraction == 0 || fraction >= u.perSecond {
		return
	}
	t := time.Unix(seconds, 0)
	if year := t.Year(); year != int(int32(year)) {
		return // as localtime(3)
	}
	p.text(" /* " + t.Format("2006-01-02T15:04:05"))
	if fraction > 0 {
		p.format(u.format, fraction)
	}
	p.text(t.Format("-0700") + " */")
}

// device prints a device number.
func (p *Printer) device(v uint64) {
	p.text(p.styled(hexText(v), fmt.Sprintf("makedev(%s, %s)", hexText(uint64(unix.Major(v))), hexText(uint64(unix.Minor(v))))))
}

// fileTypes are the types of files in st_mode.
var fileTypes = names("", "S_IFREG 0100000 S_IFSOCK 0140000 S_IFIFO 010000 S_IFLNK 0120000 S_IFDIR 040000 S_IFBLK 060000 S_IFCHR 020000")

// fileMode prints st_mode.
func (p *Printer) fileMode(mode uint64) { p.text(p.styled(octalText(mode), modeText(mode))) }

func modeText(mode uint64) (text string) {
	const format = 0o170000
	if mode&format != 0 {
		kind := fileTypes.find(mode & format)
		if kind == "" {
			return octalText(mode)
		}
		text = kind + "|"
	}
	for _, n := range []name{{"S_ISUID|", 0o4000}, {"S_ISGID|", 0o2000}, {"S_ISVTX|", 0o1000}} {
		if mode&n.value != 0 {
			text += n.text
		}
	}
	return text + octalText(mode&0o777)
}
