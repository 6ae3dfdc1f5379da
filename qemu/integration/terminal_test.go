package integration

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// session is a command on a pseudoterminal of the host, with its output.
type session struct {
	t        *testing.T
	cmd      *exec.Cmd
	terminal *os.File // the master side
	done     chan struct{}

	mu     sync.Mutex
	output bytes.Buffer
	seen   int // the part of output that expect has matched
}

// openTerminal returns both sides of a new pseudoterminal (pty(7)).
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// onTerminal starts slowpath run -it on a terminal of 30 rows and 90 columns.
func onTerminal(t *testing.T, command ...string) *session {
	t.Helper()
	master, slave := openTerminal(t)
	resize(t, master, 30, 90)
	args := append([]string{"run", "-it", "--timeout", "60", "--env", "PS1=$ "}, command...)
	s := &session{t: t, cmd: exec.Command(slowpath, args...), terminal: master, done: make(chan struct{})}
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = slave, slave, slave
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.cmd.Wait(); close(s.done) }()
	go s.read()
	t.Cleanup(func() { s.cmd.Process.Kill(); <-s.done })
	return s
}

// read collects the output on the terminal.
func (s *session) read() {
	buffer := make([]byte, 4096)
	for {
		n, err := s.terminal.Read(buffer)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.output.Write(buffer[:n])
		s.mu.Unlock()
	}
}

// expect waits until text appears after the text of the previous expect.
func (s *session) expect(text string) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		s.mu.Lock()
		if i := strings.Index(s.output.String()[s.seen:], text); i >= 0 {
			s.seen += i + len(text)
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.t.Fatalf("%q does not appear; after the text that was expected before, the terminal shows:\n%q", text, s.output.String()[s.seen:])
}

// enter types text.
func (s *session) enter(text string) {
	s.t.Helper()
	if _, err := s.terminal.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
}

// pause gives the program time to read what was typed.
func (s *session) pause() { time.Sleep(500 * time.Millisecond) }

// code waits for the command's end and returns the exit code.
func (s *session) code() int {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(30 * time.Second):
		s.t.Fatal("the command does not end")
	}
	return exitCode(s.cmd.ProcessState)
}

func resize(t *testing.T, terminal *os.File, rows, columns uint16) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
		t.Fatal(err)
	}
}

func TestInteractiveShellHasJobControl(t *testing.T) {
	s := onTerminal(t, "/bin/busybox", "sh")
	before, err := unix.IoctlGetTermios(int(s.terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	s.expect("$ ")
	s.enter("echo $((6*7))\n")
	s.expect("\n42\r\n")
	s.enter("stty size; tty\n")
	s.expect("30 90\r\n/dev/")
	s.enter("sleep 100\n")
	s.pause()
	s.enter("\x03")
	s.expect("$ ")
	s.enter("echo $?\n")
	s.expect("\n130\r\n")
	s.enter("cat\n")
	s.pause() // so that the shell's line editor does not read the next line
	s.enter("typed\n")
	s.expect("typed\r\ntyped\r\n")
	s.enter("\x04")
	s.expect("$ ")
	s.enter("sleep 100\n")
	s.pause()
	s.enter("\x1a")
	s.expect("Stopped")
	s.enter("jobs; kill -KILL %1; wait; echo over\n")
	s.expect("\nover\r\n")
	resize(t, s.terminal, 40, 120)
	s.cmd.Process.Signal(syscall.SIGWINCH)
	s.pause()
	s.enter("stty size\n")
	s.expect("40 120\r\n")
	s.enter("exit 9\n")
	if code := s.code(); code != 9 {
		t.Errorf("the exit code is %d, want 9", code)
	}
	after, err := unix.IoctlGetTermios(int(s.terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	if after.Lflag&unix.ICANON == 0 || after.Oflag != before.Oflag|unix.OPOST {
		t.Errorf("the terminal's mode is not restored: %+v", after)
	}
}

func TestEditorWorksOnTerminal(t *testing.T) {
	s := onTerminal(t, "/bin/busybox", "sh", "-c", "vi /tmp/f; cat /tmp/f; exit 6")
	s.expect("/tmp/f")
	s.enter("ifirst line\rsecond\x1b")
	s.pause() // so that the escape is not read as the start of a cursor key
	s.enter("k0dwA!\x1b")
	s.pause()
	s.enter(":wq\r")
	s.expect("line!\r\nsecond\r\n")
	if code := s.code(); code != 6 {
		t.Errorf("the exit code is %d, want 6", code)
	}
}

func TestTerminalIsRestoredAfterTimeout(t *testing.T) {
	master, slave := openTerminal(t)
	cmd := exec.Command(slowpath, "run", "-t", "--timeout", "2", "/bin/busybox", "sleep", "100")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.Run()
	after, err := unix.IoctlGetTermios(int(master.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	if after.Lflag&unix.ICANON == 0 || after.Lflag&unix.ECHO == 0 {
		t.Errorf("the terminal is left in raw mode: %+v", after)
	}
	if code := exitCode(cmd.ProcessState); code != 124 {
		t.Errorf("the exit code is %d, want 124", code)
	}
}
