package amd64

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unsafe"
)

// TestAssemblyOffsetsMatchStructures compares the constants of the assembly with
// the structures.
func TestAssemblyOffsetsMatchStructures(t *testing.T) {
	var f Frame
	var p perCPU
	want := map[string]uintptr{
		"F_RAX": unsafe.Offsetof(f.RAX), "F_RBX": unsafe.Offsetof(f.RBX),
		"F_RCX": unsafe.Offsetof(f.RCX), "F_RDX": unsafe.Offsetof(f.RDX),
		"F_RSI": unsafe.Offsetof(f.RSI), "F_RDI": unsafe.Offsetof(f.RDI),
		"F_RBP": unsafe.Offsetof(f.RBP), "F_R8": unsafe.Offsetof(f.R8),
		"F_R9": unsafe.Offsetof(f.R9), "F_R10": unsafe.Offsetof(f.R10),
		"F_R11": unsafe.Offsetof(f.R11), "F_R12": unsafe.Offsetof(f.R12),
		"F_R13": unsafe.Offsetof(f.R13), "F_R14": unsafe.Offsetof(f.R14),
		"F_R15": unsafe.Offsetof(f.R15), "F_VECTOR": unsafe.Offsetof(f.Vector),
		"F_ERROR": unsafe.Offsetof(f.Error), "F_RIP": unsafe.Offsetof(f.RIP),
		"F_CS": unsafe.Offsetof(f.CS), "F_RFLAGS": unsafe.Offsetof(f.RFLAGS),
		"F_RSP": unsafe.Offsetof(f.RSP), "F_SS": unsafe.Offsetof(f.SS),
		"F_THREADFLAGS": unsafe.Offsetof(f.ThreadFlags), "F_FLAGS": unsafe.Offsetof(f.Flags),
		"F_FSBASE": unsafe.Offsetof(f.FSBase), "F_KSP": unsafe.Offsetof(f.kernelSP),
		"F_KBP": unsafe.Offsetof(f.kernelBP), "F_CR2": unsafe.Offsetof(f.CR2),
		"F_ORIGRAX": unsafe.Offsetof(f.OrigRAX), "F_XMM": unsafe.Offsetof(f.XMM),
		"F_MXCSR":     unsafe.Offsetof(f.MXCSR),
		"P_USERFRAME": unsafe.Offsetof(p.userFrame), "P_USERSS": unsafe.Offsetof(p.userSS),
		"P_SCRATCH": unsafe.Offsetof(p.scratch), "P_KERNELFS": unsafe.Offsetof(p.kernelFS),
		"P_CURRENT": unsafe.Offsetof(p.current), "P_STACK": unsafe.Offsetof(p.stack),
		"P_IN_GOOS": unsafe.Offsetof(p.inGoos), "P_ROOT": unsafe.Offsetof(p.root), "P_NEXT_ROOT": unsafe.Offsetof(p.nextRoot),
	}
	source, err := os.ReadFile("trampoline_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, m := range regexp.MustCompile(`(?m)^#define ([FP]_\w+) (\d+)$`).FindAllStringSubmatch(string(source), -1) {
		offset, ok := want[m[1]]
		if !ok {
			t.Errorf("the assembly's %s is not in this test's list", m[1])
			continue
		}
		if got, _ := strconv.Atoi(m[2]); uintptr(got) != offset {
			t.Errorf("%s is %d in the assembly, %d in the structure", m[1], got, offset)
		}
		found++
	}
	for name, flag := range map[string]FrameFlags{
		"CALL_OVER": CallOver, "CALL32": Call32, "LEAVE_BY_IRET": LeaveByIRET, "VECTORS_VALID": vectorsValid,
	} {
		if line := fmt.Sprintf("#define %s %d\n", name, flag); !strings.Contains(string(source), line) {
			t.Errorf("the assembly does not have %q", line)
		}
	}
	if line := fmt.Sprintf("#define DR6_QUIET %#x\n", dr6Quiet); !strings.Contains(string(source), line) {
		t.Errorf("the assembly does not have %q", line)
	}
	if Call32 != FlagFixed {
		t.Error("the landing of 32-bit code does not set Call32")
	}
	if duties := fmt.Sprintf("#define ENTRY_DUTIES %#x\n", EntryDuties); !strings.Contains(string(source), duties) {
		t.Errorf("the assembly does not have %q", duties)
	}
	if found != len(want) {
		t.Errorf("%d of %d offsets found in the assembly", found, len(want))
	}
	if size := unsafe.Sizeof(p); size != perCPUStride {
		t.Errorf("a perCPU block has %d bytes, want %d", size, perCPUStride)
	}
	if f.Flags != 0 || unsafe.Offsetof(f.Flags) != unsafe.Offsetof(f.ThreadFlags)+4 || unsafe.Offsetof(f.ThreadFlags)%8 != 0 {
		t.Error("ThreadFlags and Flags are not the two halves of one word")
	}
}

