package tty

import "golang.org/x/sys/unix"

// inputSize is how much input a terminal holds, in bytes (MAX_CANON with the
// line's end, N_TTY_BUF_SIZE).
const inputSize = 4096

// input is the unread input. In canonical mode finished lines
// are in ready, with the end of each in ends, and the line that is being typed
// in edit; a line that VEOF ended has no end character. In raw mode everything
// is in ready.
type input struct {
	ready   []byte
	ends    []int
	edit    []byte
	literal bool // VLNEXT was typed: the next character is no control character
}

// readable reports whether a read would not wait.
func (i *input) readable(t *termios) bool {
	if t.canonical() {
		return len(i.ends) > 0
	}
	least := int(t.Cc[unix.VMIN])
	if least == 0 || t.Cc[unix.VTIME] > 0 {
		least = 1
	}
	return len(i.ready) >= least
}

// buffered is what FIONREAD counts.
func (i *input) buffered(t *termios) int {
	if t.canonical() && len(i.ends) == 0 {
		return 0
	}
	return len(i.ready)
}

// full reports whether a character more would be lost.
func (i *input) full() bool { return len(i.ready)+len(i.edit) >= inputSize-1 }

// finish ends the line that is being typed.
func (i *input) finish() {
	i.ready = append(i.ready, i.edit...)
	i.edit = i.edit[:0]
	i.ends = append(i.ends, len(i.ready))
}

// change adapts to a switch between canonical and raw mode: what was typed
// already becomes readable in raw mode, and one line in canonical mode.
func (i *input) change(canonical bool) {
	if canonical {
		if len(i.ready) > 0 {
			i.ends = []int{len(i.ready)}
		}
		return
	}
	i.ready = append(i.ready, i.edit...)
	i.edit, i.ends = nil, nil
}

// takeLine returns up to limit bytes of the first line: nothing for a line that
// VEOF ended at once.
func (i *input) takeLine(limit int) []byte {
	n := min(limit, i.ends[0])
	line := i.take(n)
	for k := range i.ends {
		i.ends[k] -= n
	}
	if i.ends[0] == 0 {
		i.ends = i.ends[1:]
	}
	return line
}

// take removes n bytes from the front.
func (i *input) take(n int) []byte {
	taken := append([]byte(nil), i.ready[:n]...)
	i.ready = append(i.ready[:0], i.ready[n:]...)
	return taken
}

// flush forgets everything.
func (i *input) flush() { *i = input{} }
