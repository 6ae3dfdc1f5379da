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

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"slowpath/hostlink"
	"slowpath/qemu"
	"slowpath/qemu/initramfs"
)

// kernelVariable names the environment variable that holds the kernel's path.
// If it is not set, the kernel is in the directory of the command.
const kernelVariable = "SLOWPATH_KERNEL"

// errTimeout is the cause of a run's cancellation after --timeout.
var errTimeout = errors.New("the time is up")

// signalError is the cause of a run's cancellation by a signal to the command.
type signalError struct{ signal syscall.Signal }

func (e signalError) Error() string { return e.signal.String() }

// run is the subcommand run.
func run(std standard, args []string) int {
	return runParsed(std, args, parseRunFlags, runHelp, "slowpath help run explains the flags")
}

// runParsed runs the program that the command line of a subcommand names, or prints the
// subcommand's help, and returns the exit code. advice ends the message about a wrong
// command line.
func runParsed(std standard, args []string, parse func(args []string) (*runFlags, error), help func(w io.Writer), advice string) int {
	flags, err := parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		help(std.out)
		return exitSuccess
	}
	if err != nil {
		return fail(std, "%v; %s", err, advice)
	}
	return runWith(std, flags)
}

// runWith runs the program that the flags name and returns the exit code.
func runWith(std standard, flags *runFlags) int {
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

// configure turns the flags into QEMU's configuration, including the root file
// system. It does not start QEMU.
func (f *runFlags) configure(std standard) (*qemu.Config, error) {
	archive, err := f.buildInitramfs(std)
	if err != nil {
		return nil, err
	}
	kernel, err := findKernel()
	if err != nil {
		return nil, err
	}
	memory, err := f.chooseMemory(len(archive) + f.probes.memory())
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
		Accel: accel, CPUs: int(f.cpus), MemoryMiB: memory, GDB: f.gdb,
	}
	if f.icount {
		config.Icount = qemu.Deterministic
	}
	return config, config.Check()
}

// commandLine returns the kernel's command line. It has quiet unless the log is
// shown or kept, because each character takes time on an emulated serial port.
func (f *runFlags) commandLine() string {
	line := "console=ttyS0 panic=-1"
	if !f.verbose && f.log == "" {
		line += " quiet"
	}
	if f.watched() {
		line += " slowpath.exits"
	}
	if f.core != "" {
		line += " slowpath.core"
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
			return "", fmt.Errorf("the path of this command is unknown (%w); set %s to the path of kernel.elf", err, kernelVariable)
		}
		if self, err = filepath.EvalSymlinks(self); err != nil {
			return "", fmt.Errorf("the path of this command is unknown (%w); set %s to the path of kernel.elf", err, kernelVariable)
		}
		kernel = filepath.Join(filepath.Dir(self), "kernel.elf")
	}
	info, err := os.Stat(kernel)
	if err != nil || !info.Mode().IsRegular() {
		return "", fmt.Errorf("there is no kernel at %s; build it with make build, or set %s to its path", kernel, kernelVariable)
	}
	return filepath.Abs(kernel)
}

// The guest's memory use: the kernel's own, and a multiple of the archive's
// size, because the archive and the files unpacked from it exist at once.
const (
	kernelMiB  = 32
	mebibyte   = 1 << 20
	archiveUse = 2
)

// chooseMemory returns the guest's memory in MiB for an archive of the given
// size in bytes. It fails if --mem is too small for the archive.
func (f *runFlags) chooseMemory(archive int) (int, error) {
	need := kernelMiB + archiveUse*(archive+mebibyte-1)/mebibyte
	if f.memory == 0 {
		return max(qemu.DefaultMemoryMiB, 2*need), nil
	}
	if int(f.memory) < need {
		return 0, fmt.Errorf("%d MiB of memory is too few for the kernel and a root file system of %d MiB; give --mem %d or more", f.memory, (archive+mebibyte-1)/mebibyte, need)
	}
	return int(f.memory), nil
}

// execute runs QEMU and returns the exit code for its outcome.
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
			return fail(std, "cannot put the terminal into raw mode: %v; run without -t", err)
		}
		defer restore()
		streams.Resized = watchSize(ctx, std.in)
	}
	endWatch, err := f.watch(std, &streams)
	if err != nil {
		return fail(std, "%v", err)
	}
	var core *coreFile
	if f.core != "" {
		core = &coreFile{name: f.core}
		streams.Core = core.write
	}
	if f.probes.reporter != nil {
		streams.Probes = f.probes.reporter.Write
	}
	f.strace.connect(&streams)
	status, err := qemu.Run(ctx, config, streams)
	if straceErr := f.strace.close(std); straceErr != nil && err == nil {
		err = straceErr
	}
	if probeErr := f.probes.close(std); probeErr != nil && err == nil {
		err = probeErr
	}
	if core != nil {
		if coreErr := core.close(); coreErr != nil && err == nil {
			err = fmt.Errorf("cannot write the file of --core: %w", coreErr)
		}
	}
	if watchErr := endWatch(); watchErr != nil && err == nil {
		err = watchErr
	}
	if err != nil {
		return f.failure(std, err)
	}
	return f.exitCode(std, status)
}

// openLog returns the writer for the kernel's log, nil if it is not wanted, and
// a function that closes it.
func (f *runFlags) openLog(std standard) (log io.Writer, closeLog func(), err error) {
	var writers []io.Writer
	closeLog = func() {}
	if f.verbose {
		writers = append(writers, std.err)
	}
	if f.log != "" {
		file, err := os.Create(f.log)
		if err != nil {
			return nil, nil, fmt.Errorf("cannot write the file of --log: %w", err)
		}
		closeLog = func() { file.Close() }
		writers = append(writers, file)
	}
	if len(writers) == 0 {
		return nil, closeLog, nil
	}
	return io.MultiWriter(writers...), closeLog, nil
}

// context returns a context that is cancelled by --timeout and by the signals
// that ask a command to end.
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

// failure reports why QEMU gave no outcome and returns the exit code.
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

// exitCode turns the status that the kernel sent into an exit code.
func (f *runFlags) exitCode(std standard, status hostlink.Status) int {
	switch status.Outcome {
	case hostlink.Exited:
		return int(status.Value & 0xff)
	case hostlink.Signaled:
		return exitSignal + int(status.Value&0x7f)
	}
	if f.probes.refused() {
		return exitFailure
	}
	errno := unix.Errno(status.Value)
	fail(std, "the kernel cannot start %s: %v", f.program, errno)
	if errno == unix.ENOENT {
		return initramfs.CodeNotFound
	}
	return initramfs.CodeNotExecutable
}
