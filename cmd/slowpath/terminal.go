package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"slowpath/hostlink"
)

// makeRaw puts a terminal into raw mode, so that every key reaches the guest's
// terminal, which has the line discipline. The returned function restores the
// previous mode. A file that is not a terminal is left alone: input for a
// guest's terminal may come from a pipe.
func makeRaw(file *os.File) (restore func(), err error) {
	fd := int(file.Fd())
	if !term.IsTerminal(fd) {
		return func() {}, nil
	}
	before, err := term.MakeRaw(fd)
	if err != nil {
		return nil, err
	}
	return func() { term.Restore(fd, before) }, nil
}

// defaultSize is the size of the guest's terminal when the host has none.
var defaultSize = hostlink.TerminalSize{Rows: 24, Columns: 80}

// terminalSize returns the size of a terminal, or defaultSize for a file that
// is not a terminal or has no size.
func terminalSize(file *os.File) hostlink.TerminalSize {
	columns, rows, err := term.GetSize(int(file.Fd()))
	if err != nil || rows == 0 || columns == 0 {
		return defaultSize
	}
	return hostlink.TerminalSize{Rows: uint16(rows), Columns: uint16(columns)}
}

// watchSize sends the terminal's size after each change, until ctx is done.
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
