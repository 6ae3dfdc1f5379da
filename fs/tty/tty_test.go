package tty_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/clock"
	"slowpath/fs"
	"slowpath/fs/fstest"
	"slowpath/fs/tty"
	"slowpath/wait"
)

// jobs records the calls to JobControl.
type jobs struct {
	mu      sync.Mutex
	signals []unix.Signal
	hungUp  int
}

func (j *jobs) SignalTerminal(_ fs.Terminal, s unix.Signal) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.signals = append(j.signals, s)
}
func (j *jobs) HangUpTerminal(fs.Terminal) { j.hungUp++ }

// screen records the output of a terminal.
type screen struct {
	shown []byte
	full  bool
}

func (s *screen) Room() int {
	if s.full {
		return 0
	}
	return 4096
}
func (s *screen) Send(p []byte) { s.shown = append(s.shown, p...) }

type rig struct {
	t        *testing.T
	world    *fstest.World
	terminal *tty.Terminal
	screen   screen
	jobs     jobs
	file     *fs.File
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, world: fstest.New(t, 128)}
	r.terminal = tty.New(tty.NumberConsole(), &r.screen, &r.jobs)
	tty.Register(r.world.Mounts, tty.NewPTS(&r.jobs), r.terminal)
	if _, err := r.world.At("/console").MakeNode(unix.S_IFCHR|0o600, tty.NumberConsole()); err != nil {
		t.Fatal(err)
	}
	r.file = r.world.Open("/console", unix.O_RDWR, 0)
	return r
}

// read returns the bytes of a read, or the text of its error.
func (r *rig) read(size int) string {
	sink := fs.NewBytesSink(make([]byte, size))
	if _, err := r.file.Read(sink); err != nil {
		return err.Error()
	}
	return string(sink.Bytes())
}

func (r *rig) ioctl(request uint32, p []byte) error {
	copy(r.world.Caller.Memory, p)
	_, err := r.file.Ioctl(r.world.Caller, request, 0)
	return err
}

// set changes the settings: it clears and sets bits of c_lflag, and sets control
// characters.
func (r *rig) set(clearLocal, setLocal uint32, characters map[int]byte) {
	r.t.Helper()
	if err := r.ioctl(unix.TCGETS, nil); err != nil {
		r.t.Fatal(err)
	}
	p := r.world.Caller.Memory[:36]
	local := binary.LittleEndian.Uint32(p[12:])
	binary.LittleEndian.PutUint32(p[12:], local&^clearLocal|setLocal)
	for i, c := range characters {
		p[17+i] = c
	}
	if err := r.ioctl(unix.TCSETS, p); err != nil {
		r.t.Fatal(err)
	}
}

const again = "resource temporarily unavailable"

func TestCanonicalReadReturnsOneLine(t *testing.T) {
	r := newRig(t)
	r.terminal.Input([]byte("hel"))
	if got := r.read(10); got != again {
		t.Errorf("read of an unfinished line: %q", got)
	}
	r.terminal.Input([]byte("lo\rworld\n"))
	if got := r.read(3) + "|" + r.read(10) + "|" + r.read(100); got != "hel|lo\n|world\n" {
		t.Errorf("reads: %q", got)
	}
	if got := string(r.screen.shown); got != "hello\r\nworld\r\n" {
		t.Errorf("echo: %q", got)
	}
}

func TestVEOFEndsRead(t *testing.T) {
	r := newRig(t)
	r.terminal.Input([]byte("ab\x04\x04"))
	if got := r.read(10); got != "ab" {
		t.Errorf("read after text and Ctrl-D: %q", got)
	}
	if got := r.read(10); got != "" {
		t.Errorf("read after Ctrl-D alone: %q", got)
	}
	if got := r.read(10); got != again {
		t.Errorf("read without more input: %q", got)
	}
}

