// Package hostkernel is the whole kernel above arch, boot and goos, as a part of a
// Linux program: files, memory, tasks, system calls and the user loop, connected as
// in cmd/kernel. The hardware is a model: page tables are walked in Go, and user
// mode executes a program of package fuzz/program, one goroutine for each task.
//
// It serves tests under the race detector, coverage-guided fuzzing, and tests with
// injected panics and allocation failures. Only tests import it.
package hostkernel

import (
	stdelf "debug/elf"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/audit"
	"slowpath/clock"
	"slowpath/core"
	"slowpath/cred"
	"slowpath/entry"
	"slowpath/fs"
	"slowpath/fs/devfs"
	"slowpath/fs/procfs"
	"slowpath/fuzz/program"
	"slowpath/mm"
	"slowpath/sched"
	"slowpath/seccomp"
	"slowpath/syscall"
	"slowpath/task"
	"slowpath/task/elf"
	"slowpath/task/procview"
	"slowpath/trace"
	"slowpath/trace/calls"
	"slowpath/trace/probes"
	"slowpath/uprobe"
	"slowpath/vdso"
	"slowpath/vsyscall"
)

// userLimit is the end of user memory.
const userLimit = amd64.UserLimit

// Config configures a kernel.
type Config struct {
	// Frames is the number of frames of memory.
	Frames int
	// UID is the user of the program. 0 is root.
	UID uint32
	// Idle is how long all tasks must sleep until the program counts as ended.
	Idle time.Duration
	// Limit is the time after which the tasks are killed in any case.
	Limit time.Duration
	// Locks says that Run looks for held locks, which takes as long as many programs.
	Locks bool
	// Beside, if not nil, runs on a goroutine of its own while the program does. It must
	// return soon after stopped returns true, and leave nothing.
	Beside func(k *Kernel, stopped func() bool)
	// Audit makes audit be on from the start. It is on for programs of root in any case.
	Audit bool
	// Injection is a panic or an allocation failure, or nil.
	Injection *Injection
}

// patience is the time for the exit of all tasks after they were killed. A task
// that takes longer hangs.
const patience = 20 * time.Second

// cpus is the number of CPUs of the kernel.
const cpus = 2

// Kernel is a kernel that runs one program.
type Kernel struct {
	Tasks       *task.Kernel
	Probes      *uprobe.Probes
	seen        *calls.Calls
	audit       *audit.Audit
	traces      *trace.Registry
	definitions *probes.Set

	config     Config
	machine    *machine
	memory     *mm.Memory
	free       int // free frames before the kernel was made
	goroutines int // goroutines before the kernel was made
	mounts     *fs.Mounts
	root       fs.KernelCaller
	rootFiles  fs.Filesystem
	scheduler  *sched.Scheduler
	vdso       *vdso.VDSO
	duties     *entry.Table[*task.Task]
	loop       *entry.Loop[*task.Task]

	program  *program.Program
	next     atomic.Int32 // routines that are taken
	slots    [program.Slots]atomic.Uint64
	nextSlot atomic.Uint32
	users    sync.Map // *user by *amd64.Frame
	calls    atomic.Int64

	logMu sync.Mutex
	log   []string
}

// New returns a kernel with an empty file system, ready for Run.
func New(c Config) (*Kernel, error) {
	k := &Kernel{config: c, goroutines: runtime.NumGoroutine()}
	hardware, err := takeMachine(c.Frames)
	if err != nil {
		return nil, err
	}
	k.machine = &machine{Machine: hardware, injection: c.Injection}
	if k.memory, err = hardware.NewMemory(k.machine); err != nil {
		return nil, err
	}
	k.free = k.memory.Stats().Free
	k.mounts, k.root = core.NewMounts(k.memory, devfs.Config{
		Random: fill, Log: func(string) {}, ReadLog: func() []byte { return []byte("log\n") },
	})
	k.rootFiles = k.mounts.Root().Mount().Filesystem()
	if err := core.MountDevices(k.root, k.memory); err != nil {
		return nil, err
	}
	if err := k.makeTasks(); err != nil {
		return nil, err
	}
	return k, k.writeProgram()
}

