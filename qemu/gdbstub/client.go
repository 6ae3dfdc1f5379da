// Package gdbstub is a client of GDB's remote serial protocol (GDB manual,
// appendix E), for the part that QEMU's stub implements. It stops the machine at
// an address, executes single instructions, reads and writes registers and
// memory, and passes commands to QEMU's monitor. Tests use it to make an event
// happen at a certain instruction of the kernel.
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
// method waits for the answer without a time limit; closing the connection ends
// the wait.
type Client struct {
	in  *bufio.Reader
	out io.Writer
}

// New returns a client that owns the connection. The machine must be stopped, for
// example because it was started with -gdb and -S. New enables interrupts and
// timers during steps, which QEMU disables by default. It fails if the other side
// is not QEMU's stub or the connection ends.
func New(connection io.ReadWriter) (*Client, error) {
	c := &Client{in: bufio.NewReader(connection), out: connection}
	// The stub supports access to single registers only after the client has
	// read the target description.
	if _, err := c.command("qXfer:features:read:target.xml:0,ffb"); err != nil {
		return nil, err
	}
	return c, c.SetStepMode(StepWithInterrupts)
}

// StepMode is a bit mask that decides what may happen during Step (QEMU,
// docs/system/gdb, "qqemu.sstep").
type StepMode int

// The step modes. New sets StepWithInterrupts.
const (
	StepWithInterrupts    StepMode = 1         // interrupts are delivered and timers run
	StepWithoutInterrupts StepMode = 1 | 2 | 4 // neither
)

// SetStepMode sets the mode of the steps that follow. It fails if the stub
// refuses the mode or the connection ends.
func (c *Client) SetStepMode(mode StepMode) error {
	return c.must(fmt.Sprintf("Qqemu.sstep=%x", int(mode)))
}

// command sends a packet and returns the answer.
func (c *Client) command(payload string) (string, error) {
	if _, err := c.out.Write(frame(payload)); err != nil {
		return "", fmt.Errorf("cannot send %q to the gdb stub: %w", payload, err)
	}
	return c.receive(payload)
}

// receive returns the payload of the next packet and acknowledges it. The
// parameter names the command for error messages.
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

// must sends a packet and requires the answer OK.
func (c *Client) must(payload string) error {
	answer, err := c.command(payload)
	if err == nil && answer != "OK" {
		err = refused(payload, answer)
	}
	return err
}

// refused returns the error for a command that failed. The stub's answer is empty
// if it does not know the command, and E with a number if the command failed.
func refused(payload, answer string) error {
	return fmt.Errorf("the gdb stub refused %q: it answered %q", payload, answer)
}

// Insert sets a breakpoint for all CPUs: the machine stops before the instruction
// at the address.
func (c *Client) Insert(address uint64) error { return c.must(fmt.Sprintf("Z0,%x,1", address)) }

// Remove removes the breakpoint at an address.
func (c *Client) Remove(address uint64) error { return c.must(fmt.Sprintf("z0,%x,1", address)) }

// Continue runs all CPUs until the machine stops, and returns the reason. It
// fails with an error that wraps io.EOF if the machine ends.
func (c *Client) Continue() (Stop, error) { return c.resume("vCont;c") }

// Step executes one instruction on one CPU, counted from 0, while the others stay
// stopped. If the CPU takes an interrupt instead, it stops before the first
// instruction of the handler.
func (c *Client) Step(cpu int) (Stop, error) { return c.resume(fmt.Sprintf("vCont;s:%x", cpu+1)) }

func (c *Client) resume(payload string) (Stop, error) {
	answer, err := c.command(payload)
	if err != nil {
		return Stop{}, err
	}
	return parseStop(answer)
}

// Start runs all CPUs and returns at once. Until Stopped has returned, no method
// except Stopped and Interrupt may be called.
func (c *Client) Start() error {
	_, err := c.out.Write(frame("vCont;c"))
	return err
}

// Stopped waits until the machine that Start runs stops, and returns the reason.
func (c *Client) Stopped() (Stop, error) {
	answer, err := c.receive("vCont;c")
	if err != nil {
		return Stop{}, err
	}
	return parseStop(answer)
}

// Interrupt stops a running machine, so that a blocked Stopped or Continue
// returns. It is the only method that another goroutine may call during those.
func (c *Client) Interrupt() error {
	_, err := c.out.Write([]byte{3})
	return err
}

// Select chooses the CPU, counted from 0, for access to registers and memory until
// the machine runs again.
func (c *Client) Select(cpu int) error { return c.must(fmt.Sprintf("Hg%x", cpu+1)) }

// Detach removes all breakpoints and lets the machine run. The client must not be
// used afterwards.
func (c *Client) Detach() error { return c.must("D;1") }

// ReadMemory returns n bytes at a virtual address of the selected CPU. It fails if
// they are not mapped.
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

// WriteMemory writes bytes at a virtual address of the selected CPU. It fails if
// they are not mapped.
func (c *Client) WriteMemory(address uint64, b []byte) error {
	return c.must(fmt.Sprintf("M%x,%x:%x", address, len(b), b))
}

// Monitor executes a command of QEMU's human monitor and returns its output.
func (c *Client) Monitor(line string) (string, error) {
	payload := "qRcmd," + hex.EncodeToString([]byte(line))
	answer, err := c.command(payload)
	var output strings.Builder
	for ; err == nil && strings.HasPrefix(answer, "O") && answer != "OK"; answer, err = c.receive(payload) {
		text, err := decodeHex(answer[1:])
		if err != nil {
			return "", err
		}
		output.Write(text)
	}
	if err == nil && answer != "OK" {
		err = refused(payload, answer)
	}
	return output.String(), err
}

// Stop is the reason why the machine stopped.
type Stop struct {
	Signal int // SIGTRAP after a step and at a breakpoint, SIGINT after Interrupt
	CPU    int // the CPU that stopped, counted from 0; it is now selected
}

// parseStop decodes a stop reply: T, two digits of the signal, then pairs of a
// name and a value.
func parseStop(answer string) (Stop, error) {
	if strings.HasPrefix(answer, "W") || strings.HasPrefix(answer, "X") {
		return Stop{}, fmt.Errorf("the machine ended: %w", io.EOF)
	}
	if len(answer) < 3 || answer[0] != 'T' {
		return Stop{}, fmt.Errorf("%w: %q is not a stop reply", ErrFormat, answer)
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
			return Stop{}, fmt.Errorf("%w: %q has no valid CPU", ErrFormat, answer)
		}
		stop.CPU = int(thread) - 1
	}
	return stop, nil
}

// decodeHex decodes pairs of hexadecimal digits.
func decodeHex(text string) ([]byte, error) {
	b, err := hex.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %q is not hexadecimal", ErrFormat, text)
	}
	return b, nil
}
