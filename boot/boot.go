// Package boot takes the machine over from the boot loader: it reads what PVH
// hands over, finds processors and interrupt controllers in ACPI's tables,
// builds the kernel's page tables, gives memory to the frame allocator, and
// starts package goos, on which the Go runtime then starts as if on Linux.
//
// Until then nothing of the runtime works: the code keeps to the rules of
// package goos (no allocation, no maps, no panics).
package boot

import (
	"unsafe"

	"slowpath/arch/amd64"
	"slowpath/goos"
	"slowpath/mm/frame"
)

// The stacks of entry_amd64.s.
var (
	stack      [65536]byte
	otherStack [16384]byte
)

// borders are addresses in the image, filled by the assembler.
var borders [6]uint64

// Indices of borders.
const (
	textStart = iota
	textEnd
	dataStart
	imageEnd
)

// Range is a range of physical addresses.
type Range struct{ Start, End uint64 }

// handover is what the boot loader said, kept for the kernel.
type handover struct {
	commandLine Range
	module      Range // the initramfs
	memory      uint64
	acpi        acpiTables
}

var machine handover

// CommandLine returns the kernel's command line.
func CommandLine() string { return string(physical(machine.commandLine)) }

// Initramfs returns the first PVH module, or nothing. It lies in memory that
// the caller owns until FreeInitramfs.
func Initramfs() []byte { return physical(machine.module) }

// FreeInitramfs gives the module's memory to the frame allocator. Nobody may
// use what Initramfs returned any more.
func FreeInitramfs() {
	first := (machine.module.Start + frame.Size - 1) / frame.Size
	for n := first; n < machine.module.End/frame.Size; n++ {
		goos.AddFrame(frame.Number(n))
	}
	machine.module = Range{}
}

// ImageSize returns how many bytes of memory the kernel's image takes.
func ImageSize() uint64 { return borders[imageEnd] - borders[textStart] }

// Memory returns how many bytes of memory the machine has.
func Memory() uint64 { return machine.memory }

// start is the first Go function, called by entry with the physical address
// of PVH's start information. When it returns, the runtime's first thread is
// current.
func start(info uint64) {
	amd64.KeepClock()
	goos.EarlyConsole()
	if !amd64.AdaptFSBase() {
		goos.Fatal("This CPU has no FSGSBASE, and this kernel cannot be fitted to it; start the machine with another, as by --cpu max.")
	}
	readStartInfo(info)
	amd64.DisablePIC()
	machine.acpi.find(machine.acpi.root)
	giveMemory(info)
	buildKernelTables(goos.Frames(), machine.memoryEnd())
	amd64.InitTables()
	goos.StartFirstCPU()
	startOthers()
	goos.StartRuntime()
}

// startInfo is hvm_start_info of the PVH protocol, version 1 (Xen,
// public/arch-x86/hvm/start_info.h).
type startInfo struct {
	magic, version, flags, modules uint32
	moduleList, commandLine, rsdp  uint64
	memoryMap                      uint64
	memoryMapEntries, _            uint32
}

type moduleEntry struct{ address, size, commandLine, _ uint64 }

type memoryEntry struct {
	address, size uint64
	kind, _       uint32
}

const (
	startInfoMagic = 0x336ec578
	usableMemory   = 1
	maxMemory      = 1 << 40
)

// at returns the object at a physical address.
func at[T any](physical uint64) *T { return (*T)(address(amd64.DirectMap + physical)) }

// address makes a kernel address into a pointer; it is never one of Go's heap.
// It is not inlined, because Go 1.26 fails to compile a copy between two
// constant addresses.
//
//go:noinline
func address(a uint64) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&a)) }

// physical returns the bytes of a range of physical memory.
func physical(r Range) []byte {
	if r.End <= r.Start {
		return nil
	}
	return unsafe.Slice(at[byte](r.Start), int(r.End-r.Start))
}

func readStartInfo(info uint64) {
	s := at[startInfo](info)
	if s.magic != startInfoMagic || s.version < 1 || s.memoryMapEntries == 0 {
		goos.Fatal("The boot loader gave no memory map; boot Slowpath through PVH version 1.")
	}
	machine.commandLine = stringAt(s.commandLine)
	machine.acpi.root = s.rsdp
	if s.modules > 0 {
		m := at[moduleEntry](s.moduleList)
		machine.module = Range{m.address, m.address + m.size}
	}
}

// stringAt returns where a string that ends with a zero byte lies.
func stringAt(a uint64) Range {
	const longest = 4096
	end := a
	for a != 0 && end-a < longest && *at[byte](end) != 0 {
		end++
	}
	return Range{a, end}
}
