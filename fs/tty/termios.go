package tty

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
)

// termios is the kernel's struct termios2: the modes of termios(3), the line
// discipline, the control characters and the speeds.
type termios struct{ unix.Termios }

// usual returns the settings of a new terminal (tty_std_termios in Linux).
func usual() termios {
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

// is reports whether c is the control character with an index. A character
// that is 0 is switched off.
func (t *termios) is(index int, c byte) bool { return c != 0 && t.Cc[index] == c }

func (t *termios) local(flag uint32) bool { return t.Lflag&flag != 0 }

// canonical reports whether input comes by lines.
func (t *termios) canonical() bool { return t.local(unix.ICANON) }

// short returns the settings as struct termios, which has no speeds.
func (t *termios) short() abi.Termios {
	return abi.Termios{Iflag: t.Iflag, Oflag: t.Oflag, Cflag: t.Cflag, Lflag: t.Lflag, Line: t.Line, Cc: t.Cc}
}

// setShort sets what a struct termios has. The speeds follow from Cflag.
func (t *termios) setShort(s *abi.Termios) {
	t.Iflag, t.Oflag, t.Cflag, t.Lflag, t.Line, t.Cc = s.Iflag, s.Oflag, s.Cflag, s.Lflag, s.Line, s.Cc
	if speed, ok := speeds[t.Cflag&unix.CBAUD]; ok {
		t.Ispeed, t.Ospeed = speed, speed
	}
}

// speeds are the bits per second of the standard settings.
var speeds = map[uint32]uint32{
	unix.B0: 0, unix.B50: 50, unix.B300: 300, unix.B1200: 1200, unix.B2400: 2400, unix.B4800: 4800, unix.B9600: 9600,
	unix.B19200: 19200, unix.B38400: 38400, unix.B57600: 57600, unix.B115200: 115200, unix.B230400: 230400,
}
