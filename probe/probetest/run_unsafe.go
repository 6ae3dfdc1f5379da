package probetest

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"slowpath/arch/amd64"
)

// Hit is a program that has stopped at a breakpoint. It implements fetch.Memory.
type Hit struct {
	// Address is that of the breakpoint.
	Address uint64
	Frame   *amd64.Frame
	pid     int
}

// Maps returns the executable mappings of the program, in the format of package probespec.
func (h *Hit) Maps() []byte {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", h.pid))
	var maps []byte
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 6 && f[1][2] == 'x' {
			maps = fmt.Appendf(maps, "%s %s %s %s\n", f[0], f[1], f[2], f[5])
		}
	}
	return maps
}

// Load reads the memory of the program.
func (h *Hit) Load(address uint64, dst []byte) error {
	n, err := syscall.PtracePeekData(h.pid, uintptr(address), dst)
	if err == nil && n < len(dst) {
		err = syscall.EFAULT
	}
	return err
}

// Run runs a program that is linked for fixed addresses on the host's Linux, and calls f at
// each breakpoint. f returns further addresses for breakpoints, such as a return address.
// It skips the test where ptrace(2) does not work. It returns the output.
func Run(t testing.TB, program string, breakpoints []uint64, f func(h *Hit) (more []uint64)) string {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(program)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		t.Skipf("the program cannot be traced: %v", err)
	}
	r := &runner{t: t, pid: cmd.Process.Pid, original: map[uint64]byte{}}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(r.pid, &status, 0, nil); err != nil || !status.Stopped() {
		t.Fatalf("wait4: %v, %v", status, err)
	}
	for _, address := range breakpoints {
		r.set(address)
	}
	r.loop(f)
	text, _ := os.ReadFile(out.Name())
	return string(text)
}

// runner drives the traced program.
type runner struct {
	t        testing.TB
	pid      int
	original map[uint64]byte // of the bytes with breakpoints
}

const breakpoint = 0xcc

func (r *runner) poke(address uint64, b byte) {
	if _, err := syscall.PtracePokeData(r.pid, uintptr(address), []byte{b}); err != nil {
		r.t.Fatalf("a breakpoint at %#x: %v", address, err)
	}
}

func (r *runner) set(address uint64) {
	if _, known := r.original[address]; known {
		return
	}
	var b [1]byte
	if _, err := syscall.PtracePeekData(r.pid, uintptr(address), b[:]); err != nil {
		r.t.Fatalf("the code at %#x: %v", address, err)
	}
	r.original[address] = b[0]
	r.poke(address, breakpoint)
}

func (r *runner) loop(f func(h *Hit) []uint64) {
	signal := 0
	for {
		if err := syscall.PtraceCont(r.pid, signal); err != nil {
			r.t.Fatal(err)
		}
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(r.pid, &status, 0, nil); err != nil {
			r.t.Fatal(err)
		}
		if !status.Stopped() {
			return
		}
		signal = int(status.StopSignal())
		if status.StopSignal() == syscall.SIGTRAP {
			if arrived, ok := r.hit(f); ok {
				signal = arrived
			}
		}
	}
}

// hit calls f for a breakpoint and steps over it. It returns a signal that has arrived in
// the meantime, or 0. It reports false for another stop.
func (r *runner) hit(f func(h *Hit) []uint64) (arrived int, ok bool) {
	var regs syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(r.pid, &regs); err != nil {
		r.t.Fatal(err)
	}
	address := regs.Rip - 1
	original, ok := r.original[address]
	if !ok {
		return 0, false
	}
	regs.Rip = address
	if err := syscall.PtraceSetRegs(r.pid, &regs); err != nil {
		r.t.Fatal(err)
	}
	for _, more := range f(&Hit{address, r.frame(&regs), r.pid}) {
		r.set(more)
	}
	r.poke(address, original)
	arrived = r.step()
	r.poke(address, breakpoint)
	return arrived, true
}

// step executes one instruction. It returns a signal that has arrived before, which the
// program gets after the step, or 0: its handler would execute the instruction again.
func (r *runner) step() (arrived int) {
	for {
		if err := syscall.PtraceSingleStep(r.pid); err != nil {
			r.t.Fatal(err)
		}
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(r.pid, &status, 0, nil); err != nil {
			r.t.Fatal(err)
		}
		if !status.Stopped() || status.StopSignal() == syscall.SIGTRAP {
			return arrived
		}
		arrived = int(status.StopSignal())
	}
}

// frame converts the registers.
func (r *runner) frame(regs *syscall.PtraceRegs) *amd64.Frame {
	f := &amd64.Frame{
		RAX: regs.Rax, RBX: regs.Rbx, RCX: regs.Rcx, RDX: regs.Rdx, RSI: regs.Rsi, RDI: regs.Rdi, RBP: regs.Rbp, RSP: regs.Rsp,
		R8: regs.R8, R9: regs.R9, R10: regs.R10, R11: regs.R11, R12: regs.R12, R13: regs.R13, R14: regs.R14, R15: regs.R15,
		RIP: regs.Rip, RFLAGS: regs.Eflags,
	}
	const getFPRegs, vectors = 14, 160 // PTRACE_GETFPREGS, xmm_space of user_fpregs_struct
	var area [512]byte
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PTRACE, getFPRegs, uintptr(r.pid), 0, uintptr(unsafe.Pointer(&area)), 0, 0); errno != 0 {
		r.t.Fatal(errno)
	}
	for i := range f.XMM {
		copy(f.XMM[i][:], area[vectors+16*i:])
	}
	return f
}

// Word reads 8 bytes of the program's memory, 0 if they cannot be read.
func (h *Hit) Word(address uint64) uint64 {
	var b [8]byte
	h.Load(address, b[:])
	return binary.LittleEndian.Uint64(b[:])
}
