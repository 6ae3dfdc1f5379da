package qemu

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"slowpath/hostlink"
)

// Streams are the host's ends of the program's standard streams and of what else
// the kernel sends.
type Streams struct {
	Stdin  io.Reader // nil means empty
	Stdout io.Writer
	Stderr io.Writer
	Log    io.Writer // the kernel's log; nil drops it
	Visits io.Writer // the payload of each Visits frame in one Write; nil drops it
	// Probes takes the batches of records of probes (hostlink.Probes); nil drops them. An
	// error ends the session.
	Probes func(batch []byte) error
	// Calls takes the batches of records of system calls (hostlink.Calls); nil drops
	// them. An error ends the session.
	Calls func(batch []byte) error
	// Core takes parts of the core file (hostlink.Core); nil drops them.
	Core func(offset int64, data []byte)

	// Resized delivers the new size of the host's terminal after each change;
	// nil if there is no terminal.
	Resized <-chan hostlink.TerminalSize

	// Started, if not nil, is called when QEMU has started. It must not block.
	// It may use the VM's monitor until Run returns; the session does not use
	// it.
	Started func(*VM)
}

// Time limits of a session.
const (
	powerOffLimit = 2 * time.Second // from the program's end to QEMU's end
	drainLimit    = time.Second     // for the rest of the log after QEMU's end
)

// logKept is the number of bytes at the end of the log that are kept for the
// error message of a failure.
const logKept = 16 << 10

// session is the state of one [Run].
type session struct {
	vm      *VM
	streams Streams
	frames  *hostlink.Writer
	credit  *credit
	log     *tail
	logDone chan struct{}
}

// Run starts QEMU, carries the streams until the program ends, and returns the
// status that the kernel sends. It fails if QEMU ends before that, and with
// ctx's cause if ctx is done. QEMU has ended when Run returns, but a Read of
// Stdin may still be in progress.
func Run(ctx context.Context, config *Config, streams Streams) (hostlink.Status, error) {
	vm, err := Start(config)
	if err != nil {
		return hostlink.Status{}, err
	}
	defer vm.Close()
	s := &session{
		vm:      vm,
		streams: streams,
		frames:  hostlink.NewWriter(vm.Link()),
		credit:  newCredit(),
		log:     newTail(logKept),
		logDone: make(chan struct{}),
	}
	stop := context.AfterFunc(ctx, vm.Close)
	defer stop()
	if streams.Started != nil {
		streams.Started(vm)
	}
	go s.copyLog()
	status, err := s.receive()
	s.credit.close()
	if ctx.Err() != nil {
		return hostlink.Status{}, context.Cause(ctx)
	}
	if err != nil {
		return hostlink.Status{}, s.explain(err)
	}
	s.awaitPowerOff()
	return status, nil
}

// copyLog reads the kernel's log, because a full channel would block the kernel.
// It ignores errors of the writer Log, so that they do not disturb the program. A
// Log that blocks only blocks the guest's log.
func (s *session) copyLog() {
	defer close(s.logDone)
	var sink io.Writer = s.log
	if s.streams.Log != nil {
		sink = io.MultiWriter(s.log, ignoreErrors{s.streams.Log})
	}
	io.Copy(sink, s.vm.Log())
}

// ignoreErrors is a writer that hides the errors of the writer that it wraps.
type ignoreErrors struct{ io.Writer }

func (w ignoreErrors) Write(p []byte) (int, error) {
	w.Writer.Write(p)
	return len(p), nil
}

// receive handles the guest's frames until the one that reports the program's
// end, and returns the status in it.
func (s *session) receive() (hostlink.Status, error) {
	frames := hostlink.NewReader(bufio.NewReaderSize(s.vm.Link(), hostlink.MaxPayload))
	first, err := frames.Next()
	if err != nil {
		return hostlink.Status{}, fmt.Errorf("the kernel did not start: %w", err)
	}
	version, err := first.Version()
	if err != nil {
		return hostlink.Status{}, err
	}
	if version != hostlink.Version {
		return hostlink.Status{}, fmt.Errorf("the kernel speaks version %d of the host link and this command version %d; build both again with make build", version, hostlink.Version)
	}
	go s.sendStdin()
	go s.sendSizes()
	for {
		frame, err := frames.Next()
		if err != nil {
			return hostlink.Status{}, fmt.Errorf("the kernel ended before the program did: %w", err)
		}
		if frame.Kind == hostlink.Exit {
			return frame.Status()
		}
		if err := s.handle(frame); err != nil {
			return hostlink.Status{}, err
		}
	}
}

