package hostkernel

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/fs/unixsock"
	"slowpath/fuzz/program"
)

// Run runs a program, kills what is left of it, and checks that nothing of it stays:
// no task, goroutine, open file, held lock or frame. It returns what it finds.
func (k *Kernel) Run(p *program.Program) error {
	k.program = p
	if err := k.spawn(); err != nil {
		return fmt.Errorf("the program cannot be started: %w", err)
	}
	endBeside := k.startBeside()
	k.awaitIdle()
	err := k.killAll()
	endBeside()
	if err != nil {
		return err // the rest would only repeat it
	}
	for !k.scheduler.Quiescent() { // the goroutines of the last tasks end
		runtime.Gosched()
	}
	if i := k.config.Injection; i != nil {
		i.active.Store(false)
	}
	// Probes and their events outlive the tasks that have defined them.
	k.traces.Reset()
	if err = k.definitions.RemoveAll(); err != nil {
		return fmt.Errorf("the definitions of probes cannot be removed: %w", err)
	}
	err = errors.Join(k.checkLog(), k.checkGoroutines(), k.checkFiles())
	if k.config.Locks {
		err = errors.Join(err, k.checkLocks())
	}
	if err != nil {
		return err
	}
	if k.unmountAll() && k.mounts.OpenFiles() == 0 {
		if err := k.checkFrames(); err != nil {
			return err
		}
	}
	giveMachine(k.config.Frames, k.machine.Machine)
	return nil
}

// startBeside starts Config.Beside, and returns a function that waits for its end.
func (k *Kernel) startBeside() (end func()) {
	if k.config.Beside == nil {
		return func() {}
	}
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.config.Beside(k, stop.Load)
	}()
	return func() {
		stop.Store(true)
		<-done
	}
}

// Calls returns the number of system calls that tasks have made.
func (k *Kernel) Calls() int64 { return k.calls.Load() }

// awaitIdle returns when all tasks have exited or sleep, or after the limit.
func (k *Kernel) awaitIdle() {
	start := time.Now()
	busy := start // when a task was last seen to run
	for now := start; now.Sub(start) < k.config.Limit && now.Sub(busy) <= k.config.Idle; now = time.Now() {
		if k.Tasks.Threads() == 1 {
			return
		}
		if !k.scheduler.Quiescent() {
			busy = now
		}
		time.Sleep(20 * time.Microsecond)
	}
}

// killAll kills all processes and waits for their exit. The error is that some do
// not exit, with the stacks of all goroutines.
func (k *Kernel) killAll() error {
	for start := time.Now(); k.Tasks.Threads() > 1; {
		for _, g := range k.Tasks.Groups() {
			if g.PID() != 1 {
				g.Kill()
			}
		}
		if time.Since(start) > patience {
			return fmt.Errorf("tasks do not exit after SIGKILL: %s\n%s", k.left(), stacks())
		}
		if time.Since(start) > time.Millisecond {
			time.Sleep(100 * time.Microsecond)
		} else {
			runtime.Gosched()
		}
	}
	return nil
}

// left describes the tasks that have not exited.
func (k *Kernel) left() string {
	text := fmt.Sprintf("%d", k.Tasks.Threads()-1)
	for _, g := range k.Tasks.Groups() {
		text += fmt.Sprintf(", process %d of %d:", g.PID(), g.Leader().ParentPID())
		for _, t := range g.Threads() {
			text += fmt.Sprintf(" %d (%c)", t.TID(), t.StateLetter())
		}
	}
	return text
}

// stacks returns the stacks of all goroutines.
func stacks() string {
	b := make([]byte, 1<<20)
	return string(b[:runtime.Stack(b, true)])
}

// checkLog returns the panics that the kernel has logged.
func (k *Kernel) checkLog() error {
	if text := k.panics(); text != "" {
		return errors.New(text)
	}
	return nil
}

