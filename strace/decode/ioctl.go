package decode

import (
	"slices"

	"golang.org/x/sys/unix"
)

var (
	ioctlCalls = names("", `TCGETS 0x5401 TCSETS 0x5402 TCSETSW 0x5403 TCSETSF 0x5404 TCGETA 0x5405 TCSETA 0x5406 TCSETAW 0x5407 TCSETAF 0x5408 TCSBRK 0x5409 TCXONC 0x540a
		TCFLSH 0x540b TIOCEXCL 0x540c TIOCNXCL 0x540d TIOCSCTTY 0x540e TIOCGPGRP 0x540f TIOCSPGRP 0x5410 TIOCOUTQ 0x5411 TIOCSTI 0x5412 TIOCGWINSZ 0x5413 TIOCSWINSZ 0x5414
		TIOCMGET 0x5415 TIOCMBIS 0x5416 TIOCMBIC 0x5417 TIOCMSET 0x5418 TIOCGSOFTCAR 0x5419 TIOCSSOFTCAR 0x541a FIONREAD 0x541b TIOCLINUX 0x541c TIOCCONS 0x541d
		TIOCGSERIAL 0x541e TIOCSSERIAL 0x541f TIOCPKT 0x5420 FIONBIO 0x5421 TIOCNOTTY 0x5422 TIOCSETD 0x5423 TIOCGETD 0x5424 TCSBRKP 0x5425 TIOCSBRK 0x5427 TIOCCBRK 0x5428
		TIOCGSID 0x5429 TIOCGPTN 0x80045430 TIOCSPTLCK 0x40045431 TIOCGPTLCK 0x80045439 TIOCGPTPEER 0x5441 FIONCLEX 0x5450 FIOCLEX 0x5451 FIOASYNC 0x5452
		FS_IOC_GETFLAGS 0x80086601 FS_IOC_SETFLAGS 0x40086602 BLKGETSIZE64 0x80081272 RTC_RD_TIME 0x80247009 FIFREEZE 0xc0045877 FICLONE 0x40049409
		PERF_EVENT_IOC_ENABLE 0x2400 PERF_EVENT_IOC_DISABLE 0x2401 PERF_EVENT_IOC_RESET 0x2403`)
	ioctlDirections = []string{"_IOC_NONE", "_IOC_WRITE", "_IOC_READ", "_IOC_READ|_IOC_WRITE"}
	inputModes      = names("", "IGNBRK 1 BRKINT 2 IGNPAR 4 PARMRK 8 INPCK 0x10 ISTRIP 0x20 INLCR 0x40 IGNCR 0x80 ICRNL 0x100 IUCLC 0x200 IXON 0x400 IXANY 0x800 IXOFF 0x1000 IMAXBEL 0x2000 IUTF8 0x4000")
	outputModes     = names("", "OPOST 1 OLCUC 2 ONLCR 4 OCRNL 8 ONOCR 0x10 ONLRET 0x20 OFILL 0x40 OFDEL 0x80")
	localModes      = names("", "ISIG 1 ICANON 2 XCASE 4 ECHO 8 ECHOE 0x10 ECHOK 0x20 ECHONL 0x40 NOFLSH 0x80 TOSTOP 0x100 ECHOCTL 0x200 ECHOPRT 0x400 ECHOKE 0x800 FLUSHO 0x1000 PENDIN 0x4000 IEXTEN 0x8000 EXTPROC 0x10000")
	controlModes    = names("", "CSTOPB 0x40 CREAD 0x80 PARENB 0x100 PARODD 0x200 HUPCL 0x400 CLOCAL 0x800 CMSPAR 0x40000000 CRTSCTS 0x80000000")
	characterSizes  = names("CS?", "CS5 0 CS6 0x10 CS7 0x20 CS8 0x30")
	baudRates       = names("B???", "B0 0 B50 1 B75 2 B110 3 B134 4 B150 5 B200 6 B300 7 B600 8 B1200 9 B1800 0xa B2400 0xb B4800 0xc B9600 0xd B19200 0xe B38400 0xf B57600 0x1001 B115200 0x1002 B230400 0x1003 B460800 0x1004 B500000 0x1005 B576000 0x1006 B921600 0x1007 B1000000 0x1008")
	lineDisciplines = names("N_???", "N_TTY 0 N_SLIP 1 N_MOUSE 2 N_PPP 3 N_STRIP 4 N_AX25 5 N_X25 6")
	flushQueues     = sequence("TC?FLUSH", 0, "TCIFLUSH TCOFLUSH TCIOFLUSH")
	flowActions     = sequence("TC???", 0, "TCOOFF TCOON TCIOFF TCION")
	controlChars    = []string{"VINTR", "VQUIT", "VERASE", "VKILL", "VEOF", "VTIME", "VMIN", "VSWTC", "VSTART", "VSTOP", "VSUSP", "VEOL", "VREPRINT", "VDISCARD", "VWERASE", "VLNEXT", "VEOL2"}
	// delays are the fields of c_oflag with more than one bit.
	delays = []struct {
		mask  uint64
		names *nameTable
	}{
		{0x100, names("NL?", "NL0 0 NL1 0x100")}, {0x600, names("CR?", "CR0 0 CR1 0x200 CR2 0x400 CR3 0x600")},
		{0x1800, names("TAB?", "TAB0 0 TAB1 0x800 TAB2 0x1000 TAB3 0x1800")}, {0x2000, names("BS?", "BS0 0 BS1 0x2000")},
		{0x4000, names("VT?", "VT0 0 VT1 0x4000")}, {0x8000, names("FF?", "FF0 0 FF1 0x8000")},
	}
)

