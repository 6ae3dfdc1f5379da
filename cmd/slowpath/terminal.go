package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"slowpath/hostlink"
)

// makeRaw puts a terminal into raw mode, as cfmakeraw(3) does, so that every
// key reaches the guest's own terminal. The function that it returns puts it
// back. A file that is no terminal is left as it is: input for a guest's
// terminal may come from a pipe.
func makeRaw(file *os.File) (restore func(), err error) {
	fd := int(file.Fd())
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return func() {}, nil
	}
	raw := *before
	raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	raw.Oflag &^= unix.OPOST
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	raw.Cflag = raw.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &raw); err != nil {
		return nil, err
	}
	return func() { unix.IoctlSetTermios(fd, unix.TCSETS, before) }, nil
}

// defaultSize is the size of a guest's terminal that is none on the host.
var defaultSize = hostlink.TerminalSize{Rows: 24, Columns: 80}

// terminalSize returns the size of a terminal.
func terminalSize(file *os.File) hostlink.TerminalSize {
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Row == 0 || size.Col == 0 {
		return defaultSize
	}
	return hostlink.TerminalSize{Rows: size.Row, Columns: size.Col}
}

// watchSize delivers the terminal's size whenever it changes, until ctx ends.
func watchSize(ctx context.Context, file *os.File) <-chan hostlink.TerminalSize {
	changes := make(chan os.Signal, 1)
	signal.Notify(changes, syscall.SIGWINCH)
	sizes := make(chan hostlink.TerminalSize)
	go func() {
		defer close(sizes)
		defer signal.Stop(changes)
		for {
			select {
			case <-changes:
			case <-ctx.Done():
				return
			}
			select {
			case sizes <- terminalSize(file):
			case <-ctx.Done():
				return
			}
		}
	}()
	return sizes
}