// handle processes one frame. Errors of the writers Stdout and Stderr are
// ignored: the output is lost, and the program does not notice.
func (s *session) handle(frame hostlink.Frame) error {
	switch frame.Kind {
	case hostlink.Stdout:
		s.streams.Stdout.Write(frame.Payload)
	case hostlink.Stderr:
		s.streams.Stderr.Write(frame.Payload)
	case hostlink.Log:
		s.log.Write(append(frame.Payload, '\n'))
	case hostlink.Visits:
		if s.streams.Visits != nil {
			s.streams.Visits.Write(frame.Payload)
		}
	case hostlink.Probes:
		if s.streams.Probes != nil {
			return s.streams.Probes(frame.Payload)
		}
	case hostlink.Calls:
		if s.streams.Calls != nil {
			return s.streams.Calls(frame.Payload)
		}
	case hostlink.Core:
		offset, data, err := frame.CorePart()
		if err == nil && s.streams.Core != nil {
			s.streams.Core(offset, data)
		}
		return err
	case hostlink.StdinCredit:
		n, err := frame.Credit()
		if err != nil {
			return err
		}
		s.credit.grant(n)
	default:
		return fmt.Errorf("%w: the kernel sent a %v frame", hostlink.ErrFormat, frame.Kind)
	}
	return nil
}

// sendStdin sends standard input to the guest. It reads at most as many bytes as
// the guest has granted. So a program that does not read its standard input takes
// little from a pipe that other processes read too.
func (s *session) sendStdin() {
	buffer := make([]byte, hostlink.MaxPayload)
	for s.streams.Stdin != nil {
		room := s.credit.wait(len(buffer))
		if room == 0 {
			return
		}
		n, err := s.streams.Stdin.Read(buffer[:room])
		s.credit.spend(n)
		if s.frames.Stdin(buffer[:n]) != nil {
			return
		}
		if err != nil {
			break
		}
	}
	s.frames.StdinEOF()
}

// sendSizes sends the changes of the terminal's size to the guest.
func (s *session) sendSizes() {
	for {
		select {
		case size, ok := <-s.streams.Resized:
			if !ok || s.frames.WindowSize(size) != nil {
				return
			}
		case <-s.vm.Exited():
			return
		}
	}
}

// awaitPowerOff waits until the kernel has finished its log and powered off, or
// kills QEMU after powerOffLimit.
func (s *session) awaitPowerOff() {
	select {
	case <-s.vm.Exited():
	case <-time.After(powerOffLimit):
		s.vm.Close()
	}
	s.awaitLog()
}

// awaitLog waits for the rest of the log, at most drainLimit.
func (s *session) awaitLog() {
	select {
	case <-s.logDone:
	case <-time.After(drainLimit):
	}
}

// explain adds QEMU's messages and the end of the kernel's log to an error of the
// link. It leaves out the log if the user gets it through Streams.Log.
func (s *session) explain(err error) error {
	select {
	case <-s.vm.Exited():
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("the kernel ended before the program did (%w)", s.vm.Failure())
		}
	case <-time.After(powerOffLimit):
	}
	s.vm.Close()
	s.awaitLog()
	if s.streams.Log != nil {
		return err
	}
	if log := strings.TrimSpace(s.log.String()); log != "" {
		return fmt.Errorf("%w\nthe kernel's log ends with:\n%s", err, lastLines(log, 30))
	}
	return fmt.Errorf("%w; the kernel's log is empty", err)
}

// lastLines returns the last n lines of text.
func lastLines(text string, n int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// credit counts the bytes of standard input that the guest has granted.
type credit struct {
	mu     sync.Mutex
	change sync.Cond
	room   int64
	closed bool
}

// maxCredit limits the count, so that a guest cannot make it overflow.
const maxCredit = 1 << 40

func newCredit() *credit {
	c := new(credit)
	c.change.L = &c.mu
	return c
}

func (c *credit) grant(n uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.room = min(c.room+int64(n), maxCredit)
	c.change.Signal()
}

// wait blocks until the guest has granted bytes and returns their number, at most
// limit. It returns 0 after close.
func (c *credit) wait(limit int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.room == 0 && !c.closed {
		c.change.Wait()
	}
	if c.closed {
		return 0
	}
	return int(min(c.room, int64(limit)))
}

func (c *credit) spend(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.room -= int64(n)
}

func (c *credit) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.change.Broadcast()
}
