package tty

import "golang.org/x/sys/unix"

// inputSize is the size of a terminal's input buffer, in bytes (N_TTY_BUF_SIZE
// in Linux).
const inputSize = 4096

// input is the unread input. In canonical mode ready has the finished lines,
// ends has the end of each line in ready, and edit has the line that is being
// typed. A line that VEOF ended has no end character. In raw mode all input is
// in ready.
type input struct {
	ready   []byte
	ends    []int
	edit    []byte
	literal bool // after VLNEXT: the next character has no special meaning
}

// readable reports whether a read would return without waiting.
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

// buffered returns the number of bytes that FIONREAD reports.
func (i *input) buffered(t *termios) int {
	if t.canonical() && len(i.ends) == 0 {
		return 0
	}
	return len(i.ready)
}

// room returns the number of characters for which there is room. The end of a line
// takes room too, because VEOF ends a line without a character.
func (i *input) room() int {
	return max(0, inputSize-1-max(len(i.ready)+len(i.edit), len(i.ends)))
}

// full reports whether there is no room for another character.
func (i *input) full() bool { return i.room() == 0 }

// finish ends the line that is being typed.
func (i *input) finish() {
	i.ready = append(i.ready, i.edit...)
	i.edit = i.edit[:0]
	i.ends = append(i.ends, len(i.ready))
}

// change converts the buffers when the mode switches between canonical and raw.
// All unread input becomes readable in raw mode, and becomes one line in
// canonical mode.
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

// takeLine removes and returns up to limit bytes of the first line. The result
// is empty for a line that has only VEOF.
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

// take removes and returns the first n bytes.
func (i *input) take(n int) []byte {
	taken := append([]byte(nil), i.ready[:n]...)
	i.ready = append(i.ready[:0], i.ready[n:]...)
	return taken
}

// flush discards all input.
func (i *input) flush() { *i = input{} }
