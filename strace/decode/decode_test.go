package decode

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/tracespec"
)

// program is the memory of a program for captures.
type program map[uint64]string

func (m program) LoadSome(address uint64, p []byte) int {
	for at, content := range m {
		if address >= at && address < at+uint64(len(content)) {
			return copy(p, content[address-at:])
		}
	}
	return 0
}

func (m program) Load(address uint64, p []byte) error {
	if m.LoadSome(address, p) < len(p) {
		return tracespec.ErrFormat
	}
	return nil
}

func (m program) StackPointer() uint64     { return 0x9000 }
func (m program) FileName(fd int32) string { return map[int32]string{3: "/etc/a<b", 4: "pipe:[7]"}[fd] }

// printed returns a complete call, as the kernel would capture it.
func printed(t *testing.T, o Options, number int, arguments [6]uint64, result int64, m program) string {
	t.Helper()
	table := New(o)
	s := table.Call(number)
	c := &Call{Arguments: arguments}
	var capturer tracespec.Capturer
	p := table.Printer()
	if !s.Attach(c, capturer.Capture(s.Plan.Entry, &arguments, 0, m)) {
		t.Fatal("the captures of the entry are damaged")
	}
	s.Enter(p, c)
	c.Result, c.Done = result, true
	if !s.Attach(c, capturer.Capture(s.Plan.Exit, &arguments, result, m)) {
		t.Fatal("the captures of the exit are damaged")
	}
	s.Leave(p, c)
	p.text(") = ")
	s.Result(p, c)
	return p.Take()
}