// ioctlCall prints the request of ioctl(2).
func ioctlCall(p *Printer, _ *Input, v uint64) {
	v = uint64(uint32(v))
	if name := ioctlCalls.find(v); name != "" {
		p.text(name)
		return
	}
	p.format("_IOC(%s, %s, %s, %s)", ioctlDirections[v>>30], hexText(v>>8&0xff), hexText(v&0xff), hexText(v>>16&0x3fff))
}

// termios prints the kernel's struct termios.
func termios(p *Printer, _ *Input, b []byte) {
	output := word(b, 4, 4)
	p.text("{c_iflag=" + p.flags(inputModes, word(b, 0, 4)) + ", c_oflag=")
	for _, d := range delays {
		p.text(p.value(d.names, output&d.mask) + "|")
		output &^= d.mask
	}
	const baud, inputBaud, size = 0x100f, 0x100f0000, 0x30
	control := word(b, 8, 4)
	p.text(p.flags(outputModes, output) + ", c_cflag=" + p.value(baudRates, control&baud) + "|")
	if control&inputBaud != 0 {
		p.text(p.value(baudRates, control&inputBaud>>16) + "<<IBSHIFT|")
	}
	p.text(p.value(characterSizes, control&size) + "|" + p.flags(controlModes, control&^(baud|inputBaud|size)))
	p.text(", c_lflag=" + p.flags(localModes, word(b, 12, 4)))
	if !p.Verbose {
		p.text(", ...}")
		return
	}
	p.text(", c_line=" + p.value(lineDisciplines, word(b, 16, 1)) + ", c_cc=[")
	for i := range 19 {
		if i > 0 {
			p.text(", ")
		}
		if i < len(controlChars) {
			p.text("[" + controlChars[i] + "]=")
		} else {
			p.format("[%d]=", i)
		}
		p.text(hexText(word(b, 17+i, 1)))
	}
	p.text("]}")
}

const (
	termiosSize = 36
	winsizeSize = 8
)

var winsize = structure(field{name: "ws_row", size: 2, print: udec}, field{name: "ws_col", offset: 2, size: 2, print: udec},
	field{name: "ws_xpixel", offset: 4, size: 2, print: udec}, field{name: "ws_ypixel", offset: 6, size: 2, print: udec})

// ioctlOn is an argument of ioctl(2) for some requests.
func ioctlOn(a Arg, requests ...uint64) Arg { return when(1, 0xffffffff, requests, a) }

// Requests by the type of their argument.
var (
	ioctlWithout = []uint64{unix.TIOCEXCL, unix.TIOCNXCL, unix.TIOCNOTTY, unix.TIOCSBRK, unix.TIOCCBRK, unix.TIOCCONS, 0x5450, 0x5451}
	ioctlGetInt  = []uint64{unix.TIOCGPGRP, unix.TIOCOUTQ, 0x541b, unix.TIOCGETD, unix.TIOCGSID, unix.TIOCGPTN, 0x80045439, unix.TIOCGSOFTCAR}
	ioctlSetInt  = []uint64{unix.TIOCSPGRP, 0x5421, 0x5452, unix.TIOCSETD, unix.TIOCPKT, unix.TIOCSPTLCK, unix.TIOCSSOFTCAR}
	ioctlNumber  = []uint64{unix.TIOCSCTTY, unix.TCSBRK, unix.TCSBRKP}
	ioctlKnown   = slices.Concat([]uint64{0x5401, 0x5402, 0x5403, 0x5404, 0x5413, 0x5414, unix.TCFLSH, unix.TCXONC}, ioctlWithout, ioctlGetInt, ioctlSetInt, ioctlNumber)
)

// ioctlRows have ioctl(2).
var ioctlRows = []Row{
	call(unix.SYS_IOCTL, "ioctl", "desc", fd(0), at(1, ioctlCall),
		ioctlOn(structIn(2, termiosSize, termios), 0x5402, 0x5403, 0x5404),
		ioctlOn(structIn(2, winsizeSize, winsize), 0x5414),
		ioctlOn(structIn(2, 4, indirect(4, dec)), ioctlSetInt...),
		ioctlOn(at(2, dec), ioctlNumber...),
		ioctlOn(at(2, longOneOf(flushQueues)), unix.TCFLSH),
		ioctlOn(at(2, longOneOf(flowActions)), unix.TCXONC),
		unless(1, 0xffffffff, ioctlKnown, at(2, hex)),
		ioctlOn(structOut(2, termiosSize, termios), 0x5401),
		ioctlOn(structOut(2, winsizeSize, winsize), 0x5413),
		ioctlOn(structOut(2, 4, indirect(4, dec)), ioctlGetInt...)).late(),
}
