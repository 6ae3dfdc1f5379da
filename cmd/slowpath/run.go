package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/hostlink"
	"slowpath/qemu"
	"slowpath/qemu/initramfs"
)

// kernelVariable names the environment variable that holds the kernel's path;
// without it the kernel lies beside the command.
const kernelVariable = "SLOWPATH_KERNEL"

// errTimeout and signalError are causes for which a run is given up.
var errTimeout = errors.New("the time is up")

// signalError is a signal that the command got.
type signalError struct{ signal syscall.Signal }

func (e signalError) Error() string { return e.signal.String() }

// run is the subcommand run.
func run(std standard, args []string) int {
	flags, err := parseRunFlags(args)
	if err != nil {
		return fail(std, "%v; slowpath help run explains the flags", err)
	}
	config, err := flags.configure(std)
	if err != nil {
		var problem *initramfs.ProgramError
		if errors.As(err, &problem) {
			fail(std, "%v", problem)
			return problem.Code
		}
		return fail(std, "%v", err)
	}
	if flags.dryRun {
		fmt.Fprintln(std.out, config.Command())
		return exitSuccess
	}
	return flags.execute(std, config)
}

// configure turns the flags into QEMU's configuration, root file system and
// all. It starts nothing.
func (f *runFlags) configure(std standard) (*qemu.Config, error) {
	archive, err := f.buildInitramfs(std)
	if err != nil {
		return nil, err
	}
	kernel, err := findKernel()
	if err != nil {
		return nil, err
	}
	memory, err := f.chooseMemory(len(archive))
	if err != nil {
		return nil, err
	}
	accel := qemu.Accel(f.accel)
	if !f.dryRun {
		if accel, err = accel.Resolve(context.Background()); err != nil {
			return nil, err
		}
	}
	config := &qemu.Config{
		Kernel: kernel, Initramfs: archive, Append: f.commandLine(), Machine: f.machine, CPU: f.cpu,
		Accel: accel, CPUs: f.cpus, MemoryMiB: memory, GDB: f.gdb,
	}
	if f.icount {
		config.Icount = qemu.Deterministic
	}
	return config, config.Check()
}

// commandLine returns the kernel's command line. Each character of the log
// costs time on an emulated serial port, so it is quiet unless it is asked for.
func (f *runFlags) commandLine() string {
	line := "console=ttyS0 panic=-1"
	if !f.verbose && f.log == "" {
		line += " quiet"
	}
	if f.exits != "" {
		line += " slowpath.exits"
	}
	if f.append != "" {
		line += " " + f.append
	}
	return line
}

// findKernel returns the path of kernel.elf.
func findKernel() (string, error) {
	kernel := os.Getenv(kernelVariable)
	if kernel == "" {
		self, err := os.Executable()
		if err != nil {
			return "", fmt.Errorf("cannot tell where this command lies (%w); set %s to the path of kernel.elf", err, kernelVariable)
		}
		if self, err = filepath.EvalSymlinks(self); err != nil {
			return "", fmt.Errorf("cannot tell where this command lies (%w); set %s to the path of kernel.elf", err, kernelVariable)
		}
		kernel = filepath.Join(filepath.Dir(self), "kernel.elf")
	}
	info, err := os.Stat(kernel)
	if err != nil || !info.Mode().IsRegular() {
		return "", fmt.Errorf("there is no kernel at %s; build it by make build, or set %s to its path", kernel, kernelVariable)
	}
	return filepath.Abs(kernel)
}

// What the kernel itself takes, and what it gets at least when the user does
// not say how much memory there is to be.
const (
	kernelMiB  = 32
	mebibyte   = 1 << 20
	archiveUse = 2 // the archive and the files unpacked from it
)

// chooseMemory returns the guest's memory in MiB for an archive of that size.
func (f *runFlags) chooseMemory(archive int) (int, error) {
	need := kernelMiB + archiveUse*(archive+mebibyte-1)/mebibyte
	if f.memory == 0 {
		return max(qemu.DefaultMemoryMiB, 2*need), nil
	}
	if int(f.memory) < need {
		return 0, fmt.Errorf("%d MiB of memory are too few for the kernel and a root file system of %d MiB; give --mem %d or more", f.memory, (archive+mebibyte-1)/mebibyte, need)
	}
	return int(f.memory), nil
}

// execute runs QEMU and turns the outcome into an exit code.
func (f *runFlags) execute(std standard, config *qemu.Config) int {
	log, closeLog, err := f.openLog(std)
	if err != nil {
		return fail(std, "%v", err)
	}
	defer closeLog()
	ctx, cancel := f.context()
	defer cancel()
	streams := qemu.Streams{Stdout: std.out, Stderr: std.err, Log: log}
	if f.interactive && !f.icount {
		streams.Stdin = std.in
	}
	if f.terminal {
		restore, err := makeRaw(std.in)
		if err != nil {
			return fail(std, "cannot set the terminal up: %v", err)
		}
		defer restore()
		streams.Resized = watchSize(ctx, std.in)
	}
	var exits *exitsFile
	if f.exits != "" {
		if exits, err = newExitsFile(f.exits); err != nil {
			return fail(std, "%v", err)
		}
		streams.Visits = exits
	}
	status, err := qemu.Run(ctx, config, streams)
	if exits != nil {
		if closeErr := exits.Close(); closeErr != nil && err == nil {
			err = fmt.Errorf("cannot write the exits: %w", closeErr)
		}
	}
	if err != nil {
		return f.failure(std, err)
	}
	return f.exitCode(std, status)
}

// openLog opens what takes the kernel's log.
func (f *runFlags) openLog(std standard) (log io.Writer, closeLog func(), err error) {
	var writers []io.Writer
	closeLog = func() {}
	if f.verbose {
		writers = append(writers, std.err)
	}
	if f.log != "" {
		file, err := os.Create(f.log)
		if err != nil {
			return nil, nil, fmt.Errorf("cannot keep the kernel's log: %w", err)
		}
		closeLog = func() { file.Close() }
		writers = append(writers, file)
	}
	if len(writers) == 0 {
		return nil, closeLog, nil
	}
	return io.MultiWriter(writers...), closeLog, nil
}

// context ends when the time is up or the command gets a signal that means
// that it shall go.
func (f *runFlags) context() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	var timer <-chan time.Time
	if f.timeout > 0 {
		timer = time.After(time.Duration(f.timeout))
	}
	go func() {
		defer signal.Stop(signals)
		select {
		case s := <-signals:
			cancel(signalError{s.(syscall.Signal)})
		case <-timer:
			cancel(errTimeout)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(context.Canceled) }
}

// failure explains why there is no outcome.
func (f *runFlags) failure(std standard, err error) int {
	var got signalError
	switch {
	case errors.Is(err, errTimeout):
		fail(std, "%s did not end within %v", f.program, time.Duration(f.timeout))
		return exitTimeout
	case errors.As(err, &got):
		return exitSignal + int(got.signal)
	}
	return fail(std, "%v", err)
}

// exitCode turns the kernel's word on the program's end into an exit code.
func (f *runFlags) exitCode(std standard, status hostlink.Status) int {
	switch status.Outcome {
	case hostlink.Exited:
		return int(status.Value & 0xff)
	case hostlink.Signaled:
		return exitSignal + int(status.Value&0x7f)
	}
	errno := unix.Errno(status.Value)
	fail(std, "the kernel cannot start %s: %v", f.program, errno)
	if errno == unix.ENOENT {
		return initramfs.CodeNotFound
	}
	return initramfs.CodeNotExecutable
}
