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

func (m program) StackPointer() uint64 { return 0x9000 }
func (m program) FileName(fd int32, _ bool) string {
	return map[int32]string{3: "/etc/a<b", 4: "pipe:[7]"}[fd]
}

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
	o := Options{Strings: 32, Files: Names}
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
	for _, o := range []Options{{Strings: 32}, {Strings: tracespec.MaxBytes - 1, Verbose: true, Files: Names}, {}, {Strings: 32, Match: true, Files: Names | Devices, Reads: DescriptorSet{Except: true}, Writes: DescriptorSet{List: []uint64{1}}}} {
		plan := &tracespec.Plan{Calls: map[int]*tracespec.Call{}}
		table := New(o)
		for _, c := range table.All() {
			if c.Number < tracespec.FirstI386 && table.Named(c.Name) != c {
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
	tables := []*Table{New(Options{Strings: 5}), New(Options{Strings: 100, Verbose: true, Files: Names, Hex: 1, Style: Both}), New(Options{Strings: 8, Files: Names | Sockets | Devices | PIDFDs, Match: true, Style: RawNumbers, Hex: HexCharacters, Reads: DescriptorSet{Except: true}, Writes: DescriptorSet{Except: true}})}
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
				s.Dump(c)
				s.Accesses(c, map[string]bool{"x": true})
			}
			table.Siginfo(content)
		}
	})
}

