package qemu

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// VM is a running QEMU process. The caller must call Close.
type VM struct {
	cmd      *exec.Cmd
	channels [channelCount]net.Conn
	stderr   *tail

	exited  chan struct{} // closed when QEMU has ended and is reaped
	waitErr error         // valid after exited is closed
	kill    sync.Once
}

// stderrKept is the number of bytes of QEMU's own messages that are kept for an
// error message.
const stderrKept = 4 << 10

// Start starts QEMU and returns without waiting for the guest's boot. QEMU is
// killed when this process ends, even if it ends by SIGKILL. Start fails, with a
// sentence for the user, if [Config.Check] fails or QEMU is not installed or
// cannot be started.
func Start(c *Config) (*VM, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	binary, err := exec.LookPath(Binary)
	if err != nil {
		return nil, fmt.Errorf("%s is not installed; on Debian, install it with: apt-get install qemu-system-x86", Binary)
	}
	vm := &VM{cmd: exec.Command(binary, c.Args()...), stderr: newTail(stderrKept), exited: make(chan struct{})}
	vm.cmd.Stdout = vm.stderr
	vm.cmd.Stderr = vm.stderr
	if err := vm.addFiles(c); err != nil {
		vm.closeFiles()
		return nil, err
	}
	if err := vm.launch(); err != nil {
		vm.closeFiles()
		return nil, fmt.Errorf("cannot start %s: %w", binary, err)
	}
	return vm, nil
}

// addFiles creates the channels and the initramfs, in the order of the file
// descriptors in [Config.Args].
func (vm *VM) addFiles(c *Config) error {
	for i := range vm.channels {
		ours, theirs, err := socketPair()
		if err != nil {
			return fmt.Errorf("cannot create a channel to QEMU: %w", err)
		}
		vm.channels[i] = ours
		vm.cmd.ExtraFiles = append(vm.cmd.ExtraFiles, theirs)
	}
	if len(c.Initramfs) == 0 {
		return nil
	}
	file, err := memoryFile("initramfs", c.Initramfs)
	if err != nil {
		return fmt.Errorf("cannot hold the initramfs in memory: %w", err)
	}
	vm.cmd.ExtraFiles = append(vm.cmd.ExtraFiles, file)
	return nil
}

// closeFiles closes this process's copies of QEMU's files. If QEMU did not start,
// it closes the channels too.
func (vm *VM) closeFiles() {
	for _, file := range vm.cmd.ExtraFiles {
		file.Close()
	}
	if vm.cmd.Process != nil {
		return
	}
	for _, conn := range vm.channels {
		if conn != nil {
			conn.Close()
		}
	}
}

// launch starts QEMU from a locked OS thread that lives until QEMU ends. The host
// sends the parent-death signal (prctl(2), PR_SET_PDEATHSIG) when the thread that
// forked ends, not when its process ends.
func (vm *VM) launch() error {
	vm.cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL,
		Setpgid:   true, // so that Ctrl-C at the terminal reaches only the host command
	}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := vm.cmd.Start()
		started <- err
		if err == nil {
			vm.waitErr = vm.cmd.Wait()
			close(vm.exited)
		}
	}()
	err := <-started
	if err == nil {
		vm.closeFiles()
	}
	return err
}

// Log returns the stream of the kernel's log. It ends when QEMU ends.
func (vm *VM) Log() io.Reader { return vm.channels[logChannel] }

// Link returns the stream of the host link (package hostlink). Reads and writes
// fail after QEMU has ended or Close was called.
func (vm *VM) Link() net.Conn { return vm.channels[linkChannel] }

// Monitor returns the stream of QEMU's monitor; see [NewMonitor].
func (vm *VM) Monitor() net.Conn { return vm.channels[monitorChannel] }

// Exited returns a channel that is closed when QEMU has ended.
func (vm *VM) Exited() <-chan struct{} { return vm.exited }

// PID returns QEMU's process id. It is valid until Exited is closed; after that
// the host may give the id to another process.
func (vm *VM) PID() int { return vm.cmd.Process.Pid }

// Close kills QEMU if it still runs, waits for its end, and closes the channels.
// It may be called more than once and from any goroutine.
func (vm *VM) Close() {
	vm.kill.Do(func() { vm.cmd.Process.Kill() })
	<-vm.exited
	for _, conn := range vm.channels {
		conn.Close()
	}
}

// Failure returns an error that describes the end of a QEMU that was not killed
// by Close, with QEMU's own messages. It must be called after Exited is closed.
// It never returns nil.
func (vm *VM) Failure() error {
	message := strings.TrimSpace(vm.stderr.String())
	var exit *exec.ExitError
	switch {
	case message != "":
		return fmt.Errorf("QEMU ended: %s", message)
	case errors.As(vm.waitErr, &exit):
		return fmt.Errorf("QEMU ended with %v", exit.ProcessState)
	case vm.waitErr != nil:
		return fmt.Errorf("QEMU ended: %w", vm.waitErr)
	}
	return errors.New("QEMU ended because the guest powered off")
}

// socketPair returns a connected pair of sockets: this process's end, and the
// child's end as a file.
func socketPair() (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours := os.NewFile(uintptr(fds[0]), "channel")
	defer ours.Close() // FileConn duplicates it
	theirs := os.NewFile(uintptr(fds[1]), "channel of QEMU")
	conn, err := net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return conn, theirs, nil
}

// memoryFile returns a memory file (memfd_create(2)) with the given content.
func memoryFile(name string, content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), name)
	if _, err := file.Write(content); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