// words returns little-endian words of 64 bits.
func words(list ...uint64) string {
	var b []byte
	for _, v := range list {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return string(b)
}

// TestCallsArePrintedAsStracePrintsThem compares with lines of strace 6.1.
func TestCallsArePrintedAsStracePrintsThem(t *testing.T) {
	m := program{
		0x1000: "/a \"file\"\n\x00", 0x2000: strings.Repeat("x", 40) + "\x00", 0x3000: "\x01\x002\xff", 0x4000: words(0x1000, 4, 0x2000, 40),
		0x5000: words(0x2000, 0x1000, 0), 0x6000: words(1, 500), 0x7000: words(0x402000, 0x14000000, 0x403000, 1<<1|1<<31),
	}
	type args = [6]uint64
	for _, c := range []struct {
		number int
		args   args
		result int64
		want   string
	}{
		{unix.SYS_OPENAT, args{^uint64(99), 0x1000, unix.O_RDWR | unix.O_CREAT | unix.O_CLOEXEC, 0o644}, 3, `openat(AT_FDCWD, "/a \"file\"\n", O_RDWR|O_CREAT|O_CLOEXEC, 0644) = 3`},
		{unix.SYS_OPEN, args{0x1, 0x10000000}, -14, `open(0x1, O_RDONLY|0x10000000) = -1 EFAULT (Bad address)`},
		{unix.SYS_WRITE, args{1, 0x2000, 40}, 40, `write(1, "` + strings.Repeat("x", 32) + `"..., 40) = 40`},
		{unix.SYS_READ, args{0, 0x3000, 4}, 4, `read(0, "\1\0002\377", 4) = 4`},
		{unix.SYS_READ, args{0, 0x3000, 4}, -512, `read(0, 0x3000, 4) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)`},
		{unix.SYS_WRITEV, args{1, 0x4000, 2}, 44, `writev(1, [{iov_base="/a \"", iov_len=4}, {iov_base="` + strings.Repeat("x", 32) + `"..., iov_len=40}], 2) = 44`},
		{unix.SYS_READV, args{1, 0x4000, 2}, 6, `readv(1, [{iov_base="/a \"", iov_len=4}, {iov_base="xx", iov_len=40}], 2) = 6`},
		{unix.SYS_EXECVE, args{0x1000, 0x5000, 0x5000}, 0, `execve("/a \"file\"\n", ["` + strings.Repeat("x", 32) + `"..., "/a \"file\"\n"], 0x5000 /* 2 vars */) = 0`},
		{unix.SYS_NANOSLEEP, args{0x6000, 0x6000}, 0, `nanosleep({tv_sec=1, tv_nsec=500}, 0x6000) = 0`},
		{unix.SYS_NANOSLEEP, args{0x6000, 0x6000}, -516, `nanosleep({tv_sec=1, tv_nsec=500}, {tv_sec=1, tv_nsec=500}) = ? ERESTART_RESTARTBLOCK (Interrupted by signal)`},
		{unix.SYS_RT_SIGACTION, args{2, 0x7000, 0, 8}, 0, `rt_sigaction(SIGINT, {sa_handler=0x402000, sa_mask=[INT RTMIN], sa_flags=SA_RESTORER|SA_RESTART, sa_restorer=0x403000}, NULL, 8) = 0`},
		{unix.SYS_MMAP, args{0, 4096, 3, 0x22, ^uint64(0), 0}, 0x7f0000000000, `mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000`},
		{unix.SYS_FCNTL, args{3, unix.F_GETFL}, 0x8002, `fcntl(3, F_GETFL) = 0x8002 (flags O_RDWR|O_LARGEFILE)`},
		{unix.SYS_FCNTL, args{3, unix.F_SETFD, 1}, 0, `fcntl(3, F_SETFD, FD_CLOEXEC) = 0`},
		{unix.SYS_FUTEX, args{0x10, 128, 2, 0}, -11, `futex(0x10, FUTEX_WAIT_PRIVATE, 2, NULL) = -1 EAGAIN (Resource temporarily unavailable)`},
		{unix.SYS_CLONE, args{0x1200011, 0, 0, 0x99}, 5, `clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x99) = 5`},
		{unix.SYS_UMASK, args{0o22}, 0o77, `umask(022) = 077`},
		{unix.SYS_EXIT_GROUP, args{3}, 0, `exit_group(3) = ?`},
		{unix.SYS_IOCTL, args{0, unix.TCGETS, 0x99}, -25, `ioctl(0, TCGETS, 0x99) = -1 ENOTTY (Inappropriate ioctl for device)`},
		{unix.SYS_IOCTL, args{0, 0x80045430 + 1<<8, 5}, -22, `ioctl(0, _IOC(_IOC_READ, 0x55, 0x30, 0x4), 0x5) = -1 EINVAL (Invalid argument)`},
		{unix.SYS_ACCESS, args{0x1000, 0}, 0, `access("/a \"file\"\n", F_OK) = 0`},
	} {
		if got := printed(t, Options{Strings: 32}, c.number, c.args, c.result, m); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestNamesOfFilesFollowDescriptors(t *testing.T) {
	o := Options{Strings: 32, Paths: true}
	for want, got := range map[string]string{
		`close(3</etc/a\74b>) = 0`:                  printed(t, o, unix.SYS_CLOSE, [6]uint64{3}, 0, nil),
		`dup(3</etc/a\74b>) = 4<pipe:[7]>`:          printed(t, o, unix.SYS_DUP, [6]uint64{3}, 4, nil),
		`close(9) = -1 EBADF (Bad file descriptor)`: printed(t, o, unix.SYS_CLOSE, [6]uint64{9}, -9, nil),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestEnvironmentsAreOnlyCapturedForVerbose(t *testing.T) {
	m := program{0x1000: "a\x00", 0x2000: words(0x3000, 0), 0x3000: "NAME=value\x00"}
	arguments := [6]uint64{0x1000, 0x2000, 0x2000}
	for verbose, want := range map[bool]string{
		false: `execve("a", ["NAME=value"], 0x2000 /* 1 var */) = 0`,
		true:  `execve("a", ["NAME=value"], ["NAME=value"]) = 0`,
	} {
		o := Options{Strings: 32, Verbose: verbose}
		if got := printed(t, o, unix.SYS_EXECVE, arguments, 0, m); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		captures := new(tracespec.Capturer).Capture(New(o).Call(unix.SYS_EXECVE).Plan.Entry, &arguments, 0, m)
		if n, want := strings.Count(string(captures), "NAME="), len(strings.Split(want, "NAME="))-1; n != want {
			t.Errorf("with verbose %v %d strings are captured, want %d", verbose, n, want)
		}
	}
}

func TestEveryPlanIsPossible(t *testing.T) {
	for _, o := range []Options{{Strings: 32}, {Strings: tracespec.MaxBytes - 1, Verbose: true, Paths: true}, {}} {
		plan := &tracespec.Plan{Calls: map[int]*tracespec.Call{}}
		table := New(o)
		for _, c := range table.All() {
			if table.Named(c.Name) != c {
				t.Errorf("two calls have the name %s or the number %d", c.Name, c.Number)
			}
			plan.Calls[c.Number] = &c.Plan
		}
		if _, err := plan.Marshal(); err != nil {
			t.Error(err)
		}
	}
}

func TestEveryCallOfLinuxHasARow(t *testing.T) {
	table := New(Options{})
	// Calls that Linux 6.1 does not have any more print their number.
	gone := map[int]bool{134: true, 156: true, 174: true, 177: true, 178: true, 180: true, 181: true, 182: true, 183: true, 184: true, 185: true,
		214: true, 215: true, 236: true, 320: true, 333: true, 443: true}
	for number := range 451 {
		if number > 334 && number < 424 {
			continue
		}
		if table.Call(number) == nil && !gone[number] {
			t.Errorf("the call %d has no row", number)
		}
	}
}

// FuzzCaptures prints every call with damaged captures.
func FuzzCaptures(f *testing.F) {
	f.Add(uint64(1), []byte("some bytes"))
	tables := []*Table{New(Options{Strings: 5}), New(Options{Strings: 100, Verbose: true, Paths: true, Hex: 1})}
	f.Fuzz(func(t *testing.T, seed uint64, content []byte) {
		random := rand.New(rand.NewPCG(seed, 1))
		damaged := func(ops int) [][]byte {
			list := make([][]byte, ops)
			for i := range list {
				if n := random.IntN(200); n < 150 {
					list[i] = make([]byte, n)
					for k := range list[i] {
						list[i][k] = byte(random.Uint32() >> (random.Uint32() % 32))
					}
					copy(list[i], content)
				}
			}
			return list
		}
		for _, table := range tables {
			for _, s := range table.All() {
				c := &Call{entry: damaged(len(s.Plan.Entry)), exit: damaged(len(s.Plan.Exit))}
				for i := range c.Arguments {
					c.Arguments[i] = random.Uint64() >> random.IntN(64)
				}
				p := table.Printer()
				s.Enter(p, c)
				c.Done, c.Result = true, int64(random.Uint64())>>random.IntN(64)
				s.Leave(p, c)
				s.Result(p, c)
				s.Texts(c)
			}
			table.Siginfo(content)
		}
	})
}
