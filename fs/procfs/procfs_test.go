package procfs_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
	"slowpath/fs/fstest"
	"slowpath/fs/pipe"
	"slowpath/fs/procfs"
	"slowpath/mm"
	"slowpath/sysctl"
)

// fakeSystem has the processes 1 and 1000, the second with two threads.
type fakeSystem struct {
	world *fstest.World
	tasks map[int]*fakeTask
	host  string
}

func (s *fakeSystem) Processes() []int { return []int{1, 1000} }

func (s *fakeSystem) Task(id int) procfs.Task {
	if t, ok := s.tasks[id]; ok {
		return t
	}
	return nil
}

func (s *fakeSystem) Info() procfs.SystemInfo {
	return procfs.SystemInfo{
		Memory: s.world.Memory.Stats(), Release: "6.1.0",
		CPUs: []procfs.CPU{{User: 1e7, Nice: 2e7, System: 3e7, Idle: 4e7, IRQ: 5e7, RunTime: 5, Delay: 6, Runs: 7}, {}},
		Interrupts: []procfs.Interrupt{
			{Name: "4", Counts: []uint64{7, 0}, Text: "IO-APIC   4"}, {Name: "5", Counts: []uint64{0, 0}, Text: "IO-APIC   5"},
			{Name: "LOC", Counts: []uint64{1, 2}, Text: "Local timer interrupts"},
		},
		Uptime: 12345678901, Load: [3]float64{0.5, 1, 2}, Threads: 3, Running: 1, LastPID: 1001,
		CommitLimit: s.world.Memory.CommitLimit(),
	}
}
func (s *fakeSystem) Sysctls() []sysctl.Row {
	return append(s.world.Memory.Settings().Rows(),
		sysctl.Row{Name: "kernel/hostname", Mode: 0o644, Value: sysctl.String{
			Get: func() string { return s.host }, Set: func(name string) error { s.host = name; return nil }, Max: 64,
		}})
}
func (s *fakeSystem) Random(p []byte) {}

type fakeTask struct {
	login   uint32
	slack   uint64
	info    procfs.TaskInfo
	files   *fs.FDTable
	ctx     *fs.Context
	space   *mm.AddressSpace
	private bool // not dumpable
	dead    bool

	call     procfs.CallState
	sleepsIn string
}

func (t *fakeTask) LoginUID() (uid, session uint32) { return t.login, 3 }
func (t *fakeTask) SetLoginUID(uid uint32) error    { t.login = uid; return nil }
func (t *fakeTask) Info() procfs.TaskInfo           { return t.info }
func (t *fakeTask) ProcessID() int                  { return t.info.PID }
func (t *fakeTask) Dead() bool                      { return t.dead }
func (t *fakeTask) Credentials() *cred.Credentials  { return t.info.Credentials }
func (t *fakeTask) MayBeInspected(process int, c *cred.Credentials) bool {
	return process == t.info.PID || c.MayInspect(t.info.Credentials, cred.WithFileIDs, !t.private)
}
func (t *fakeTask) OwnedByRoot() bool           { return t.private }
func (t *fakeTask) Executable() (fs.Path, bool) { return fs.Path{}, false }
func (t *fakeTask) WorkingDirectory() (fs.Path, bool) {
	if t.ctx == nil {
		return fs.Path{}, false
	}
	return t.ctx.Directory(), true
}
func (t *fakeTask) RootDirectory() (fs.Path, bool) {
	if t.ctx == nil {
		return fs.Path{}, false
	}
	return t.ctx.Root(), true
}
func (t *fakeTask) Umask() (uint32, bool) { return 0o22, t.ctx != nil }
func (t *fakeTask) RootContext() *fs.Context {
	if t.ctx == nil {
		return nil
	}
	return t.ctx.RootOnly()
}
func (t *fakeTask) Image() (*mm.AddressSpace, procfs.ProgramInfo) { return t.space, t.info.ProgramInfo }
func (t *fakeTask) File(fd int) (*fs.File, fs.ExecAction, error) {
	if t.files == nil {
		return nil, false, unix.EBADF
	}
	f, err := t.files.GetPath(fd)
	if err != nil {
		return nil, false, err
	}
	onExec, _ := t.files.GetExecAction(fd)
	return f, onExec, nil
}
func (t *fakeTask) NextDescriptor(fd int) int {
	if t.files == nil {
		return -1
	}
	return t.files.NextOpen(fd)
}
func (t *fakeTask) DescriptorTableSize() int {
	if t.files == nil {
		return 0
	}
	return t.files.Size()
}
func (t *fakeTask) CallState(reader int) procfs.CallState { return t.call }
func (t *fakeTask) SleepsIn() string                      { return t.sleepsIn }
func (t *fakeTask) KernelStack() ([]byte, error)          { return []byte("[<0>] task.sleep+0x1\n"), nil }
func (t *fakeTask) Threads() []int {
	if t.info.PID == 1 {
		return []int{1}
	}
	return []int{1000, 1001}
}
func (t *fakeTask) SetComm(name string) { t.info.Comm = name }
func (t *fakeTask) TimerSlack() uint64  { return t.slack }
func (t *fakeTask) SetTimerSlack(nanoseconds uint64) {
	t.slack = nanoseconds
	if nanoseconds == 0 {
		t.slack = 50000
	}
}
func (t *fakeTask) SetOOMScoreAdjust(value int, c *cred.Credentials) error {
	if value < 0 && !c.Has(cred.SysResource) {
		return unix.EACCES
	}
	t.info.OOMScoreAdjust = value
	return nil
}

