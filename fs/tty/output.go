package tty

import "golang.org/x/sys/unix"

// tabWidth is the distance between tab stops, in columns.
const tabWidth = 8

// print sends bytes. It converts them if OPOST is set. t.mu is held.
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

// convertOutput appends the converted c to p, and updates the cursor's column.
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

// expansion is the maximum number of output bytes for one byte: the spaces of a
// tab.
const expansion = tabWidth

// echo prints a character that was typed. With ECHOCTL, control characters are
// printed as ^X.
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

// rubOut erases a character from the screen. It was the last of the line, and is
// already removed from the input.
func (t *Terminal) rubOut(character []byte) {
	width := 1
	switch c := character[0]; {
	case c == '\t':
		width = t.erasedTabWidth()
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

// erasedTabWidth returns the width of a tab that was just removed from the end
// of the line. It depends on the characters before the tab.
func (t *Terminal) erasedTabWidth() int {
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
