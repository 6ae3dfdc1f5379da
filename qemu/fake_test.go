package qemu

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slowpath/hostlink"
)

// scenarioVariable names a scenario. If it is set and this test binary is started
// under QEMU's name, the binary acts as a QEMU that runs the kernel.
const scenarioVariable = "SLOWPATH_FAKE_QEMU"

// guest is the kernel's side of the fake QEMU.
type guest struct {
	log io.Writer
	in  *hostlink.Reader
	out *hostlink.Writer
}

// exited reports the exit code of the program.
func (g guest) exited(code uint32) {
	g.out.Exit(hostlink.Status{Outcome: hostlink.Exited, Value: code})
}

// scenarios are the behaviours of the fake QEMU.
var scenarios = map[string]func(g guest){
	"hello": func(g guest) {
		g.out.Hello()
		g.out.Stdout([]byte("out\x00put"))
		g.out.Stderr([]byte("complaint"))
		fmt.Fprintln(g.log, "a line of the log")
		g.exited(7)
	},
	"killed": func(g guest) {
		g.out.Hello()
		g.out.Exit(hostlink.Status{Outcome: hostlink.Signaled, Value: 11})
	},
	"cat": cat,
	"size": func(g guest) {
		g.out.Hello()
		for {
			frame, err := g.in.Next()
			if err != nil {
				return
			}
			if size, err := frame.TerminalSize(); err == nil {
				fmt.Fprintf(stdout{g.out}, "%d %d", size.Rows, size.Columns)
				g.exited(0)
				return
			}
		}
	},
	"panic": func(g guest) {
		g.out.Hello()
		fmt.Fprintln(g.log, "panic: out of ideas")
	},
	"silent death":    func(g guest) { fmt.Fprintln(os.Stderr, "qemu: no such machine") },
	"other version":   func(g guest) { g.out.Hello(); g.exited(0) }, // actAsQEMU changes the version
	"garbage":         func(g guest) { io.WriteString(g.log, ""); g.out.WindowSize(hostlink.TerminalSize{}) },
	"host's frame":    func(g guest) { g.out.Hello(); g.out.StdinEOF(); time.Sleep(time.Hour) },
	"hang":            func(g guest) { g.out.Hello(); g.out.Stdout([]byte("hanging")); time.Sleep(time.Hour) },
	"lingering":       func(g guest) { g.out.Hello(); g.exited(3); time.Sleep(time.Hour) },
	"exit code, late": func(g guest) { g.out.Hello(); fmt.Fprintln(g.log, strings.Repeat("x", 1<<20)); g.exited(5) },
}

// stdout is an io.Writer of the program's standard output.
type stdout struct{ w *hostlink.Writer }

func (s stdout) Write(p []byte) (int, error) { return len(p), s.w.Stdout(p) }

// cat copies standard input to standard output. It grants little credit at a time
// and exits with 99 if the host sends more than it was granted.
func cat(g guest) {
	const step = 1000
	g.out.Hello()
	g.out.StdinCredit(step)
	credit := step
	for {
		frame, err := g.in.Next()
		if err != nil {
			return
		}
		if frame.Kind == hostlink.StdinEOF {
			g.exited(0)
			return
		}
		if credit -= len(frame.Payload); credit < 0 {
			g.exited(99)
			return
		}
		g.out.Stdout(frame.Payload)
		if credit == 0 {
			credit = step
			g.out.StdinCredit(step)
		}
	}
}

func TestMain(m *testing.M) {
	if name := os.Getenv(scenarioVariable); name != "" && filepath.Base(os.Args[0]) == Binary {
		actAsQEMU(name)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// actAsQEMU runs a scenario on the descriptors that Start passes.
func actAsQEMU(name string) {
	log := os.NewFile(uintptr(firstChannelFD+int(logChannel)), "log")
	link := os.NewFile(uintptr(firstChannelFD+int(linkChannel)), "link")
	var out io.Writer = link
	if name == "other version" {
		out = versionChanger{link}
	}
	scenarios[name](guest{log: log, in: hostlink.NewReader(bufio.NewReader(link)), out: hostlink.NewWriter(out)})
}

// versionChanger changes the version in a Hello frame to 0x7f03.
type versionChanger struct{ io.Writer }

func (w versionChanger) Write(p []byte) (int, error) {
	if hostlink.Kind(p[0]) == hostlink.Hello {
		p[5] = 0x7f
	}
	return w.Writer.Write(p)
}

// useFake makes Start start this test binary instead of QEMU.
func useFake(t *testing.T, scenario string) {
	t.Helper()
	if _, ok := scenarios[scenario]; !ok {
		t.Fatalf("there is no scenario %q", scenario)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, Binary)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv(scenarioVariable, scenario)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector sleeps a second at exit by default
}

// limited returns a context that expires long before go test's own timeout.
func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