func TestEraseKillAndWordEraseEditTheLine(t *testing.T) {
	for _, c := range []struct{ typed, line, shown string }{
		{"abc\x7f\x7fx\n", "ax\n", "abc\b \b\b \bx\r\n"},
		{"one two\x17three\n", "one three\n", "one two\b \b\b \b\b \bthree\r\n"},
		{"gone\x15kept\n", "kept\n", "gone\b \b\b \b\b \b\b \bkept\r\n"},
		{"\x16\x03ok\n", "\x03ok\n", "^\b^Cok\r\n"},
		{"\x01\x7fz\n", "z\n", "^A\b \b\b \bz\r\n"},
		{"\x7f\x7fq\n", "q\n", "q\r\n"},
		{"a\t\x7fb\n", "ab\n", "a\t\b\b\b\b\b\b\bb\r\n"},
	} {
		r := newRig(t)
		r.terminal.Input([]byte(c.typed))
		if got := r.read(100); got != c.line {
			t.Errorf("typed %q: read %q, want %q", c.typed, got, c.line)
		}
		if got := string(r.screen.shown); got != c.shown {
			t.Errorf("typed %q: shown %q, want %q", c.typed, got, c.shown)
		}
	}
}

func TestSignalCharactersSignalTheForegroundGroup(t *testing.T) {
	r := newRig(t)
	r.terminal.Input([]byte("lost\x03\x1a\x1c"))
	if want := []unix.Signal{unix.SIGINT, unix.SIGTSTP, unix.SIGQUIT}; len(r.jobs.signals) != 3 || r.jobs.signals[0] != want[0] || r.jobs.signals[1] != want[1] || r.jobs.signals[2] != want[2] {
		t.Errorf("signals %v", r.jobs.signals)
	}
	r.terminal.Input([]byte("\n"))
	if got := r.read(10); got != "\n" {
		t.Errorf("read %q, want \"\\n\": Ctrl-C must discard the line before it", got)
	}
	if got := string(r.screen.shown); got != "lost^C^Z^\\\r\n" {
		t.Errorf("echo %q", got)
	}
	r.set(unix.ISIG, 0, nil)
	r.terminal.Input([]byte("\x03\n"))
	if got := r.read(10); got != "\x03\n" || len(r.jobs.signals) != 3 {
		t.Errorf("without ISIG: %q, %v", got, r.jobs.signals)
	}
}

func TestRawReadWaitsForVMINAndVTIME(t *testing.T) {
	r := newRig(t)
	raw := uint32(unix.ICANON | unix.ECHO)
	r.set(raw, 0, map[int]byte{unix.VMIN: 3, unix.VTIME: 0})
	r.terminal.Input([]byte("ab"))
	if got := r.read(10); got != again {
		t.Errorf("VMIN 3 with 2 characters: %q", got)
	}
	r.terminal.Input([]byte("c"))
	if got := r.read(10); got != "abc" {
		t.Errorf("VMIN 3 with 3 characters: %q", got)
	}
	r.set(raw, 0, map[int]byte{unix.VMIN: 0, unix.VTIME: 0})
	if got := r.read(10); got != "" {
		t.Errorf("VMIN 0 VTIME 0: %q", got)
	}
	r.set(raw, 0, map[int]byte{unix.VMIN: 0, unix.VTIME: 1})
	if got := r.read(10); got != again {
		t.Errorf("VMIN 0 VTIME 1: %q", got)
	}
	r.awaitTimer()
	if got := r.read(10); got != "" {
		t.Errorf("VMIN 0 VTIME 1 after the timeout: %q", got)
	}
	r.set(raw, 0, map[int]byte{unix.VMIN: 5, unix.VTIME: 1})
	r.terminal.Input([]byte("xy"))
	if got := r.read(10); got != again {
		t.Errorf("VMIN 5 VTIME 1 with 2 characters: %q", got)
	}
	r.awaitTimer()
	if got := r.read(10); got != "xy" {
		t.Errorf("VMIN 5 VTIME 1 after the timeout: %q", got)
	}
}

// awaitTimer waits until the terminal wakes its readers.
func (r *rig) awaitTimer() {
	r.t.Helper()
	var s wait.Sleeper
	w := s.Waiter(wait.Readable)
	r.file.Queue().Add(w)
	defer r.file.Queue().Remove(w)
	if s.Sleep(clock.Monotonic() + 5*int64(time.Second)) {
		r.t.Fatal("VTIME did not wake the reader")
	}
}