func newWorld(t *testing.T) (*fstest.World, *fakeSystem) {
	w := fstest.New(t, 512)
	s := &fakeSystem{world: w, host: "box", tasks: make(map[int]*fakeTask)}
	files := fs.NewFDTable()
	t.Cleanup(files.Release)
	r, wr, _ := pipe.New(w.Mounts, w.Caller, 0)
	files.Install(r, 0, 10, fs.KeepOnExec)
	files.Install(wr, 0, 10, fs.CloseOnExec)
	w.Write("/some file", "contents")
	f, _ := w.At("/some file").Open(unix.O_RDWR, 0)
	files.Install(f, 7, 10, fs.KeepOnExec)
	for _, id := range []int{1, 1000, 1001} {
		pid := min(id, 1000)
		s.tasks[id] = &fakeTask{files: files, ctx: w.Caller.Context, info: procfs.TaskInfo{
			PID: pid, TID: id, Comm: "a) b", RunTime: 77e6, Voluntary: 3, Involuntary: 2,
			Scheduling: procfs.Scheduling{ExecStart: 15e5, VRuntime: 2000003, Migrations: 4, Weight: 1024},
			State:      'S', Credentials: cred.User(uint32(id), 5), Threads: 2,
		}}
	}
	if err := w.At("/proc").MakeDirectory(0o755); err != nil {
		t.Fatal(err)
	}
	w.Mounts.Register("proc", nil)
	if err := w.At("/proc").MountAt(procfs.New(s, procfs.Extra{}), "proc", unix.MS_NOSUID); err != nil {
		t.Fatal(err)
	}
	w.Caller.PID = 1000
	return w, s
}

func list(t *testing.T, w *fstest.World, name string) []string {
	t.Helper()
	var names []string
	d := w.Open(name, unix.O_DIRECTORY, 0)
	for {
		count := 0
		if err := d.ReadDirectory(func(e fs.DirectoryEntry) bool {
			if count == 3 { // few entries per call, to test the positions
				return false
			}
			count++
			names = append(names, e.Name)
			return true
		}); err != nil {
			t.Fatal(err)
		}
		if count == 0 {
			return names
		}
	}
}

// TestEveryListedFileCanBeRead walks the whole of /proc.
func TestEveryListedFileCanBeRead(t *testing.T) {
	w, _ := newWorld(t)
	var walk func(name string)
	count := 0
	walk = func(name string) {
		for _, child := range list(t, w, name) {
			if child == "." || child == ".." {
				continue
			}
			path := name + "/" + child
			at := w.At(path)
			at.Follow = false
			a, err := at.Attributes()
			if err != nil {
				t.Errorf("%s is listed but stat fails: %v", path, err)
				continue
			}
			count++
			switch a.Type() {
			case unix.S_IFDIR:
				walk(path)
			case unix.S_IFREG:
				w.Read(path)
			case unix.S_IFLNK:
				if _, err := at.ReadLink(); err != nil && !strings.HasSuffix(path, "/exe") {
					t.Errorf("readlink %s: %v", path, err)
				}
			}
		}
	}
	walk("/proc")
	if count < 150 {
		t.Errorf("only %d files", count)
	}
}

