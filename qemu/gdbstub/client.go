// Package gdbstub is a client of the remote serial protocol of GDB (GDB
// manual, appendix E), as far as the stub inside QEMU speaks it: it stops the
// machine at an address, moves it by one instruction, reads and changes
// registers and memory, and passes commands to QEMU's monitor. With it a test
// makes an event happen at one certain instruction of the kernel.
package gdbstub

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Client is a connection to a stub. One goroutine may use it at a time. Every
// method waits without limit for the answer: close the connection to end it.
type Client struct {
	in  *bufio.Reader
	out io.Writer
}

// New takes the connection over. The machine must be stopped, as one is that
// was started with -gdb and -S. Steps will let interrupts and timers through,
// which QEMU by itself holds back. It fails if the other side is no stub of
// QEMU or the connection ends.
func New(connection io.ReadWriter) (*Client, error) {
	c := &Client{in: bufio.NewReader(connection), out: connection}
	// Single registers can be read and written once the description of all
	// has been asked for.
	if _, err := c.command("qXfer:features:read:target.xml:0,ffb"); err != nil {
		return nil, err
	}
	return c, c.InterruptsInSteps(true)
}

// InterruptsInSteps says whether a step may take an interrupt, and whether the
// machine's timers run during it; New lets them (QEMU, docs/system/gdb).
func (c *Client) InterruptsInSteps(on bool) error {
	const enable, noInterrupts, noTimers = 1, 2, 4
	mode := enable | noInterrupts | noTimers
	if on {
		mode = enable
	}
	return c.must(fmt.Sprintf("Qqemu.sstep=%x", mode))
}

// command sends a packet and returns the answer.
func (c *Client) command(payload string) (string, error) {
	if _, err := c.out.Write(frame(payload)); err != nil {
		return "", fmt.Errorf("cannot send %q to the gdb stub: %w", payload, err)
	}
	return c.receive(payload)
}

// receive returns the next packet, acknowledged.
func (c *Client) receive(payload string) (string, error) {
	answer, err := readPacket(c.in)
	if err != nil {
		return "", fmt.Errorf("the gdb stub gave no answer to %q: %w", payload, err)
	}
	if _, err := c.out.Write([]byte{acknowledge}); err != nil {
		return "", fmt.Errorf("cannot acknowledge the answer to %q: %w", payload, err)
	}
	return answer, nil
}

// must sends a packet that is answered by OK.
func (c *Client) must(payload string) error {
	answer, err := c.command(payload)
	if err == nil && answer != "OK" {
		err = refused(payload, answer)
	}
	return err
}

// refused is the error of a command that the stub cannot do: it answers with
// nothing if it does not know the command, and with a number if that failed.
func refused(payload, answer string) error {
	return fmt.Errorf("the gdb stub refused %q: it answered %q", payload, answer)
}

// Insert makes the machine stop before the instruction at an address, on
// every CPU.
func (c *Client) Insert(address uint64) error { return c.must(fmt.Sprintf("Z0,%x,1", address)) }

// Remove takes the stop at an address away.
func (c *Client) Remove(address uint64) error { return c.must(fmt.Sprintf("z0,%x,1", address)) }

// Continue lets all CPUs run until one stops, and returns why. It fails when
// the machine ends, with an error that wraps io.EOF if it ended the connection.
func (c *Client) Continue() (Stop, error) { return c.resume("vCont;c") }

// Step lets one CPU, counted from 0, execute one instruction, while the others
// stand still. If an interrupt is taken the CPU stops before the first
// instruction of its handler instead.
func (c *Client) Step(cpu int) (Stop, error) { return c.resume(fmt.Sprintf("vCont;s:%x", cpu+1)) }

func (c *Client) resume(payload string) (Stop, error) {
	answer, err := c.command(payload)
	if err != nil {
		return Stop{}, err
	}
	return parseStop(answer)
}

