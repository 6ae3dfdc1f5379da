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

// Streams are the host's ends of the program's standard streams.
type Streams struct {
	Stdin  io.Reader // nil means empty
	Stdout io.Writer
	Stderr io.Writer
	Log    io.Writer // the kernel's log; nil drops it
	Visits io.Writer // the payload of each Visits frame in one Write; nil drops it

	// Resized delivers sizes of the host's terminal; nil if there is none.
	Resized <-chan hostlink.TerminalSize

	// Started, if not nil, is called once QEMU runs. It may keep the machine's
	// monitor, which the session leaves alone, until Run returns; it must not
	// wait.
	Started func(*VM)
}

// Times of a session.
const (
	// powerOffLimit is how long QEMU may take to end after the program has.
	powerOffLimit = 2 * time.Second
	// drainLimit is how long the log is read on after QEMU has ended.
	drainLimit = time.Second
)

// logKept is how much of the log is kept to explain a failure.
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

// Run starts QEMU, carries the streams until the program has ended, and
// returns how it ended. There is no success without the kernel's own word: any
// other end of QEMU, and the end of ctx, is an error. QEMU is gone when Run
// returns; a Read of Stdin may still be waiting.
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

// copyLog drains the kernel's log, which would hold the kernel up if nobody
// read it. Writing it is of less importance than the program: errors are
// ignored, and a Log that blocks blocks the guest's log only.
func (s *session) copyLog() {
	defer close(s.logDone)
	var sink io.Writer = s.log
	if s.streams.Log != nil {
		sink = io.MultiWriter(s.log, ignoreErrors{s.streams.Log})
	}
	io.Copy(sink, s.vm.Log())
}

// ignoreErrors is a writer that goes on when the one below fails.
type ignoreErrors struct{ io.Writer }

func (w ignoreErrors) Write(p []byte) (int, error) {
	w.Writer.Write(p)
	return len(p), nil
}

// receive takes the guest's frames until the program has ended.
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
		return hostlink.Status{}, fmt.Errorf("the kernel speaks version %d of the host link and this command version %d; build both again by make build", version, hostlink.Version)
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

// handle takes one frame. A closed standard output is not an error of the
// session: what the program writes then goes nowhere, and the program learns
// nothing of it, as with a terminal that was closed.
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

// sendStdin carries the standard input. It reads only what the guest has room
// for, so a program that reads nothing takes next to nothing from a pipe that
// others read too.
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

// sendSizes carries changes of the terminal's size.
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

// awaitPowerOff lets the kernel finish its log and switch off.
func (s *session) awaitPowerOff() {
	select {
	case <-s.vm.Exited():
	case <-time.After(powerOffLimit):
		s.vm.Close()
	}
	s.awaitLog()
}

// awaitLog waits for the rest of the log.
func (s *session) awaitLog() {
	select {
	case <-s.logDone:
	case <-time.After(drainLimit):
	}
}

// explain adds what QEMU and the kernel said to an error of the link. The log
// is left out when the user has it elsewhere.
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

// credit counts the bytes of standard input that the guest has room for.
type credit struct {
	mu     sync.Mutex
	change sync.Cond
	room   int64
	closed bool
}

// maxCredit bounds the count against a guest that grants without end.
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

// wait waits for room and returns it, at most limit; 0 means that the session
// has ended.
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
