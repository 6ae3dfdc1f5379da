package gdbstub

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// fakeStub starts a stub that expects the commands of the script in order and
// sends the answers, and returns a client connected to it. An answer may be
// several packets, separated by bars; "gone" ends the connection.
func fakeStub(t *testing.T, script ...[2]string) *Client {
	t.Helper()
	ours, theirs := net.Pipe()
	script = append([][2]string{{"qXfer:features:read:target.xml:0,ffb", "l<target/>"}, {"Qqemu.sstep=1", "OK"}}, script...)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer theirs.Close()
		in := bufio.NewReader(theirs)
		for _, line := range script {
			got, err := readPacket(in)
			if err != nil || got != line[0] {
				t.Errorf("the stub got %q, %v; want %q", got, err, line[0])
				return
			}
			if line[1] == "gone" {
				return
			}
			for answer := range strings.SplitSeq(line[1], "|") {
				theirs.Write(append([]byte{'+'}, frame(answer)...))
				if b, err := in.ReadByte(); err != nil || b != '+' {
					t.Errorf("the answer %q was acknowledged by %q, %v", answer, b, err)
				}
			}
		}
	}()
	t.Cleanup(func() { ours.Close(); <-done })
	c, err := New(ours)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClientSendsCommandsAndDecodesAnswers(t *testing.T) {
	c := fakeStub(t,
		[2]string{"Z0,ffffffff80108000,1", "OK"},
		[2]string{"z0,ffffffff80108000,1", "OK"},
		[2]string{"vCont;c", "T05thread:02;"},
		[2]string{"vCont;s:2", "T05thread:02;"},
		[2]string{"p10", "2000108000000000"},
		[2]string{"P31=0f0e0d0c0b0a09080706050403020100", "OK"},
		[2]string{"m1000,3", "010203"},
		[2]string{"M1000,2:abcd", "OK"},
		[2]string{"qRcmd,6e6d69", "O6120|O62|OK"},
		[2]string{"Hg2", "OK"},
		[2]string{"D;1", "OK"},
	)
	const stub = 0xffffffff80108000
	if err := errors.Join(c.Insert(stub), c.Remove(stub)); err != nil {
		t.Error(err)
	}
	want := Stop{Signal: 5, CPU: 1}
	if stop, err := c.Continue(); err != nil || stop != want {
		t.Errorf("Continue gives %+v, %v", stop, err)
	}
	if stop, err := c.Step(1); err != nil || stop != want {
		t.Errorf("Step gives %+v, %v", stop, err)
	}
	if rip, err := c.Read(RIP); err != nil || rip != 0x80100020 {
		t.Errorf("RIP is %#x, %v", rip, err)
	}
	if err := c.WriteRegister(XMM0, []byte{15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}); err != nil {
		t.Error(err)
	}
	if b, err := c.ReadMemory(0x1000, 3); err != nil || !bytes.Equal(b, []byte{1, 2, 3}) {
		t.Errorf("memory has % x, %v", b, err)
	}
	if err := c.WriteMemory(0x1000, []byte{0xab, 0xcd}); err != nil {
		t.Error(err)
	}
	if output, err := c.Monitor("nmi"); err != nil || output != "a b" {
		t.Errorf("the monitor printed %q, %v", output, err)
	}
	if err := errors.Join(c.Select(1), c.Detach()); err != nil {
		t.Error(err)
	}
}

func TestStoppedReturnsReasonAfterStart(t *testing.T) {
	c := fakeStub(t, [2]string{"vCont;c", "T02thread:01;"})
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if stop, err := c.Stopped(); err != nil || stop != (Stop{Signal: 2}) {
		t.Errorf("got %+v, %v", stop, err)
	}
}

// TestRefusedCommandIsError checks that each method turns an answer that reports
// a failure into an error.
func TestRefusedCommandIsError(t *testing.T) {
	for name, try := range map[string]struct {
		command, answer string
		call            func(*Client) error
	}{
		"breakpoint": {"Z0,0,1", "E22", func(c *Client) error { return c.Insert(0) }},
		"memory":     {"m0,4", "E14", func(c *Client) error { _, err := c.ReadMemory(0, 4); return err }},
		"too little": {"m0,4", "0102", func(c *Client) error { _, err := c.ReadMemory(0, 4); return err }},
		"register":   {"p10", "", func(c *Client) error { _, err := c.Read(RIP); return err }},
		"monitor":    {"qRcmd,78", "E01", func(c *Client) error { _, err := c.Monitor("x"); return err }},
		"stop":       {"vCont;c", "E01", func(c *Client) error { _, err := c.Continue(); return err }},
	} {
		if err := try.call(fakeStub(t, [2]string{try.command, try.answer})); err == nil {
			t.Errorf("%s: the answer %q gives no error", name, try.answer)
		}
	}
	if err := fakeStub(t).WriteRegister(EFlags, make([]byte, 8)); err == nil {
		t.Error("WriteRegister accepts eight bytes for a register of four")
	}
}

// TestEndOfMachineIsEOF checks that the caller can distinguish the machine's end
// from a protocol error.
func TestEndOfMachineIsEOF(t *testing.T) {
	for _, answer := range []string{"W00", "X09"} {
		if _, err := fakeStub(t, [2]string{"vCont;c", answer}).Continue(); !errors.Is(err, io.EOF) {
			t.Errorf("%s gives %v", answer, err)
		}
	}
	if _, err := fakeStub(t, [2]string{"vCont;c", "gone"}).Continue(); !errors.Is(err, io.EOF) {
		t.Errorf("the end of the connection gives %v", err)
	}
}

func TestRegisterSizesMatchQEMU(t *testing.T) {
	for register, want := range map[Register]int{
		RAX: 8, RIP: 8, EFlags: 4, GS: 4, FSBase: 8, 32: 8, ST0: 10, ST0 + 7: 10, 41: 4, 48: 4, XMM0: 16, XMM0 + 15: 16, MXCSR: 4,
	} {
		if got := register.size(); got != want {
			t.Errorf("register %d has %d bytes, want %d", register, got, want)
		}
	}
}

// FuzzParseStop checks that no answer makes parseStop panic and that it accepts
// only stop replies.
func FuzzParseStop(f *testing.F) {
	for _, seed := range []string{"T05thread:01;", "T05thread:00;", "T02", "W00", "S05", "T0", "T05thread:p01.02;", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		stop, err := parseStop(answer)
		if err == nil && (stop.CPU < 0 || stop.CPU >= 1<<16 || !strings.HasPrefix(answer, "T")) {
			t.Fatalf("%q gives %+v", answer, stop)
		}
	})
}