func TestModeSwitchKeepsInput(t *testing.T) {
	r := newRig(t)
	r.terminal.Input([]byte("typed"))
	r.set(unix.ICANON, 0, map[int]byte{unix.VMIN: 1})
	if got := r.read(10); got != "typed" {
		t.Errorf("raw after canonical: %q", got)
	}
	r.terminal.Input([]byte("more"))
	r.set(0, unix.ICANON, nil)
	if got := r.read(10); got != "more" {
		t.Errorf("canonical after raw: %q", got)
	}
}

func TestOutputProcessingAndXONXOFF(t *testing.T) {
	r := newRig(t)
	r.file.Write(fs.NewBytesSource([]byte("a\nb")))
	if got := string(r.screen.shown); got != "a\r\nb" {
		t.Errorf("ONLCR: %q", got)
	}
	r.terminal.Input([]byte{'S' & 0x1f})
	if _, err := r.file.Write(fs.NewBytesSource([]byte("x"))); err != unix.EAGAIN {
		t.Errorf("write after Ctrl-S: %v", err)
	}
	if r.file.Readiness()&wait.Out != 0 {
		t.Error("poll reports a stopped terminal as writable")
	}
	r.terminal.Input([]byte{'Q' & 0x1f})
	if _, err := r.file.Write(fs.NewBytesSource([]byte("x"))); err != nil {
		t.Errorf("write after Ctrl-Q: %v", err)
	}
}

