package tty

import "golang.org/x/sys/unix"

// tabWidth is how far tab stops are apart, in columns.
const tabWidth = 8

// print sends bytes with the conversions of OPOST. t.mu is held.
func (t *Terminal) print(p []byte) {
	if t.termios.Oflag&unix.OPOST == 0 {
		t.output.Send(p)
		return
	}
	converted := make([]byte, 0, len(p)+len(p)/8+8)
	for _, c := range p {
		converted = t.convertOutput(converted, c)
	}
	t.output.Send(converted)
}

// convertOutput appends what c becomes, and follows the cursor.
func (t *Terminal) convertOutput(p []byte, c byte) []byte {
	modes := t.termios.Oflag
	switch c {
	case '\n':
		if modes&unix.ONLRET != 0 {
			t.column = 0
		}
		if modes&unix.ONLCR != 0 {
			t.column = 0
			return append(p, '\r', '\n')
		}
	case '\r':
		if modes&unix.ONOCR != 0 && t.column == 0 {
			return p
		}
		t.column = 0
		if modes&unix.OCRNL != 0 {
			return append(p, '\n')
		}
	case '\t':
		spaces := tabWidth - t.column%tabWidth
		t.column += spaces
		if modes&unix.TABDLY == unix.XTABS {
			return append(p, "        "[:spaces]...)
		}
	case '\b':
		t.column = max(0, t.column-1)
	default:
		if c >= ' ' && c != 0x7f && (t.termios.Iflag&unix.IUTF8 == 0 || c&0xc0 != 0x80) {
			t.column++
		}
		if modes&unix.OLCUC != 0 && c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
	}
	return append(p, c)
}

// expansion is the most bytes that one can become on output: a tab.
const expansion = tabWidth

// echo shows a character that was typed: control characters as ^X with ECHOCTL.
func (t *Terminal) echo(c byte) {
	if t.shownAsControl(c) {
		t.print([]byte{'^', c ^ 0x40})
		return
	}
	t.print([]byte{c})
}

func (t *Terminal) shownAsControl(c byte) bool {
	return t.termios.local(unix.ECHOCTL) && (c < ' ' && c != '\t' && c != '\n' || c == 0x7f)
}

// rubOut takes one character, which was the last of the line, off the screen.
func (t *Terminal) rubOut(character []byte) {
	width := 1
	switch c := character[0]; {
	case c == '\t':
		width = t.tabBefore()
		for range width {
			t.print([]byte{'\b'})
		}
		return
	case t.shownAsControl(c):
		width = 2
	case c < ' ' || c == 0x7f:
		width = 0
	}
	for range width {
		t.print([]byte("\b \b"))
	}
}

// tabBefore returns how wide the tab was that has just been taken off the line,
// which depends on what is in front of it.
func (t *Terminal) tabBefore() int {
	column := 0
	for _, c := range t.input.edit {
		switch {
		case c == '\t':
			column += tabWidth - column%tabWidth
		case t.shownAsControl(c):
			column += 2
		case c >= ' ' && c != 0x7f && (t.termios.Iflag&unix.IUTF8 == 0 || c&0xc0 != 0x80):
			column++
		}
	}
	return min(tabWidth-(t.lineColumn+column)%tabWidth, t.column)
}
