package insn_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A puppet is a traced process with one thread, stopped before its first instruction. The
// test writes an instruction into its memory, sets its registers, and steps it once.
type puppet struct {
	t      *testing.T
	pid    int
	shared []byte // the pages of all regions
	regs   unix.PtraceRegs
	vector []byte // the extended state that the puppet has
}

// region is a part of the shared memory, at an address of the puppet.
type region struct {
	address       uint64
	offset, pages int
	protection    int
}

const pageSize = 4096

// The regions of the puppet. An instruction is executed natively in home, and out of line in
// slot.
var (
	home   = region{0x1000_0000, 0, 1, unix.PROT_READ | unix.PROT_EXEC}
	slot   = region{0x7_0000_0000, pageSize, 1, unix.PROT_READ | unix.PROT_EXEC}
	memory = region{0x2000_0000, 2 * pageSize, 4, unix.PROT_READ | unix.PROT_WRITE}
)

func (r region) size() int { return r.pages * pageSize }

func (r region) of(p *puppet) []byte { return p.shared[r.offset : r.offset+r.size()] }

// newPuppet starts a puppet. The calling goroutine is its tracer, and keeps its thread.
func newPuppet(t *testing.T) *puppet {
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	fd, err := unix.MemfdCreate("puppet", 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "puppet")
	t.Cleanup(func() { file.Close() })
	length := memory.offset + memory.size()
	if err := file.Truncate(int64(length)); err != nil {
		t.Fatal(err)
	}
	shared, err := unix.Mmap(fd, 0, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(shared) })

	p := &puppet{t: t, shared: shared}
	p.start(file)
	for _, r := range []region{home, slot, memory} {
		p.mmap(r)
	}
	return p
}

func (p *puppet) start(shared *os.File) {
	program, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	c := exec.Command(program)
	c.ExtraFiles = []*os.File{shared} // descriptor 3
	c.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Pdeathsig: unix.SIGKILL}
	if err := c.Start(); err != nil {
		p.t.Skipf("no process can be traced here: %v", err)
	}
	p.pid = c.Process.Pid
	p.t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	p.wait()
	p.getRegisters()
}

func (p *puppet) wait() unix.Signal {
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(p.pid, &status, unix.WALL, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || !status.Stopped() {
			p.t.Fatalf("the puppet does not stop: %v, status %#x", err, status)
		}
		return status.StopSignal()
	}
}

func (p *puppet) getRegisters() {
	if err := unix.PtraceGetRegs(p.pid, &p.regs); err != nil {
		p.t.Fatal(err)
	}
}

// step executes one instruction, and returns the signal that it causes: SIGTRAP if there is
// no other.
func (p *puppet) step() unix.Signal {
	if err := unix.PtraceSetRegs(p.pid, &p.regs); err != nil {
		p.t.Fatalf("%v: %+v", err, p.regs)
	}
	if err := unix.PtraceSingleStep(p.pid); err != nil {
		p.t.Fatal(err)
	}
	s := p.wait()
	p.getRegisters()
	return s
}

// mmap makes the puppet map a region.
func (p *puppet) mmap(r region) {
	syscallCode := []byte{0x0f, 0x05}
	if _, err := unix.PtracePokeData(p.pid, uintptr(p.regs.Rip), syscallCode); err != nil {
		p.t.Fatal(err)
	}
	before := p.regs
	p.regs.Rax, p.regs.Orig_rax = unix.SYS_MMAP, ^uint64(0)
	p.regs.Rdi, p.regs.Rsi, p.regs.Rdx = r.address, uint64(r.size()), uint64(r.protection)
	p.regs.R10, p.regs.R8, p.regs.R9 = unix.MAP_SHARED|unix.MAP_FIXED_NOREPLACE, 3, uint64(r.offset)
	p.step()
	if p.regs.Rax != r.address {
		p.t.Fatalf("mmap of %#x returned %#x", r.address, p.regs.Rax)
	}
	p.regs = before
}

// ntX86XState is the register set of PTRACE_GETREGSET that is the XSAVE area.
const ntX86XState = 0x202

// registerSet reads or writes the extended state.
func (p *puppet) registerSet(request int, state []byte) int {
	v := unix.Iovec{Base: &state[0]}
	v.SetLen(len(state))
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, uintptr(request), uintptr(p.pid), ntX86XState, uintptr(unsafe.Pointer(&v)), 0, 0)
	if errno != 0 {
		p.t.Fatalf("request %#x for the extended state: %v", request, errno)
	}
	return int(v.Len)
}

// extendedState returns the extended state of the puppet.
func (p *puppet) extendedState(buffer []byte) []byte {
	buffer = buffer[:cap(buffer)]
	return buffer[:p.registerSet(unix.PTRACE_GETREGSET, buffer)]
}

// loadExtendedState sets the extended state unless the puppet has it.
func (p *puppet) loadExtendedState(state []byte) {
	if !bytes.Equal(p.vector, state) {
		p.registerSet(unix.PTRACE_SETREGSET, state)
		p.vector = append(p.vector[:0], state...)
	}
}

// faultAddress returns si_addr of the signal that the puppet stopped for.
func (p *puppet) faultAddress() uint64 {
	var info [128]byte
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GETSIGINFO, uintptr(p.pid), 0, uintptr(unsafe.Pointer(&info[0])), 0, 0)
	if errno != 0 {
		p.t.Fatal(errno)
	}
	return binary.LittleEndian.Uint64(info[16:])
}
