package main

import (
	"fmt"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/fs/hostfile"
	"slowpath/fs/tty"
	"slowpath/hostlink"
	"slowpath/runspec"
)

// typedCapacity is the number of Stdin frames that may wait for the terminal. The
// host's credit limits their bytes.
const typedCapacity = 64

// console is the terminal that is connected to the host command's terminal.
type console struct {
	*tty.Terminal
	link   *link
	outlet *hostfile.Outlet
	typed  chan []byte
}

// newConsole returns /dev/console over the link.
func (k *kernel) newConsole(spec *runspec.Spec) *console {
	c := &console{link: k.link, typed: make(chan []byte, typedCapacity)}
	c.Terminal = tty.New(tty.NumberConsole(), c, k.tasks)
	c.outlet = k.spool.NewOutlet(k.link.writer.Stdout, c.OutputHasRoom)
	c.SetWindow(tty.Window{Rows: spec.Rows, Columns: spec.Columns})
	go c.serve()
	return c
}

// Room implements tty.Output. Without a host the output is discarded, so there is
// always room.
func (c *console) Room() int {
	room, err := c.outlet.Room()
	if err != nil {
		return hostfile.Capacity
	}
	return room
}

// Send implements tty.Output. It does not wait for the host: the terminal's lock is
// held, and VINTR must work while the host does not read.
func (c *console) Send(p []byte) { c.outlet.Put(p) }

// serve passes typed text to the terminal and grants the host the same amount of
// credit.
func (c *console) serve() {
	for p := range c.typed {
		c.Type(p)
		c.link.owe(len(p))
	}
}

// receive handles a frame from the host. The end of the host's standard input hangs
// the terminal up.
func (c *console) receive(f hostlink.Frame) {
	switch f.Kind {
	case hostlink.Stdin:
		c.typed <- append([]byte(nil), f.Payload...)
	case hostlink.StdinEOF:
		c.HangUp()
	case hostlink.WindowSize:
		if size, err := f.TerminalSize(); err == nil {
			c.SetWindow(tty.Window{Rows: size.Rows, Columns: size.Columns})
		}
	}
}

// terminalFiles returns a descriptor table in which 0, 1 and 2 are the terminal.
func (k *kernel) terminalFiles(spec *runspec.Spec) (*fs.FDTable, error) {
	c := k.newConsole(spec)
	k.mounts.RegisterDevice(tty.NumberConsole(), func(_ fs.Inode, r fs.OpenRequest) (fs.FileOperations, error) { return c.Open(r) })
	k.link.console.Store(c)
	f, err := k.at("/dev/console").Open(unix.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/console cannot be opened: %w", err)
	}
	table := fs.NewFDTable()
	for range 3 {
		f.IncRef()
		if _, err := table.Install(f, 0, fs.MaxDescriptors, fs.KeepOnExec); err != nil {
			return nil, err
		}
	}
	f.DecRef()
	return table, nil
}