func TestProcessesAreListedOnceInOrder(t *testing.T) {
	w, _ := newWorld(t)
	var ids []string
	for _, name := range list(t, w, "/proc") {
		if name[0] >= '0' && name[0] <= '9' {
			ids = append(ids, name)
		}
	}
	if !slices.Equal(ids, []string{"1", "1000"}) {
		t.Errorf("processes %v", ids)
	}
	if got := list(t, w, "/proc/self/task"); !slices.Equal(got, []string{".", "..", "1000", "1001"}) {
		t.Errorf("threads %v", got)
	}
}

func TestProcFilesHaveLinuxFormats(t *testing.T) {
	w, _ := newWorld(t)
	for name, want := range map[string]string{
		"/proc/self/stat":      `^1000 \(a\) b\) S 0 0 0 0 0 0( -?\d+){43}\n$`,
		"/proc/self/schedstat": `^77000000 \d+ \d+\n$`,
		"/proc/self/sched": `^a\) b \(1000, #threads: 2\)\n-{67}\nse\.exec_start {32}: {13}1\.500000\n` +
			`se\.vruntime +: +2\.000003\nse\.sum_exec_runtime +: +77\.000000\nse\.nr_migrations +: {20}4\n` +
			`nr_switches +: +5\nnr_voluntary_switches +: +3\nnr_involuntary_switches +: +2\n` +
			`se\.load\.weight +: +1048576\npolicy +: +0\nprio +: +0\n$`,
		"/proc/loadavg":     `^0\.50 1\.00 2\.00 1/3 1001\n$`,
		"/proc/interrupts":  `^ +CPU0 +CPU1 +\n  4: +7 +0   IO-APIC   4\nLOC: +1 +2   Local timer interrupts\n$`,
		"/proc/schedstat":   `^version 15\ntimestamp 4294895382\ncpu0 0 0 0 0 0 0 5 6 7\ncpu1 0 0 0 0 0 0 0 0 0\n$`,
		"/proc/self/statm":  `^\d+ \d+ \d+ \d+ 0 \d+ 0\n$`,
		"/proc/self/status": `(?s)^Name:\ta\) b\n.*State:\tS \(sleeping\)\n.*Uid:\t1000\t1000\t1000\t1000\n.*Threads:\t2\n`,
		"/proc/uptime":      `^12\.34 0\.04\n$`,
		"/proc/meminfo":     `(?m)^MemTotal: +\d+ kB$`,
		"/proc/version":     `^Linux version 6\.1\.0 `,
		"/proc/stat": `^cpu  1 2 3 4 0 5 0 0 0 0\ncpu0 1 2 3 4 0 5 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\n` +
			`intr 10 7 0\nctxt \d+\nbtime `,
		"/proc/mounts":                   `^tmpfs / tmpfs rw,relatime 0 0\nproc /proc proc rw,nosuid,relatime 0 0\n$`,
		"/proc/self/mountinfo":           `^1 0 0:\d+ / / rw,relatime - tmpfs tmpfs rw\n2 1 0:\d+ / /proc `,
		"/proc/self/fdinfo/7":            `^pos:\t0\nflags:\t02\nmnt_id:\t1\nino:\t\d+\n$`,
		"/proc/filesystems":              `^nodev\tproc\n$`,
		"/proc/self/limits":              `^Limit +Soft Limit +Hard Limit +Units +\nMax cpu time`,
		"/proc/sys/kernel/random/uuid":   `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}\n$`,
		"/proc/sys/kernel/osrelease":     `^6\.1\.0\n$`,
		"/proc/thread-self/../../comm":   `^a\) b\n$`,
		"/proc/self/task/1001/status":    `(?s)Pid:\t1001\n`,
		"/proc/sys/vm/overcommit_memory": `^0\n$`,
		"/proc/sys/kernel/hostname":      `^box\n$`,
		"/proc/sys/kernel/ostype":        `^Linux\n$`,
		"/proc/sys/fs/nr_open":           `^1048576\n$`,
	} {
		if got := w.Read(name); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s:\n%s\ndoes not match %s", name, got, want)
		}
	}
}