func TestWindowChangeAndHangupSendSignals(t *testing.T) {
	r := newRig(t)
	if err := r.ioctl(unix.TIOCSWINSZ, []byte{24, 0, 80, 0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if w := r.terminal.Window(); w.Rows != 24 || w.Columns != 80 || len(r.jobs.signals) != 1 {
		t.Errorf("%+v, %v", w, r.jobs.signals)
	}
	if err := r.ioctl(0x1234, nil); err != unix.ENOTTY {
		t.Errorf("unknown request: %v", err)
	}
	r.terminal.HangUp()
	if got := r.read(10); got != "" {
		t.Errorf("read after a hang-up: %q", got)
	}
	if _, err := r.file.Write(fs.NewBytesSource([]byte("x"))); err != unix.EIO || r.jobs.hungUp != 1 {
		t.Errorf("write after a hang-up: %v", err)
	}
}

func TestMasterAndSlaveExchangeData(t *testing.T) {
	r := newRig(t)
	w := r.world
	w.At("/ptmx").MakeNode(unix.S_IFCHR|0o666, fs.DeviceNumber(5, 2))
	w.At("/pts").MakeDirectory(0o755)
	w.At("/pts").MountAt(tty.NewPTS(&r.jobs), "devpts", 0) // another instance
	if _, err := w.At("/pts/0").Lookup(); err != unix.ENOENT {
		t.Errorf("/pts/0 before a master was opened: %v, want ENOENT", err)
	}
	pts := tty.NewPTS(&r.jobs)
	tty.Register(w.Mounts, pts, nil)
	w.At("/pts").MountAt(pts, "devpts", 0)
	master, err := w.At("/ptmx").Open(unix.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.At("/pts/0").Open(unix.O_RDWR, 0); err != unix.EIO {
		t.Errorf("open of a locked slave: %v, want EIO", err)
	}
	clear(w.Caller.Memory[:8])
	if _, err := master.Ioctl(w.Caller, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	slave := w.Open("/pts/0", unix.O_RDWR, 0)
	master.Write(fs.NewBytesSource([]byte("ls\n")))
	sink := fs.NewBytesSink(make([]byte, 100))
	slave.Read(sink)
	if got := string(sink.Bytes()); got != "ls\n" {
		t.Errorf("slave read %q", got)
	}
	slave.Write(fs.NewBytesSource([]byte("out\n")))
	sink = fs.NewBytesSink(make([]byte, 100))
	master.Read(sink)
	if got := string(sink.Bytes()); got != "ls\r\nout\r\n" {
		t.Errorf("master read %q", got)
	}
	total := 0
	for {
		n, err := slave.Write(fs.NewBytesSource([]byte(strings.Repeat("x", 5000))))
		total += n
		if err == unix.EAGAIN {
			break
		}
	}
	if total < 8000 || total > 16<<10 || slave.Readiness()&wait.Out != 0 {
		t.Errorf("the slave wrote %d bytes to an unread master, want 8000 to 16384 and then not writable", total)
	}
	master.DecRef()
	if r.jobs.hungUp != 1 {
		t.Error("closing the master did not hang up the terminal")
	}
	if _, err := w.At("/pts/0").Lookup(); err != unix.ENOENT {
		t.Errorf("/pts/0 after the master was closed: %v, want ENOENT", err)
	}
}

// FuzzLineDiscipline passes arbitrary input to a terminal with arbitrary
// settings, and reads. It must not panic, and must not read more bytes than were
// typed.
func FuzzLineDiscipline(f *testing.F) {
	f.Add([]byte("abc\x7f\x17\x15\x16\x04\n"), uint32(0x8a3b), uint32(0x500))
	f.Add([]byte("\xff\xfe\t\t\x7f\x7f\r"), uint32(0), uint32(0x4000))
	f.Fuzz(func(t *testing.T, typed []byte, local, in uint32) {
		r := newRig(t)
		r.ioctl(unix.TCGETS, nil)
		p := r.world.Caller.Memory[:36]
		binary.LittleEndian.PutUint32(p, in)
		binary.LittleEndian.PutUint32(p[12:], local)
		r.ioctl(unix.TCSETS, p)
		got := 0
		for i := 0; i < len(typed); i += 100 {
			r.terminal.Input(typed[i:min(i+100, len(typed))])
			for range 20 {
				sink := fs.NewBytesSink(make([]byte, 64))
				n, err := r.file.Read(sink)
				got += n
				if err != nil || n == 0 {
					break
				}
			}
		}
		if got > len(typed) {
			t.Errorf("typed %d bytes, read %d", len(typed), got)
		}
	})
}

// TestSignalCharactersWorkWhileTheOutputIsFull stops the reader of the terminal's
// output: a write then waits outside the terminal's lock, and VINTR sends SIGINT.
func TestSignalCharactersWorkWhileTheOutputIsFull(t *testing.T) {
	r := newRig(t)
	r.screen.full = true
	if _, err := r.file.Write(fs.NewBytesSource([]byte("text"))); err != unix.EAGAIN {
		t.Errorf("write: %v, want EAGAIN", err)
	}
	if r.file.Readiness()&wait.Out != 0 {
		t.Error("the terminal is writable")
	}
	r.terminal.Input([]byte{3})
	if len(r.jobs.signals) != 1 || r.jobs.signals[0] != unix.SIGINT {
		t.Errorf("VINTR sent the signals %v, want SIGINT", r.jobs.signals)
	}
	var s wait.Sleeper
	waiter := s.Waiter(wait.Out)
	r.file.Queue().Add(waiter)
	defer r.file.Queue().Remove(waiter)
	r.screen.full = false
	r.terminal.OutputHasRoom()
	s.Sleep(0) // returns only if the writers are woken
	if n, err := r.file.Write(fs.NewBytesSource([]byte("text"))); n != 4 || err != nil {
		t.Errorf("write: %d, %v", n, err)
	}
}

// TestVEOFTakesRoom: VEOF ends a line without a character, and the end needs memory.
func TestVEOFTakesRoom(t *testing.T) {
	r := newRig(t)
	eof := bytes.Repeat([]byte{4}, 10_000)
	r.terminal.Input(eof)
	ends := 0
	for ; ends < len(eof); ends++ {
		if _, err := r.file.Read(fs.NewBytesSink(make([]byte, 8))); err != nil {
			break
		}
	}
	if ends == 0 || ends > 4096 {
		t.Errorf("the terminal kept %d ends of file, want at most the 4096 of its buffer", ends)
	}
}