// assemblyBudget is the maximum number of instruction lines of the kernel's
// assembly. Linux 6.1 has 691 in its entry files, gVisor's ring0 481.
const assemblyBudget = 300

// TestAssemblyStaysWithinBudget counts the instructions of the trampolines and the
// boot entry, macro bodies once. The wrappers of single instructions in
// registers_amd64.s do not count.
func TestAssemblyStaysWithinBudget(t *testing.T) {
	files, err := filepath.Glob("../../*/*.s")
	if err != nil {
		t.Fatal(err)
	}
	more, _ := filepath.Glob("../../*/*/*.s")
	total := 0
	for _, name := range append(files, more...) {
		if filepath.Base(name) == "registers_amd64.s" {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		n := countInstructions(string(source))
		t.Logf("%4d instructions in %s", n, strings.TrimPrefix(name, "../../"))
		total += n
	}
	if total > assemblyBudget || total < 100 {
		t.Errorf("%d instructions of assembly, the budget is %d", total, assemblyBudget)
	}
	t.Logf("%4d in all", total)
}

// countInstructions counts the instructions of assembly source, without
// directives, labels, comments and definitions of constants.
func countInstructions(source string) int {
	n := 0
	for line := range strings.Lines(source) {
		line, _, _ = strings.Cut(line, "//")
		line = oneLine.ReplaceAllString(line, "$1")
		line = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(line), `\`))
		for part := range strings.SplitSeq(line, ";") {
			part = strings.TrimSpace(part)
			if part == "" || strings.HasPrefix(part, "/*") || strings.HasSuffix(part, ":") ||
				directive.MatchString(part) || macroUse.MatchString(part) {
				continue
			}
			n++
		}
	}
	return n
}

var (
	directive = regexp.MustCompile(`^(#|TEXT|DATA|GLOBL)`)
	// macroUse matches the uses of macros, whose definitions count.
	macroUse = regexp.MustCompile(`^(LANDING|SYSENTER_LANDING|SAVE12|LOAD12|SAVE_VECTORS|LOAD_VECTORS|SAVE_FS|SET_FS|TO_CALLER|LEAVE_CALL|SYSRETQ|RETURN|from)\b`)
	// oneLine matches the beginning of the definition of a macro that has an
	// instruction on the same line.
	oneLine = regexp.MustCompile(`^#define \w+ ([A-Z]{2,} \S)`)
)

func TestCountInstructionsIgnoresDirectivesAndComments(t *testing.T) {
	source := "#define A 1\n#define RETURN BYTE $0xc3\n#define M(x) \\\n\tMOVQ x, AX; \\\n\tADDQ $1, AX\nTEXT ·f(SB), NOSPLIT, $0\nl:\n\tREP; MOVSQ // two\n\tRET\n"
	if n := countInstructions(source); n != 6 {
		t.Fatalf("counted %d, want 6", n)
	}
}