// Start lets all CPUs run and does not wait for a stop. Nothing else may be
// called until Stopped has returned.
func (c *Client) Start() error {
	_, err := c.out.Write(frame("vCont;c"))
	return err
}

// Stopped waits for the stop that ends what Start began.
func (c *Client) Stopped() (Stop, error) {
	answer, err := c.receive("vCont;c")
	if err != nil {
		return Stop{}, err
	}
	return parseStop(answer)
}

// Interrupt asks a running machine to stop: the Stopped or Continue that waits
// then returns. It is the one method that another goroutine may call meanwhile.
func (c *Client) Interrupt() error {
	_, err := c.out.Write([]byte{3})
	return err
}

// Select makes a CPU, counted from 0, the one whose registers and memory are
// read and changed, until the machine runs again.
func (c *Client) Select(cpu int) error { return c.must(fmt.Sprintf("Hg%x", cpu+1)) }

// Detach takes all stops away and lets the machine run on. The connection is of
// no more use.
func (c *Client) Detach() error { return c.must("D;1") }

// ReadMemory returns n bytes at an address, as the stopped CPU sees them. It
// fails if they are not mapped.
func (c *Client) ReadMemory(address uint64, n int) ([]byte, error) {
	payload := fmt.Sprintf("m%x,%x", address, n)
	answer, err := c.command(payload)
	if err != nil {
		return nil, err
	}
	b, err := decodeHex(answer)
	if err != nil || len(b) != n {
		return nil, refused(payload, answer)
	}
	return b, nil
}

// WriteMemory changes the bytes at an address. It fails if they are not mapped.
func (c *Client) WriteMemory(address uint64, b []byte) error {
	return c.must(fmt.Sprintf("M%x,%x:%x", address, len(b), b))
}

// Monitor executes a line of QEMU's human monitor and returns what that said.
func (c *Client) Monitor(line string) (string, error) {
	payload := "qRcmd," + hex.EncodeToString([]byte(line))
	answer, err := c.command(payload)
	var said strings.Builder
	for ; err == nil && strings.HasPrefix(answer, "O") && answer != "OK"; answer, err = c.receive(payload) {
		text, err := decodeHex(answer[1:])
		if err != nil {
			return "", err
		}
		said.Write(text)
	}
	if err == nil && answer != "OK" {
		err = refused(payload, answer)
	}
	return said.String(), err
}

// Stop says why the machine stopped.
type Stop struct {
	Signal int // SIGTRAP after a step and at a breakpoint, SIGINT after Interrupt
	CPU    int // which CPU, from 0; the one whose registers are read
}

// parseStop reads the answer that says that the machine stopped: T, two digits
// of the signal, then pairs of a name and a value.
func parseStop(answer string) (Stop, error) {
	if strings.HasPrefix(answer, "W") || strings.HasPrefix(answer, "X") {
		return Stop{}, fmt.Errorf("the machine ended: %w", io.EOF)
	}
	if len(answer) < 3 || answer[0] != 'T' {
		return Stop{}, fmt.Errorf("%w: %q does not say why the machine stopped", ErrFormat, answer)
	}
	signal, err := decodeHex(answer[1:3])
	if err != nil {
		return Stop{}, err
	}
	stop := Stop{Signal: int(signal[0])}
	for pair := range strings.SplitSeq(answer[3:], ";") {
		name, value, _ := strings.Cut(pair, ":")
		if name != "thread" {
			continue
		}
		thread, err := strconv.ParseUint(value, 16, 16)
		if err != nil || thread == 0 {
			return Stop{}, fmt.Errorf("%w: %q names no CPU", ErrFormat, answer)
		}
		stop.CPU = int(thread) - 1
	}
	return stop, nil
}

// decodeHex decodes pairs of digits.
func decodeHex(text string) ([]byte, error) {
	b, err := hex.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %q are no hexadecimal digits", ErrFormat, text)
	}
	return b, nil
}
