package main

import (
	"io"
	"os"
	"sync/atomic"

	"slowpath/fs/hostfile"
	"slowpath/hostlink"
	"slowpath/task"
)

// streams are the program's standard files if it has no terminal.
type streams struct {
	stdin  *hostfile.Input
	stdout *hostfile.Output
	stderr *hostfile.Output
}

// streams returns the streams of the link. Without a link, output goes to the console
// and the input is empty.
func (k *kernel) streams() streams {
	if k.link != nil {
		return k.link.streams
	}
	print := func(p []byte) error { _, err := os.Stdout.Write(p); return err }
	s := streams{hostfile.NewInput(func(int) {}), hostfile.NewOutput(k.spool, print), hostfile.NewOutput(k.spool, print)}
	s.stdin.End()
	return s
}

// link is the connection to the host command. It carries the program's standard
// streams and its exit status. There is no link if the machine was not started by
// the host command.
type link struct {
	streams
	spool    *hostfile.Spool // sends what tasks cause, so that no task waits for the host
	writer   *hostlink.Writer
	owed     atomic.Int64            // credit that was not granted to the host yet
	granting atomic.Bool             // the spool will grant the credit that is owed
	console  atomic.Pointer[console] // nil if the program has no terminal
}

// stdinCredit is the number of bytes of standard input that the host may send before
// the program reads them.
const stdinCredit = 64 << 10

// creditStep is the minimum credit in a frame. Programs read in small pieces, and each
// frame costs a VM exit.
const creditStep = stdinCredit / 4

// newLink returns the link over the machine's host channel, or nil if there is no
// channel.
func newLink(k *kernel) *link {
	channel := k.hostChannel()
	if channel == nil {
		return nil
	}
	l := &link{spool: k.spool, writer: hostlink.NewWriter(channel)}
	l.stdin = hostfile.NewInput(l.owe)
	l.stdout = hostfile.NewOutput(l.spool, l.writer.Stdout)
	l.stderr = hostfile.NewOutput(l.spool, l.writer.Stderr)
	go l.receive(k, channel)
	l.writer.Hello()
	return l
}

// begin grants the first credit: the program's standard files exist now.
func (l *link) begin() { l.writer.StdinCredit(stdinCredit) }

// owe allows the host to send n more bytes, immediately or together with later credit.
// It does not wait for the host.
func (l *link) owe(n int) {
	if l.owed.Add(int64(n)) >= creditStep && l.granting.CompareAndSwap(false, true) {
		l.spool.Do(l.grant)
	}
}

// grant grants the credit that is owed. It waits while the host does not read.
func (l *link) grant() {
	l.granting.Store(false)
	if all := l.owed.Swap(0); all > 0 {
		l.writer.StdinCredit(uint32(all))
	}
}

// receive handles the host's frames until the link breaks.
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

// report sends the rest of the program's output and its exit status to the host.
func (l *link) report(s task.Status) {
	l.spool.Flush()
	if s.Signal() != 0 {
		l.writer.Exit(hostlink.Status{Outcome: hostlink.Signaled, Value: uint32(s.Signal())})
		return
	}
	l.writer.Exit(hostlink.Status{Outcome: hostlink.Exited, Value: uint32(s.Code())})
}
