package main

import (
	"io"
	"os"
	"sync/atomic"

	"slowpath/fs/hostfile"
	"slowpath/hostlink"
	"slowpath/task"
)

// streams are the program's standard files where they are no terminal.
type streams struct {
	stdin  *hostfile.Input
	stdout *hostfile.Output
	stderr *hostfile.Output
}

// streams returns those of the host, or without a link those of the console,
// whose input has ended.
func (k *kernel) streams() streams {
	if k.link != nil {
		return k.link.streams
	}
	print := func(p []byte) error { _, err := os.Stdout.Write(p); return err }
	s := streams{hostfile.NewInput(func(int) {}), hostfile.NewOutput(print), hostfile.NewOutput(print)}
	s.stdin.End()
	return s
}

// link is the connection to the host command: the program's standard streams
// and how it ended. A machine that nobody's host command started has none.
type link struct {
	streams
	writer  *hostlink.Writer
	owed    atomic.Int64            // credit that the host has not been told of
	console atomic.Pointer[console] // nil if the streams are no terminal
}

// stdinCredit is how many bytes the host may send ahead of what is read.
const stdinCredit = 64 << 10

// creditStep is how much credit is worth a frame: programs read in small
// pieces, and each frame is an exit from the machine.
const creditStep = stdinCredit / 4

// newLink returns the link over the machine's host channel, or nil.
func newLink(k *kernel) *link {
	channel := k.hostChannel()
	if channel == nil {
		return nil
	}
	l := &link{writer: hostlink.NewWriter(channel)}
	l.stdin = hostfile.NewInput(l.owe)
	l.stdout = hostfile.NewOutput(l.writer.Stdout)
	l.stderr = hostfile.NewOutput(l.writer.Stderr)
	go l.receive(k, channel)
	l.writer.Hello()
	return l
}

// begin lets the host send input: there is somebody to take it now.
func (l *link) begin() { l.writer.StdinCredit(stdinCredit) }

// owe lets the host send n bytes more, at once or with what will be owed later.
func (l *link) owe(n int) {
	if l.owed.Add(int64(n)) < creditStep {
		return
	}
	if all := l.owed.Swap(0); all > 0 {
		l.writer.StdinCredit(uint32(all))
	}
}

// receive acts on the host's frames for ever.
func (l *link) receive(k *kernel, from io.Reader) {
	reader := hostlink.NewReader(from)
	for {
		f, err := reader.Next()
		if err != nil {
			k.log.Errorf("The link to the host broke: %v", err)
			return
		}
		if c := l.console.Load(); c != nil {
			c.receive(f)
			continue
		}
		switch f.Kind {
		case hostlink.Stdin:
			l.stdin.Feed(f.Payload)
		case hostlink.StdinEOF:
			l.stdin.End()
		}
	}
}

// report tells the host how the program ended.
func (l *link) report(s task.Status) {
	if s.Signal() != 0 {
		l.writer.Exit(hostlink.Status{Outcome: hostlink.Signaled, Value: uint32(s.Signal())})
		return
	}
	l.writer.Exit(hostlink.Status{Outcome: hostlink.Exited, Value: uint32(s.Code())})
}