func TestConstantsArePrintedInTheStyle(t *testing.T) {
	m := program{0x1000: "/a\x00"}
	arguments := [6]uint64{^uint64(99), 0x1000, unix.O_RDWR | unix.O_CREAT, 0o644}
	for style, want := range map[Style]string{
		Abbreviated: `openat(AT_FDCWD, "/a", O_RDWR|O_CREAT, 0644) = 3`,
		RawNumbers:  `openat(-100, "/a", 0x42, 0644) = 3`,
		Both:        `openat(-100 /* AT_FDCWD */, "/a", 0x42 /* O_RDWR|O_CREAT */, 0644) = 3`,
	} {
		if got := printed(t, Options{Strings: 32, Style: style}, unix.SYS_OPENAT, arguments, 3, m); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestRareCallsArePrintedAsStracePrintsThem has calls that the guest refuses. Their arguments
// are decoded all the same.
func TestRareCallsArePrintedAsStracePrintsThem(t *testing.T) {
	m := program{
		0x1000: "name\x00", 0x2000: words(5, 0x1000, 0x6000), 0x3000: words(0x100000002, 0x40), 0x4000: words(1<<32|7, 0), 0x5000: "\x03\x00\xff\xff\x00\x10",
		0x6000: words(1, 2, 3, 4, 5, 6, 7, 8, 9), 0x7000: words(3, 0x1234),
	}
	type args = [6]uint64
	const refused = " = -1 ENOSYS (Function not implemented)"
	for _, c := range []struct {
		number int
		args   args
		want   string
	}{
		{unix.SYS_BPF, args{0, 0x3000, 16}, `bpf(BPF_MAP_CREATE, {map_type=BPF_MAP_TYPE_ARRAY, key_size=1, value_size=64, max_entries=0}, 16)`},
		{unix.SYS_BPF, args{99, 0x3000, 16}, `bpf(0x63 /* BPF_??? */, 0x3000, 16)`},
		{unix.SYS_BPF, args{0, 0x3000, 1 << 20}, `bpf(BPF_MAP_CREATE, 0x3000, 1048576)`},
		{unix.SYS_KEYCTL, args{0, ^uint64(2), 1}, `keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 1)`},
		{unix.SYS_KEYCTL, args{11, 7, 0x1000, 5}, `keyctl(KEYCTL_READ, 7, 0x1000, 5)`},
		{unix.SYS_ADD_KEY, args{0x1000, 0x1000, 0x1000, 4, ^uint64(0)}, `add_key("name", "name", "name", 4, KEY_SPEC_THREAD_KEYRING)`},
		{unix.SYS_QUOTACTL, args{0x80000200, 0x1000, 4, 0x1000}, `quotactl(QCMD(Q_QUOTAON, USRQUOTA), "name", QFMT_VFS_V1, "name")`},
		{unix.SYS_FANOTIFY_MARK, args{3, 1, 2, ^uint64(99), 0x1000}, `fanotify_mark(3, FAN_MARK_ADD, FAN_MODIFY, AT_FDCWD, "name")`},
		{unix.SYS_SEMOP, args{1, 0x5000, 1}, `semop(1, [{sem_num=3, sem_op=-1, sem_flg=SEM_UNDO}], 1)`},
		{unix.SYS_MSGSND, args{1, 0x7000, 2, 0}, `msgsnd(1, {mtype=3, mtext="4\22"}, 2, 0)`},
		{unix.SYS_SHMGET, args{0, 4096, 0o1644}, `shmget(IPC_PRIVATE, 4096, IPC_CREAT|0644)`},
		{unix.SYS_IO_URING_REGISTER, args{3, 2, 0x4000, 2}, `io_uring_register(3, IORING_REGISTER_FILES, [7, 1], 2)`},
		{unix.SYS_QUOTACTL_FD, args{3, 0x80000100, 0, 0}, `quotactl_fd(3, QCMD(Q_SYNC, USRQUOTA))`},
	} {
		if got := printed(t, Options{Strings: 32}, c.number, c.args, -38, m); got != c.want+refused {
			t.Errorf("got  %s\nwant %s", got, c.want+refused)
		}
	}
}

func TestQualifiersChooseWhatIsDecoded(t *testing.T) {
	m := program{0x1000: "/a\x00", 0x6000: words(1, 500)}
	one := func(number int) map[int]bool { return map[int]bool{number: true} }
	for _, c := range []struct {
		options Options
		number  int
		args    [6]uint64
		want    string
	}{
		{Options{Strings: 32, Raw: one(unix.SYS_CHDIR)}, unix.SYS_CHDIR, [6]uint64{0x1000, 7}, "chdir(0x1000) = 0"},
		{Options{Strings: 32, Raw: one(unix.SYS_CLOSE)}, unix.SYS_CHDIR, [6]uint64{0x1000, 7}, `chdir("/a") = 0`},
		{Options{Strings: 32, Dereference: map[int]bool{}}, unix.SYS_NANOSLEEP, [6]uint64{0x6000}, "nanosleep(0x6000, NULL) = 0"},
		{Options{Strings: 32, Dereference: map[int]bool{}}, unix.SYS_CHDIR, [6]uint64{0x1000}, `chdir("/a") = 0`},
		{Options{Strings: 32, Numbers: true}, unix.SYS_CLOSE, [6]uint64{3}, "[   3] close(3) = 0"},
		{Options{Strings: 32, Comm: func(id uint32) string { return map[uint32]string{7: "a<b"}[id] }}, unix.SYS_KILL, [6]uint64{7, 9}, `kill(7<a\74b>, SIGKILL) = 0`},
	} {
		if got := printed(t, c.options, c.number, c.args, 0, m); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// called returns a call with its captures at the entry and at the exit.
func called(t *testing.T, s *Syscall, arguments [6]uint64, result int64, m program) *Call {
	t.Helper()
	c := &Call{Arguments: arguments}
	var capturer tracespec.Capturer
	if !s.Attach(c, append([]byte{}, capturer.Capture(s.Plan.Entry, &arguments, 0, m)...)) {
		t.Fatal("the captures of the entry are damaged")
	}
	c.Result, c.Done = result, true
	if !s.Attach(c, capturer.Capture(s.Plan.Exit, &arguments, result, m)) {
		t.Fatal("the captures of the exit are damaged")
	}
	return c
}

func TestCallsAccessFilesByNameAndByDescriptor(t *testing.T) {
	m := program{0x1000: "/a\x00", 0x2000: "\x04\x00\x00\x00\x01\x00\x00\x00\x03\x00\x00\x00\x01\x00\x00\x00", 0x3000: "\x08\x00\x00\x00\x00\x00\x00\x00"}
	table := New(Options{Strings: 32, Match: true})
	for _, c := range []struct {
		number int
		args   [6]uint64
		file   string
		want   bool
	}{
		{unix.SYS_CHDIR, [6]uint64{0x1000}, "/a", true}, {unix.SYS_CHDIR, [6]uint64{0x1000}, "/b", false},
		{unix.SYS_READ, [6]uint64{3}, "/etc/a<b", true}, {unix.SYS_READ, [6]uint64{4}, "/etc/a<b", false},
		{unix.SYS_DUP2, [6]uint64{9, 3}, "/etc/a<b", true}, {unix.SYS_EPOLL_CTL, [6]uint64{3, 1, 4}, "/etc/a<b", false},
		{unix.SYS_POLL, [6]uint64{0x2000, 2}, "/etc/a<b", true}, {unix.SYS_POLL, [6]uint64{0x2000, 1}, "/etc/a<b", false},
		{unix.SYS_SELECT, [6]uint64{4, 0, 0x3000}, "/etc/a<b", true}, {unix.SYS_SELECT, [6]uint64{3, 0, 0x3000}, "/etc/a<b", false},
		{unix.SYS_SYMLINK, [6]uint64{0x1000, 0}, "/a", false}, {unix.SYS_GETPID, [6]uint64{3}, "/etc/a<b", false},
	} {
		s := table.Call(c.number)
		if got := s.Accesses(called(t, s, c.args, 0, m), map[string]bool{c.file: true}); got != c.want {
			t.Errorf("%s%v accesses %s: %v", s.Name, c.args, c.file, got)
		}
	}
}

func TestDescriptorsInStructuresHaveNames(t *testing.T) {
	rights := words(24) + "\x01\x00\x00\x00\x01\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00"
	m := program{0x2000: "\x04\x00\x00\x00\x01\x00\x00\x00\x03\x00\x00\x00\x01\x00\x01\x00", 0x3000: "\x18" + strings.Repeat("\x00", 127), 0x4000: words(0, 0, 0, 0, 0x5000, 24, 0), 0x5000: rights}
	o := Options{Strings: 32, Files: Names}
	for _, c := range []struct {
		number int
		args   [6]uint64
		result int64
		want   string
	}{
		{unix.SYS_POLL, [6]uint64{0x2000, 2, 0}, 1, `poll([{fd=4<pipe:[7]>, events=POLLIN}, {fd=3</etc/a\74b>, events=POLLIN}], 2, 0) = 1 ([{fd=3</etc/a\74b>, revents=POLLIN}])`},
		{unix.SYS_SELECT, [6]uint64{5, 0x3000, 0, 0, 0}, 2, `select(5, [3</etc/a\74b> 4<pipe:[7]>], NULL, NULL, NULL) = 2 (in [3</etc/a\74b> 4<pipe:[7]>])`},
		{unix.SYS_SENDMSG, [6]uint64{9, 0x4000, 0}, 0, `sendmsg(9, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, msg_control=[{cmsg_len=24, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[3</etc/a\74b>, 4<pipe:[7]>]}], msg_controllen=24, msg_flags=0}, 0) = 0`},
	} {
		if got := printed(t, o, c.number, c.args, c.result, m); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestDetailsOfFilesFollowDescriptors(t *testing.T) {
	for _, c := range []struct {
		files    FileInfo
		captured string
		want     string
	}{
		{Names, "/dev/null\x00device\x00char 1:3", "</dev/null>"},
		{Names | Devices, "/dev/null\x00device\x00char 1:3", "</dev/null<char 1:3>>"},
		{Names | Sockets, "socket:[7]\x00socket\x00UNIX:[7->8]", "<UNIX:[7->8]>"},
		{Names | Devices, "socket:[7]\x00socket\x00UNIX:[7->8]", "<socket:[7]>"},
		{PIDFDs, "anon_inode:[pidfd]\x00process\x0012", "<pid:12>"},
		{Sockets, "/a", ""},
		{Names, "/a (deleted)", "</a>(deleted)"},
	} {
		p := &Printer{Options: Options{Files: c.files}}
		p.path([]byte(c.captured))
		if got := p.Take(); got != c.want {
			t.Errorf("%q is printed as %q, want %q", c.captured, got, c.want)
		}
	}
}

func TestDataOfDescriptorsIsDumped(t *testing.T) {
	m := program{0x1000: "hello\nworld, 17 bytes", 0x4000: words(0x1000, 4, 0x1000, 40)}
	table := New(Options{Strings: 32, Reads: DescriptorSet{List: []uint64{3}}, Writes: DescriptorSet{List: []uint64{1}, Except: true}})
	for _, c := range []struct {
		number int
		args   [6]uint64
		result int64
		want   string
	}{
		{unix.SYS_READ, [6]uint64{3, 0x1000, 99}, 17, " | 00000  68 65 6c 6c 6f 0a 77 6f  72 6c 64 2c 20 31 37 20  hello.world, 17  |\n | 00010  62                                                b                |"},
		{unix.SYS_READ, [6]uint64{4, 0x1000, 99}, 17, ""},
		{unix.SYS_READ, [6]uint64{3, 0x1000, 99}, -5, ""},
		{unix.SYS_WRITE, [6]uint64{1, 0x1000, 3}, 3, ""},
		{unix.SYS_WRITE, [6]uint64{2, 0x1000, 3}, -5, " | 00000  68 65 6c                                          hel              |"},
		{unix.SYS_READV, [6]uint64{3, 0x4000, 2}, 6, " * 4 bytes in buffer 0\n | 00000  68 65 6c 6c                                       hell             |\n * 2 bytes in buffer 1\n | 00000  68 65                                             he               |"},
	} {
		s := table.Call(c.number)
		if got := strings.Join(s.Dump(called(t, s, c.args, c.result, m)), "\n"); got != c.want {
			t.Errorf("%s%v dumps\n%s\nwant\n%s", s.Name, c.args, got, c.want)
		}
	}
}
