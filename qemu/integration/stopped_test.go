package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"slowpath/qemu/gdbstub"
)

// stopped is a machine that a test controls through QEMU's gdb stub.
type stopped struct {
	*gdbstub.Client
	output *watched // the program's standard output
	ctx    context.Context
}

// errEnded is returned by a work function after which the machine has ended.
var errEnded = errors.New("the machine has ended")

// stopping runs a command on Slowpath, as onSlowpath does. When the program has
// printed that it is ready, it stops the machine and calls work. When work returns,
// the machine continues and the program's standard input ends.
func stopping(t testing.TB, cpus int, work func(*stopped) error, command ...string) result {
	t.Helper()
	directory, err := os.MkdirTemp("", "slowpath-gdb-") // a short path: the limit for a socket is 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(directory)
	socket := filepath.Join(directory, "gdb")
	ctx, cancel := context.WithTimeout(t.Context(), stoppedLimit())
	defer cancel()
	args := append([]string{"run", "--smp", fmt.Sprint(cpus), "--gdb", "unix:" + socket + ",server=on,wait=off"}, command...)
	cmd := exec.CommandContext(ctx, slowpath, args...)
	s, errs := &stopped{output: newWatched(), ctx: ctx}, newWatched()
	cmd.Stdout, cmd.Stderr = s.output, errs
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.drive(socket, work); err != nil && !errors.Is(err, errEnded) {
		cancel()
		cmd.Wait()
		t.Fatalf("%v; the program printed %q; %s", err, s.output, shorten(errs.String()))
	}
	stdin.Close()
	cmd.Wait()
	return result{exitCode(cmd.ProcessState), s.output.String(), errs.String()}
}

// stoppedLimit is the time limit of a machine that is stopped many times.
func stoppedLimit() time.Duration {
	if long() {
		return time.Hour
	}
	return 3 * time.Minute
}

// drive connects to the stub, runs the machine until the program is ready, stops it
// and calls work.
func (s *stopped) drive(socket string, work func(*stopped) error) error {
	connection, err := dial(s.ctx, socket)
	if err != nil {
		return err
	}
	defer connection.Close()
	defer context.AfterFunc(s.ctx, func() { connection.Close() })()
	if s.Client, err = gdbstub.New(connection); err != nil {
		return err
	}
	if err := s.Start(); err != nil {
		return err
	}
	if err := s.output.await(s.ctx, "ready\n"); err != nil {
		return err
	}
	if err := s.Interrupt(); err != nil {
		return err
	}
	if _, err := s.Stopped(); err != nil {
		return err
	}
	if err := work(s); err != nil {
		return err
	}
	return s.Detach()
}

// dial connects to the stub's socket, which QEMU creates when it starts.
func dial(ctx context.Context, socket string) (net.Conn, error) {
	for {
		connection, err := net.Dial("unix", socket)
		if err == nil {
			return connection, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("cannot connect to QEMU's gdb stub: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// sigTRAP is the signal in the stub's stop reply at a breakpoint and after a step.
const sigTRAP = 5

// next runs the machine until a CPU reaches a breakpoint, and returns the CPU and
// the address.
func (s *stopped) next() (cpu int, address uint64, err error) {
	stop, err := s.Continue()
	if err != nil {
		return 0, 0, err
	}
	if stop.Signal != sigTRAP {
		return 0, 0, fmt.Errorf("the machine stopped with signal %d", stop.Signal)
	}
	address, err = s.Read(gdbstub.RIP)
	return stop.CPU, address, err
}

// step makes a CPU execute the instruction at an address or take a pending event,
// and returns the address of the next instruction. QEMU may spend a step on polling
// the local APIC, which executes nothing; then step tries again.
func (s *stopped) step(cpu int, address uint64) (uint64, error) {
	const tries = 3
	for range tries {
		stop, err := s.Step(cpu)
		if err != nil {
			return 0, err
		}
		if stop.Signal != sigTRAP || stop.CPU != cpu {
			return 0, fmt.Errorf("a step of CPU %d ended with %+v", cpu, stop)
		}
		to, err := s.Read(gdbstub.RIP)
		if err != nil || to != address {
			return to, err
		}
	}
	return address, nil
}

// reach runs the machine until a CPU is at the address, and returns the CPU.
func (s *stopped) reach(address uint64) (cpu int, err error) {
	if err := s.Insert(address); err != nil {
		return 0, err
	}
	cpu, at, err := s.next()
	if err == nil && at != address {
		err = fmt.Errorf("the machine stopped at %#x on the way to %#x", at, address)
	}
	if err != nil {
		return 0, err
	}
	return cpu, s.Remove(address)
}

// nmi makes an NMI pending on every CPU. A CPU takes it before its next instruction,
// unless it is serving one.
func (s *stopped) nmi() error { return s.inject("nmi") }

// inject executes a command of QEMU's human monitor that prints nothing if it
// succeeds.
func (s *stopped) inject(line string) error {
	output, err := s.Monitor(line)
	if err == nil && output != "" {
		err = fmt.Errorf("QEMU's monitor answered %q with %q", line, output)
	}
	return err
}

// end runs the machine until it ends, and returns errEnded.
func (s *stopped) end() error {
	if _, err := s.Continue(); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the machine has not ended: %w", err)
	}
	return errEnded
}