// makeTasks creates the user loop and the kernel of package task.
func (k *Kernel) makeTasks() (err error) {
	k.scheduler = sched.New(cpus, nil)
	k.Probes, k.seen, k.audit = uprobe.New(k.memory), calls.New(), k.newAudit()
	if k.duties, err = core.NewDuties(k.owners()); err != nil {
		return err
	}
	visits := entry.NewRecorder(1, 8)
	if k.loop, err = core.NewLoop(k.duties, visits, k.Probes, vsyscall.ExecuteOnly); err != nil {
		return err
	}
	k.loop.SetModel(k.enterUser)
	if k.vdso, err = vdso.New(k.memory, vdso.Clock{Scale: 1 << 32}, clock.Parameters{}, vdso.ByInt80); err != nil {
		return err
	}
	k.Tasks = task.New(task.Config{
		Run: k.run, Memory: k.memory, VDSO: k.vdso, CPUs: cpus, Scheduler: k.scheduler,
		Random: fill, Log: k.logf,
	})
	tsc := trace.TSC{Start: amd64.TSC(), Scale: 1 << 32} // one tick is shown as a nanosecond
	if k.traces, err = core.NewTrace(k.Tasks, k.seen, func() int { return 0 }, tsc); err != nil {
		return err
	}
	if err := core.AddEvents(k.Tasks, k.traces, visits, func() int { return 0 }); err != nil {
		return err
	}
	core.RegisterSubsystems(k.Tasks, k.mounts, k.owners(), k.traces)
	k.Tasks.StartReaper()
	processors := func() []procfs.CPU { return make([]procfs.CPU, cpus) }
	proc := procfs.New(procview.New(k.Tasks, procview.Config{
		CPUs: processors, Release: "6.1", Version: "1", CallName: syscall.HandlerName,
		Seccomp: seccomp.Status, LoginUID: k.audit.LoginUID, SetLoginUID: k.audit.SetLoginUID, Sysctls: seccomp.Sysctls(k.Tasks.Settings()),
	}), procfs.Extra{Name: "slowpath"})
	if err := core.MountSystemFiles(k.root, k.Tasks, proc, procfs.SysfsCPUs{Count: cpus}); err != nil {
		return err
	}
	k.definitions, err = core.MountTracing(k.root, k.Tasks, k.traces, k.Probes)
	return err
}

// newAudit returns the audit. It is on from the start if the program may control it.
func (k *Kernel) newAudit() *audit.Audit {
	if k.config.UID == 0 || k.config.Audit {
		return audit.New(audit.Config{Boot: audit.BootOn})
	}
	return audit.New(audit.Config{})
}

// owners returns the owners of duties.
func (k *Kernel) owners() core.Owners {
	return core.Owners{Probes: k.Probes, Calls: k.seen, Audit: k.audit}
}

// fill stands for random bytes. They are the same in every run.
func fill(p []byte) {
	for i := range p {
		p[i] = byte(i*37 + 11)
	}
}

// logf keeps the lines of the kernel's log.
func (k *Kernel) logf(format string, arguments ...any) {
	k.logMu.Lock()
	defer k.logMu.Unlock()
	k.log = append(k.log, fmt.Sprintf(format, arguments...))
}

// panics returns the lines of the log that report a bug of the kernel.
func (k *Kernel) panics() string {
	k.logMu.Lock()
	defer k.logMu.Unlock()
	var found []string
	for _, line := range k.log {
		if !strings.HasPrefix(line, "Out of memory") && !strings.HasPrefix(line, "audit: ") && !strings.HasPrefix(line, "kauditd_printk_skb: ") && !strings.Contains(line, "injected in a ") {
			found = append(found, line)
		}
	}
	return strings.Join(found, "\n")
}

// at returns a path for file operations of the harness.
func (k *Kernel) at(name string) fs.At { return fs.At{Caller: k.root, Name: name, Follow: true} }

// executable is the ELF file of program.Executable: a page of code, and the data
// area.
var executable = func() []byte {
	const headers = elf.FileHeaderSize + 2*elf.HeaderSize
	image := program.Image(handlerAddress, restorerAddress)
	code := stdelf.Prog64{
		Type: uint32(stdelf.PT_LOAD), Flags: uint32(stdelf.PF_R | stdelf.PF_X), Vaddr: codeAddress,
		Filesz: headers, Memsz: mm.PageSize, Align: mm.PageSize,
	}
	data := stdelf.Prog64{
		Type: uint32(stdelf.PT_LOAD), Flags: uint32(stdelf.PF_R | stdelf.PF_W), Off: mm.PageSize, Vaddr: program.DataBase,
		Filesz: uint64(len(image)), Memsz: program.DataSize, Align: mm.PageSize,
	}
	file := elf.Headers(stdelf.ET_EXEC, codeAddress+headers, code, data)
	file = append(file, make([]byte, mm.PageSize-len(file))...)
	return append(file, image...)
}()

// writeProgram writes the executable, and makes /tmp writable for all users.
func (k *Kernel) writeProgram() error {
	f, err := k.at(program.Executable).Open(unix.O_WRONLY|unix.O_CREAT, 0o755)
	if err != nil {
		return err
	}
	defer f.DecRef()
	if _, err := f.Write(fs.NewBytesSource(executable)); err != nil {
		return err
	}
	tmp, err := k.at("/tmp").Lookup()
	if err != nil {
		return err
	}
	return tmp.ChangeMode(k.root, 0o1777)
}

// spawn starts the first task of the program in /tmp, with /dev/null as its standard
// files.
func (k *Kernel) spawn() error {
	context := fs.NewContext(k.mounts)
	directory, err := k.at("/tmp").Lookup()
	if err != nil {
		return err
	}
	context.SetDirectory(directory)
	table := fs.NewFDTable()
	for range 3 {
		f, err := k.at("/dev/null").Open(unix.O_RDWR, 0)
		if err != nil {
			return err
		}
		if _, err := table.Install(f, 0, fs.MaxDescriptors, fs.KeepOnExec); err != nil {
			return err
		}
	}
	c := cred.Root()
	if k.config.UID != 0 {
		c = cred.User(k.config.UID, k.config.UID)
	}
	_, err = k.Tasks.Spawn(task.SpawnRequest{
		Path: program.Executable, Argv: []string{program.Executable}, FDs: table, FS: context, Credentials: c,
	})
	return err
}
