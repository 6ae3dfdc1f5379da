// Package boot takes over the machine from the boot loader. It reads PVH's start
// information, finds CPUs and interrupt controllers in ACPI's tables, builds the
// kernel's page tables, gives memory to the frame allocator, and starts package
// goos. The Go runtime then starts on goos as on Linux.
//
// Until then the runtime does not work, so the code keeps to the rules of package
// goos: no allocation, no maps, no panics.
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

// borders are the addresses where the image's parts begin, from the linker.
var borders [6]uint64

// Indices into borders.
const (
	textStart = iota
	textEnd
	dataStart
	imageEnd
)

// Range is a range of physical addresses.
type Range struct{ Start, End uint64 }

// handover is what the kernel keeps of the boot loader's information.
type handover struct {
	commandLine Range
	module      Range // the initramfs
	memory      uint64
	acpi        acpiTables
}

var machine handover

// CommandLine returns the kernel's command line. Goroutines call it.
func CommandLine() string { return string(physical(machine.commandLine)) }

// Initramfs returns the first PVH module, or nil. The memory is valid until
// FreeInitramfs. Goroutines call it.
func Initramfs() []byte { return physical(machine.module) }

// FreeInitramfs gives the module's memory to the frame allocator. What Initramfs
// returned must not be used any more. Goroutines call it, once.
func FreeInitramfs() {
	first := (machine.module.Start + frame.Size - 1) / frame.Size
	for n := first; n < machine.module.End/frame.Size; n++ {
		goos.AddFrame(frame.Number(n))
	}
	machine.module = Range{}
}

// ImageSize returns the size of the kernel's image in memory, in bytes. Any
// context.
func ImageSize() uint64 { return borders[imageEnd] - borders[textStart] }

// Memory returns the size of the machine's memory, in bytes. Any context.
func Memory() uint64 { return machine.memory }

// start is the first Go function. entry calls it with the physical address of
// PVH's start information. When it returns, the runtime's first thread is the
// current one.
func start(info uint64) {
	amd64.KeepClock()
	goos.EarlyConsole()
	if !amd64.ApplyAlternatives() {
		goos.Fatal("This CPU has no FSGSBASE, and the kernel's code could not be patched for it. Start the machine with another CPU, for example by --cpu max.")
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
// public/arch-x86/hvm/start_info.h). moduleEntry is its hvm_modlist_entry,
// memoryEntry its hvm_memmap_table_entry.
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

// address converts a kernel address, never one of Go's heap, into a pointer. It
// is not inlined, because Go 1.26 fails to compile a copy between two constant
// addresses.
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
		goos.Fatal("The boot loader passed no memory map. Boot Slowpath through PVH version 1 or newer.")
	}
	machine.commandLine = stringAt(s.commandLine)
	machine.acpi.root = s.rsdp
	if s.modules > 0 {
		m := at[moduleEntry](s.moduleList)
		machine.module = Range{m.address, m.address + m.size}
	}
}

// stringAt returns the range of a zero-terminated string.
func stringAt(a uint64) Range {
	const longest = 4096
	end := a
	for a != 0 && end-a < longest && *at[byte](end) != 0 {
		end++
	}
	return Range{a, end}
}
