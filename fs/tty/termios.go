package tty

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
)

// termios is struct termios2 of Linux: the modes of termios(3), the line
// discipline, the control characters and the speeds.
type termios struct{ unix.Termios }

// defaultTermios returns the settings of a new terminal (tty_std_termios in
// Linux).
func defaultTermios() termios {
	t := termios{unix.Termios{
		Iflag:  unix.ICRNL | unix.IXON,
		Oflag:  unix.OPOST | unix.ONLCR,
		Cflag:  unix.B38400 | unix.CS8 | unix.CREAD | unix.HUPCL,
		Lflag:  unix.ISIG | unix.ICANON | unix.ECHO | unix.ECHOE | unix.ECHOK | unix.ECHOCTL | unix.ECHOKE | unix.IEXTEN,
		Ispeed: 38400, Ospeed: 38400,
	}}
	for index, c := range map[int]byte{
		unix.VINTR: 'C' & 0x1f, unix.VQUIT: '\\' & 0x1f, unix.VERASE: 0x7f, unix.VKILL: 'U' & 0x1f,
		unix.VEOF: 'D' & 0x1f, unix.VMIN: 1, unix.VSTART: 'Q' & 0x1f, unix.VSTOP: 'S' & 0x1f,
		unix.VSUSP: 'Z' & 0x1f, unix.VREPRINT: 'R' & 0x1f, unix.VDISCARD: 'O' & 0x1f,
		unix.VWERASE: 'W' & 0x1f, unix.VLNEXT: 'V' & 0x1f,
	} {
		t.Cc[index] = c
	}
	return t
}

// is reports whether c is the control character with this index. The value 0
// disables a control character (_POSIX_VDISABLE).
func (t *termios) is(index int, c byte) bool { return c != 0 && t.Cc[index] == c }

func (t *termios) local(flag uint32) bool { return t.Lflag&flag != 0 }

// canonical reports whether input is read by lines (ICANON).
func (t *termios) canonical() bool { return t.local(unix.ICANON) }

// short returns the settings as struct termios, which has no speeds.
func (t *termios) short() abi.Termios {
	return abi.Termios{Iflag: t.Iflag, Oflag: t.Oflag, Cflag: t.Cflag, Lflag: t.Lflag, Line: t.Line, Cc: t.Cc}
}

// setShort sets the fields of struct termios, and the speeds that Cflag encodes.
func (t *termios) setShort(s *abi.Termios) {
	t.Iflag, t.Oflag, t.Cflag, t.Lflag, t.Line, t.Cc = s.Iflag, s.Oflag, s.Cflag, s.Lflag, s.Line, s.Cc
	if speed, ok := speeds[t.Cflag&unix.CBAUD]; ok {
		t.Ispeed, t.Ospeed = speed, speed
	}
}

// speeds maps the CBAUD values to bits per second.
var speeds = map[uint32]uint32{
	unix.B0: 0, unix.B50: 50, unix.B300: 300, unix.B1200: 1200, unix.B2400: 2400, unix.B4800: 4800, unix.B9600: 9600,
	unix.B19200: 19200, unix.B38400: 38400, unix.B57600: 57600, unix.B115200: 115200, unix.B230400: 230400,
}