// checkGoroutines waits until the kernel's goroutines have ended.
func (k *Kernel) checkGoroutines() error {
	for start := time.Now(); runtime.NumGoroutine() > k.goroutines; {
		if time.Since(start) > patience {
			return fmt.Errorf("%d goroutines are left, %d at the start:\n%s", runtime.NumGoroutine(), k.goroutines, stacks())
		}
		runtime.Gosched()
	}
	return nil
}

// checkFiles checks that no open file is left. The end of a socket collects those that
// only hold each other, as on Linux. A call that panics may lose one reference that
// only its stack has.
func (k *Kernel) checkFiles() error {
	unixsock.New(k.mounts, k.root, unix.SOCK_STREAM, 0).DecRef()
	lost := int64(0)
	if k.panicked() {
		lost = 1
	}
	if n := k.mounts.OpenFiles(); n > lost {
		return fmt.Errorf("%d open files are left%s", n, k.injectedStack())
	}
	return nil
}

// panicked reports whether Injection has made the kernel panic.
func (k *Kernel) panicked() bool {
	return k.config.Injection != nil && k.config.Injection.panicked.Load()
}

// injectedStack returns the part of the log about an injected panic.
func (k *Kernel) injectedStack() string {
	k.logMu.Lock()
	defer k.logMu.Unlock()
	for _, line := range k.log {
		if strings.Contains(line, "injected in a ") {
			return "\n" + line
		}
	}
	return ""
}

// checkLocks checks that no lock of the kernel is held.
func (k *Kernel) checkLocks() error {
	if held := heldLocks(k.Tasks, k.mounts, k.memory); len(held) > 0 {
		return fmt.Errorf("locks are held: %s", strings.Join(held, ", "))
	}
	return nil
}

// unmountAll unmounts everything and frees the files of the root. A mount point in a
// directory of /proc may be gone; its mount goes with /proc. It reports false if a
// file system is mounted over the root: no path leads to that one.
func (k *Kernel) unmountAll() bool {
	for list := k.mountList(); len(list) > 1; list = k.mountList() {
		last := len(list) - 1
		for last > 0 && k.at(list[last].Point).Unmount(unix.MNT_DETACH) != nil {
			last--
		}
		if last == 0 {
			return false
		}
	}
	if files, ok := k.rootFiles.(interface{ Unmounted() }); ok {
		files.Unmounted()
	}
	k.vdso.Free()
	return true
}

func (k *Kernel) mountList() []fs.MountInfo { return k.mounts.List(k.root.Context.Root()) }

// checkFrames checks that all frames are free again.
func (k *Kernel) checkFrames() error {
	if free := k.memory.Stats().Free; free != k.free {
		return fmt.Errorf("%d frames are not free%s", k.free-free, k.injectedStack())
	}
	return nil
}

// RunInput decodes and runs an encoded program. Its first byte selects the kernel:
// see configOf. It returns the number of system calls made.
func RunInput(input []byte, injection *Injection) (calls int64, err error) {
	if len(input) == 0 {
		return 0, nil
	}
	c := configOf(input[0])
	c.Injection, c.Locks = injection, c.Locks || injection != nil
	k, err := New(c)
	if err != nil {
		return 0, fmt.Errorf("the kernel does not start: %w", err)
	}
	err = k.Run(program.Decode(input[1:]))
	return k.Calls(), err
}

// configOf returns the configuration that the first byte of an input selects: bit 0
// the user (root or 1000), bit 1 little memory, bits 2 and 3 a longer wait for
// timers. If bits 3 to 7 are 0, locks are checked.
func configOf(options byte) Config {
	c := Config{Frames: 4096, Idle: 200 * time.Microsecond, Limit: timeLimit}
	c.Locks = options&0xf8 == 0
	if options&1 != 0 {
		c.UID = 1000
	}
	if options&2 != 0 {
		c.Frames = 400
	}
	if options&0xc == 0xc {
		c.Idle = 2 * time.Millisecond
	}
	return c
}
