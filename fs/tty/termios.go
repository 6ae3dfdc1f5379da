package tty

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Sizes of the structures of tty_ioctl(4) in bytes.
const (
	controlCount = 19 // c_cc of the kernel's struct termios
	termiosSize  = 36
	termios2Size = 44
)

// Termios is the kernel's struct termios2: the modes of termios(3), the line
// discipline, the control characters and the speeds.
type Termios struct {
	Input, Output, Control, Local uint32
	Line                          uint8
	Characters                    [controlCount]uint8
	InputSpeed, OutputSpeed       uint32
}

// usual returns the settings of a new terminal (tty_std_termios in Linux).
func usual() Termios {
	t := Termios{
		Input:      unix.ICRNL | unix.IXON,
		Output:     unix.OPOST | unix.ONLCR,
		Control:    unix.B38400 | unix.CS8 | unix.CREAD | unix.HUPCL,
		Local:      unix.ISIG | unix.ICANON | unix.ECHO | unix.ECHOE | unix.ECHOK | unix.ECHOCTL | unix.ECHOKE | unix.IEXTEN,
		InputSpeed: 38400, OutputSpeed: 38400,
	}
	for index, c := range map[int]byte{
		unix.VINTR: 'C' & 0x1f, unix.VQUIT: '\\' & 0x1f, unix.VERASE: 0x7f, unix.VKILL: 'U' & 0x1f,
		unix.VEOF: 'D' & 0x1f, unix.VMIN: 1, unix.VSTART: 'Q' & 0x1f, unix.VSTOP: 'S' & 0x1f,
		unix.VSUSP: 'Z' & 0x1f, unix.VREPRINT: 'R' & 0x1f, unix.VDISCARD: 'O' & 0x1f,
		unix.VWERASE: 'W' & 0x1f, unix.VLNEXT: 'V' & 0x1f,
	} {
		t.Characters[index] = c
	}
	return t
}

// is reports whether c is the control character with an index. A character
// that is 0 is switched off.
func (t *Termios) is(index int, c byte) bool { return c != 0 && t.Characters[index] == c }

func (t *Termios) local(flag uint32) bool { return t.Local&flag != 0 }

// canonical reports whether input comes by lines.
func (t *Termios) canonical() bool { return t.local(unix.ICANON) }

// encode lays out struct termios, or termios2 if size says so.
func (t *Termios) encode(size int) []byte {
	p := make([]byte, 0, termios2Size)
	for _, v := range [4]uint32{t.Input, t.Output, t.Control, t.Local} {
		p = binary.LittleEndian.AppendUint32(p, v)
	}
	p = append(p, t.Line)
	p = append(p, t.Characters[:]...)
	p = binary.LittleEndian.AppendUint32(p, t.InputSpeed)
	p = binary.LittleEndian.AppendUint32(p, t.OutputSpeed)
	return p[:size]
}

// decode reads a structure of encode's. Without the speeds of termios2 they
// follow from the control modes.
func (t *Termios) decode(p []byte) {
	for i, v := range [4]*uint32{&t.Input, &t.Output, &t.Control, &t.Local} {
		*v = binary.LittleEndian.Uint32(p[4*i:])
	}
	t.Line = p[16]
	copy(t.Characters[:], p[17:])
	if len(p) == termios2Size {
		t.InputSpeed = binary.LittleEndian.Uint32(p[36:])
		t.OutputSpeed = binary.LittleEndian.Uint32(p[40:])
		return
	}
	if speed, ok := speeds[t.Control&unix.CBAUD]; ok {
		t.InputSpeed, t.OutputSpeed = speed, speed
	}
}

// speeds are the bits per second of the standard settings.
var speeds = map[uint32]uint32{
	unix.B0: 0, unix.B50: 50, unix.B300: 300, unix.B1200: 1200, unix.B2400: 2400, unix.B4800: 4800, unix.B9600: 9600,
	unix.B19200: 19200, unix.B38400: 38400, unix.B57600: 57600, unix.B115200: 115200, unix.B230400: 230400,
}