func TestDescriptorLinksOpenPipesAndUnlinkedFiles(t *testing.T) {
	w, _ := newWorld(t)
	link := w.At("/proc/self/fd/0")
	if text, err := link.ReadLink(); err != nil || !strings.HasPrefix(text, "pipe:[") {
		t.Errorf("fd/0 is %q, %v", text, err)
	}
	write := w.Open("/proc/self/fd/1", unix.O_WRONLY, 0)
	write.Write(fs.NewBytesSource([]byte("through proc")))
	read := w.Open("/proc/self/fd/0", unix.O_RDONLY, 0)
	sink := fs.NewBytesSink(make([]byte, 20))
	if read.Read(sink); string(sink.Bytes()) != "through proc" {
		t.Errorf("read %q", sink.Bytes())
	}
	if err := w.At("/some file").Unlink(); err != nil {
		t.Fatal(err)
	}
	if text, _ := w.At("/proc/self/fd/7").ReadLink(); text != "/some file (deleted)" {
		t.Errorf("fd/7 is %q", text)
	}
	if got := w.Read("/proc/self/fd/7"); got != "contents" {
		t.Errorf("/proc/self/fd/7 of an unlinked file reads %q, want \"contents\"", got)
	}
	for _, name := range []string{"/proc/self/fd/3", "/proc/self/fd/00", "/proc/self/fd/x", "/proc/2", "/proc/01", "/proc/1/task/1000"} {
		if _, err := w.At(name).Lookup(); err != unix.ENOENT {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPrivateFilesOfOtherUsersFailWithEACCES(t *testing.T) {
	w, s := newWorld(t)
	s.tasks[1].info.Credentials = cred.Root()
	space, err := w.Memory.NewAddressSpace()
	if err != nil {
		t.Fatal(err)
	}
	defer space.DecRef()
	s.tasks[1].space = space
	user := w.User(1000, 1000)
	user.PID = 1000
	for _, name := range []string{"fd/0", "fdinfo/0", "fdinfo", "cwd", "environ", "auxv", "maps", "smaps"} {
		f, err := fs.At{Caller: user, Name: "/proc/1/" + name, Follow: true}.Open(unix.O_RDONLY, 0)
		if err == nil {
			_, err = f.Read(fs.NewBytesSink(make([]byte, 10)))
			f.DecRef()
		}
		if err != unix.EACCES {
			t.Errorf("%s of another user's process: %v", name, err)
		}
	}
}

func TestWritesToProcFilesReachTheSystem(t *testing.T) {
	w, s := newWorld(t)
	store := func(name, text string) error {
		f, err := w.At(name).Open(unix.O_WRONLY|unix.O_TRUNC, 0)
		if err != nil {
			return err
		}
		defer f.DecRef()
		_, err = f.Write(fs.NewBytesSource([]byte(text)))
		return err
	}
	if err := store("/proc/sys/kernel/hostname", "other\n"); err != nil || s.host != "other" {
		t.Errorf("hostname %q, %v", s.host, err)
	}
	if err := store("/proc/self/comm", "renamed"); err != nil || s.tasks[1000].info.Comm != "renamed" {
		t.Errorf("comm: %v", err)
	}
	for text, want := range map[string]error{"-1001": unix.EINVAL, "x": unix.EINVAL, "500": nil} {
		if err := store("/proc/self/oom_score_adj", text); err != want && !(err == nil && want == nil) {
			t.Errorf("oom_score_adj %s: %v", text, err)
		}
	}
	for text, want := range map[string]error{"3": unix.EINVAL, " ": unix.EINVAL, "": nil, "2\n": nil} {
		if err := store("/proc/sys/vm/overcommit_memory", text); err != want && !(err == nil && want == nil) {
			t.Errorf("overcommit_memory %q: %v", text, err)
		}
	}
	if got := w.Memory.Overcommit(); got != mm.OvercommitNever {
		t.Errorf("the policy is %d after 2 was written", got)
	}
	for text, want := range map[string]error{"x": unix.EINVAL, "4294967296": unix.ERANGE, "1000\n": nil} {
		if err := store("/proc/self/loginuid", text); err != want && !(err == nil && want == nil) {
			t.Errorf("loginuid %q: %v", text, err)
		}
	}
	if uid, session := w.Read("/proc/self/loginuid"), w.Read("/proc/self/sessionid"); uid != "1000" || session != "3" {
		t.Errorf("loginuid %q, sessionid %q", uid, session)
	}
}

// TestSysctlModesHoldForRootToo: no capability overrides the mode of a file of
// /proc/sys, and a writer that is not root gets EPERM even with root's descriptor.
func TestSysctlModesHoldForRootToo(t *testing.T) {
	w, s := newWorld(t)
	open := func(c fs.Caller, name string, flags int) (*fs.File, error) {
		return fs.At{Caller: c, Name: name, Follow: true}.Open(flags, 0)
	}
	if _, err := open(w.Caller, "/proc/sys/kernel/ostype", unix.O_WRONLY); err != unix.EACCES {
		t.Errorf("root opens a read-only setting for writing: %v", err)
	}
	user := w.User(1000, 1000)
	user.Cred.Effective = cred.AllCapabilities
	if _, err := open(user, "/proc/sys/kernel/hostname", unix.O_WRONLY); err != unix.EACCES {
		t.Errorf("user 1000 with all capabilities opens hostname for writing: %v", err)
	}
	if _, err := open(user, "/proc/sys/fs/protected_symlinks", unix.O_RDONLY); err != unix.EACCES {
		t.Errorf("user 1000 reads a setting with mode 0600: %v", err)
	}
	f, err := open(w.Caller, "/proc/sys/kernel/hostname", unix.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer f.DecRef()
	if _, err := f.Write(callerSource{fs.NewBytesSource([]byte("mine")), user}); err != unix.EPERM || s.host != "box" {
		t.Errorf("user 1000 writes hostname through root's descriptor: %v, the name is %q", err, s.host)
	}
	if n, err := f.Write(fs.NewBytesSource([]byte("long name\n"))); n != 10 || err != nil || s.host != "long name" {
		t.Errorf("root writes hostname: %d, %v, the name is %q", n, err, s.host)
	}
}

// callerSource is the memory of a task, like that of write(2).
type callerSource struct {
	*fs.BytesSource
	caller fs.Caller
}

func (s callerSource) Caller() fs.Caller { return s.caller }

func TestSysfsListsOnlineCPUs(t *testing.T) {
	w := fstest.New(t, 64)
	w.At("/sys").MakeDirectory(0o755)
	for cpus, want := range map[int]string{1: "0\n", 4: "0-3\n"} {
		if err := w.At("/sys").MountAt(procfs.NewSysfs(procfs.SysfsCPUs{Count: cpus, NoHZ: 1 << 1}), "sysfs", 0); err != nil {
			t.Fatal(err)
		}
		if got := w.Read("/sys/devices/system/cpu/online"); got != want {
			t.Errorf("%d CPUs: online is %q", cpus, got)
		}
		if _, err := w.At(fmt.Sprintf("/sys/devices/system/cpu/cpu%d", cpus-1)).Lookup(); err != nil {
			t.Error(err)
		}
	}
}

// killedCaller is a caller that has a fatal signal.
type killedCaller struct{ *fstest.Caller }

func (killedCaller) Killed() bool { return true }

// callerSink is a sink in the memory of a caller.
type callerSink struct {
	fs.Sink
	caller fs.Caller
}

func (s callerSink) Caller() fs.Caller { return s.caller }

func TestTextOfManyAreasIsAdmittedAndEndsForAKilledReader(t *testing.T) {
	w, s := newWorld(t)
	space, err := w.Memory.NewAddressSpace()
	if err != nil {
		t.Fatal(err)
	}
	defer space.DecRef()
	const areas = 200
	for i := range areas {
		prot := mm.ProtRead + mm.Prot(i%2)*mm.ProtWrite // neighbours do not merge
		_, err := space.Mmap(mm.MapRequest{Length: mm.PageSize, Prot: prot, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS})
		if err != nil {
			t.Fatal(err)
		}
	}
	s.tasks[1000].space = space
	read := func(name string, caller fs.Caller) (int, error) {
		f, err := w.At("/proc/self/"+name).Open(unix.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.DecRef()
		return f.Read(callerSink{fs.NewBytesSink(make([]byte, 1<<20)), caller})
	}
	for _, name := range []string{"maps", "smaps"} {
		if n, err := read(name, w.Caller); err != nil || n < 40*areas {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
		if _, err := read(name, killedCaller{w.Caller}); err != unix.EINTR {
			t.Errorf("%s of a killed reader: %v, want EINTR", name, err)
		}
		w.Memory.Drain()
		taken := int64(w.Memory.Stats().Free-20) * mm.PageSize
		if err := w.Memory.Reserve(taken); err != nil { // leaves room for the text of a few areas
			t.Fatal(err)
		}
		if _, err := read(name, w.Caller); err != unix.ENOMEM {
			t.Errorf("%s without memory for its text: %v, want ENOMEM", name, err)
		}
		w.Memory.Unreserve(taken)
	}
}

// memoryWorld is a world in which process 1000 has a page of memory at memoryBase.
func memoryWorld(t *testing.T) (*fstest.World, *fakeSystem) {
	w, s := newWorld(t)
	space, err := w.Memory.NewAddressSpace()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(space.DecRef)
	if _, err := space.Mmap(mm.MapRequest{Addr: memoryBase, Length: mm.PageSize, Prot: mm.ProtRead | mm.ProtExec,
		Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED}); err != nil {
		t.Fatal(err)
	}
	s.tasks[1000].space = space
	return w, s
}

const memoryBase = 0x10000

func TestMemoryFileReadsAndWritesProtectedMemory(t *testing.T) {
	w, _ := memoryWorld(t)
	f := w.Open("/proc/1000/mem", unix.O_RDWR, 0)
	defer f.DecRef()
	if _, err := f.Seek(memoryBase+0xffe, unix.SEEK_SET); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Write(newBuffer("abcd")); n != 2 || err != nil {
		t.Errorf("a write over the end of the memory: %d, %v, want the 2 bytes before it", n, err)
	}
	if n, err := f.Write(newBuffer("abcd")); n != 0 || err != unix.EIO {
		t.Errorf("a write behind the memory: %d, %v", n, err)
	}
	got := newBuffer("....")
	if n, err := f.ReadAt(got, memoryBase+0xffd); n != 3 || err != nil || got.done() != "\x00ab" {
		t.Errorf("read: %d, %v, %q", n, err, got.done())
	}
	if _, err := f.ReadAt(newBuffer("...."), 0); err != unix.EIO {
		t.Errorf("a read of address 0: %v", err)
	}
}

func TestMemoryFileHasUnsignedOffsets(t *testing.T) {
	w, _ := memoryWorld(t)
	f := w.Open("/proc/1000/mem", unix.O_RDONLY, 0)
	defer f.DecRef()
	const vsyscall = -10 << 20
	for _, c := range []struct {
		offset int64
		whence int
		want   int64
		err    error
	}{
		{vsyscall, unix.SEEK_SET, vsyscall, nil},
		{8, unix.SEEK_CUR, vsyscall + 8, nil},
		{0, unix.SEEK_END, 0, unix.EINVAL},
		{0, unix.SEEK_DATA, 0, unix.EINVAL},
	} {
		if got, err := f.Seek(c.offset, c.whence); got != c.want || err != c.err {
			t.Errorf("lseek(%d, %d) = %d, %v, want %d, %v", c.offset, c.whence, got, err, c.want, c.err)
		}
	}
	if _, err := f.Read(newBuffer("....")); err != unix.EIO {
		t.Errorf("a read of a kernel address: %v", err)
	}
}

func TestMemoryFileChecksAccessWhenItIsOpened(t *testing.T) {
	w, s := memoryWorld(t)
	w.Caller.Cred, w.Caller.PID = cred.User(1000, 5), 7
	open := func() (*fs.File, error) { return w.At("/proc/1000/mem").Open(unix.O_RDONLY, 0) }
	f, err := open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.DecRef()
	s.tasks[1000].private = true
	s.tasks[1000].space = nil // the process has a new program
	if n, err := f.ReadAt(newBuffer("...."), memoryBase); n != 4 || err != nil {
		t.Errorf("a file that was opened before: %d, %v", n, err)
	}
	s.tasks[1000].space, _ = w.Memory.NewAddressSpace()
	defer s.tasks[1000].space.DecRef()
	if _, err := open(); err != unix.EACCES {
		t.Errorf("open of memory that is not dumpable: %v", err)
	}
	s.tasks[1000].dead = true
}

func TestSyscallFileShowsCallOfSleepingThread(t *testing.T) {
	w, s := newWorld(t)
	for _, c := range []struct {
		state procfs.CallState
		want  string
	}{
		{procfs.CallState{Running: true, Number: 5}, "running\n"},
		{procfs.CallState{Number: -1, SP: 0x7f00, IP: 0x401000}, "-1 0x7f00 0x401000\n"},
		{procfs.CallState{Number: 7, Arguments: [6]uint64{1, 0, 0xff}, SP: 0x7f00, IP: 0x401000}, "7 0x1 0x0 0xff 0x0 0x0 0x0 0x7f00 0x401000\n"},
	} {
		s.tasks[1000].call = c.state
		if got := w.Read("/proc/1000/syscall"); got != c.want {
			t.Errorf("%+v: %q, want %q", c.state, got, c.want)
		}
	}
}

func TestPersonalityIsShownToWhoMayInspect(t *testing.T) {
	w, s := newWorld(t)
	s.tasks[1000].info.Personality = 0x40008
	if got := w.Read("/proc/1000/personality"); got != "00040008\n" {
		t.Errorf("the personality is %q", got)
	}
	w.Caller.Cred, w.Caller.PID = cred.User(1000, 5), 7
	f := w.Open("/proc/1000/personality", unix.O_RDONLY, 0)
	defer f.DecRef()
	s.tasks[1000].private = true
	if _, err := f.ReadAt(newBuffer("........"), 0); err != unix.EPERM {
		t.Errorf("reading that of a process that may not be inspected: %v, want EPERM", err)
	}
}

func TestWchanIsHiddenFromOtherUsers(t *testing.T) {
	w, s := newWorld(t)
	s.tasks[1000].sleepsIn = "task.sleep"
	if got := w.Read("/proc/1000/wchan"); got != "task.sleep" {
		t.Errorf("wchan is %q", got)
	}
	w.Caller.Cred, w.Caller.PID = cred.User(1001, 5), 7
	if got := w.Read("/proc/1000/wchan"); got != "0" {
		t.Errorf("wchan for another user is %q", got)
	}
}

// buffer is the source or the sink of a transfer.
type buffer struct {
	bytes []byte
	at    int
}

func newBuffer(s string) *buffer { return &buffer{bytes: []byte(s)} }

func (b *buffer) Remaining() int { return len(b.bytes) - b.at }
func (b *buffer) done() string   { return string(b.bytes[:b.at]) }

func (b *buffer) Unget(n int) { b.at -= n }

func (b *buffer) Put(p []byte) (int, error) {
	n := copy(b.bytes[b.at:], p)
	b.at += n
	return n, nil
}

func (b *buffer) Get(p []byte) (int, error) {
	n := copy(p, b.bytes[b.at:])
	b.at += n
	return n, nil
}

func TestStackFileNeedsPrivilegesOfItsOpener(t *testing.T) {
	w, _ := newWorld(t)
	if got := w.Read("/proc/1000/stack"); got != "[<0>] task.sleep+0x1\n" {
		t.Errorf("stack is %q", got)
	}
	w.Caller.Cred = cred.User(1000, 5)
	f := w.Open("/proc/1000/stack", unix.O_RDONLY, 0)
	defer f.DecRef()
	if _, err := f.Read(newBuffer("....")); err != unix.EACCES {
		t.Errorf("a read without CAP_SYS_ADMIN: %v", err)
	}
}

func TestIOFileShowsWhatWasReadAndWritten(t *testing.T) {
	w, s := newWorld(t)
	i := &s.tasks[1000].info
	i.ReadBytes, i.WriteBytes, i.ReadCalls, i.WriteCalls, i.BlocksOut = 1, 2, 3, 4, 5
	const want = "rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 0\nwrite_bytes: 2560\ncancelled_write_bytes: 0\n"
	if got := w.Read("/proc/1000/io"); got != want {
		t.Errorf("io is %q, want %q", got, want)
	}
	w.Caller.Cred, w.Caller.PID = cred.User(1001, 5), 7
	at := w.At("/proc/1000/io")
	if _, err := at.Open(unix.O_RDONLY, 0); err != unix.EACCES {
		t.Errorf("open by another user: %v", err)
	}
}
