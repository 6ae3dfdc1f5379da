package integration

import (
	"debug/dwarf"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/arch/x86/x86asm"
)

// instruction is one instruction of the trampolines or of the vectors' stubs.
type instruction struct {
	address uint64
	place   string // the function and label, such as "trap.fromKernel", or the stub, such as "stub 14"
	mnemo   x86asm.Op
}

// trampolineSource is the source file of the trampolines.
const trampolineSource = "../../arch/amd64/trampoline_amd64.s"

// The vectors' stubs (boot/image) have 16 bytes each and start at amd64.StubBase.
const (
	stubBase = 0xffffffff80108000
	stubSize = 16
	vectors  = 256
)

// The vectors that the tests use (SDM vol. 3A, 6.3.1).
const (
	vectorNMI          = 2
	vectorDoubleFault  = 8
	vectorPageFault    = 14
	vectorMachineCheck = 18
)

// stub returns the address of a vector's stub.
func stub(vector uint64) uint64 { return stubBase + stubSize*vector }

// trampolines returns all instructions of the trampolines and of the stubs, sorted
// by address.
func trampolines(t *testing.T) []instruction {
	t.Helper()
	raw, err := elf.Open(filepath.Join(binaries, "kernel.raw"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	places := placesOf(t, raw)
	var all []instruction
	for name, symbol := range textsOf(t, raw) {
		code, err := codeAt(raw, symbol.Value, symbol.Size)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, decode(t, code, symbol.Value, func(a uint64) string { return places[a] })...)
	}
	all = append(all, stubs(t)...)
	slices.SortFunc(all, func(a, b instruction) int { return int(int64(a.address - b.address)) })
	return all
}

// textNames matches the line that begins a function in the source.
var textNames = regexp.MustCompile(`(?m)^(?:TEXT ·(\w+)\(SB\)|(?:SYSENTER_)?LANDING\(·(\w+),)`)

// textsOf returns the symbols of the functions in the source by name.
func textsOf(t *testing.T, raw *elf.File) map[string]elf.Symbol {
	t.Helper()
	source, err := os.ReadFile(trampolineSource)
	if err != nil {
		t.Fatal(err)
	}
	symbols, err := raw.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]elf.Symbol{}
	for _, s := range symbols {
		if name, ok := strings.CutPrefix(s.Name, "slowpath/arch/amd64."); ok && (byName[name].Size == 0 || strings.HasSuffix(name, ".abi0")) {
			byName[strings.TrimSuffix(name, ".abi0")] = s
		}
	}
	texts := map[string]elf.Symbol{}
	for _, m := range textNames.FindAllStringSubmatch(string(source), -1) {
		name := m[1] + m[2]
		if byName[name].Size == 0 {
			t.Fatalf("the kernel has no symbol for the function %s", name)
		}
		texts[name] = byName[name]
	}
	return texts
}

// symbol returns the address of a symbol of a test program.
func symbol(t testing.TB, program, name string) uint64 {
	t.Helper()
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	symbols, err := file.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range symbols {
		if s.Name == name {
			return s.Value
		}
	}
	t.Fatalf("%s has no symbol %s", program, name)
	return 0
}

// codeAt returns the bytes of an executable at a virtual address.
func codeAt(f *elf.File, address, size uint64) ([]byte, error) {
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && address >= p.Vaddr && address+size <= p.Vaddr+p.Filesz {
			code := make([]byte, size)
			_, err := p.ReadAt(code, int64(address-p.Vaddr))
			return code, err
		}
	}
	return nil, fmt.Errorf("the executable has no segment at %#x", address)
}

// decode splits code into its instructions.
func decode(t *testing.T, code []byte, address uint64, place func(uint64) string) []instruction {
	t.Helper()
	var out []instruction
	for len(code) > 0 {
		i, err := x86asm.Decode(code, 64)
		if err != nil {
			t.Fatalf("at %#x: %v", address, err)
		}
		out = append(out, instruction{address, place(address), i.Op})
		code, address = code[i.Len:], address+uint64(i.Len)
	}
	return out
}

// stubs returns the instructions of the stubs. Each stub ends with a jump.
func stubs(t *testing.T) []instruction {
	t.Helper()
	linked, err := elf.Open(filepath.Join(binaries, "kernel.elf"))
	if err != nil {
		t.Fatal(err)
	}
	defer linked.Close()
	var out []instruction
	for v := range uint64(vectors) {
		code, err := codeAt(linked, stub(v), stubSize)
		if err != nil {
			t.Fatal(err)
		}
		place := fmt.Sprintf("stub %d", v)
		for _, i := range decode(t, code, stub(v), func(uint64) string { return place }) {
			out = append(out, i)
			if i.mnemo == x86asm.JMP {
				break
			}
		}
	}
	return out
}

// placesOf returns the place of each address of the trampolines, from the DWARF line
// table.
func placesOf(t *testing.T, raw *elf.File) map[uint64]string {
	t.Helper()
	lines := labelsOfLines(t)
	data, err := raw.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	places := map[uint64]string{}
	for units := data.Reader(); ; units.SkipChildren() {
		unit, err := units.Next()
		if err != nil {
			t.Fatal(err)
		}
		if unit == nil {
			return places
		}
		if unit.Val(dwarf.AttrName) == "slowpath/arch/amd64" {
			addPlaces(t, data, unit, lines, places)
		}
	}
}

// addPlaces adds the places of one compilation unit. An entry of the line table is
// valid up to the address of the next.
func addPlaces(t *testing.T, data *dwarf.Data, unit *dwarf.Entry, lines []string, places map[uint64]string) {
	t.Helper()
	table, err := data.LineReader(unit)
	if err != nil {
		t.Fatal(err)
	}
	var from, to dwarf.LineEntry
	for {
		if err := table.Next(&to); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		if from.File != nil && filepath.Base(from.File.Name) == filepath.Base(trampolineSource) && !from.EndSequence {
			for a := from.Address; a < to.Address; a++ {
				places[a] = lines[from.Line]
			}
		}
		from = to
	}
}

// labelsOfLines returns the function and label for each line of the source, counted
// from 1.
func labelsOfLines(t *testing.T) []string {
	t.Helper()
	source, err := os.ReadFile(trampolineSource)
	if err != nil {
		t.Fatal(err)
	}
	label := regexp.MustCompile(`^(\w+):`)
	lines, text, place := []string{""}, "", ""
	for line := range strings.Lines(string(source)) {
		if m := textNames.FindStringSubmatch(line); m != nil {
			text = m[1] + m[2]
			place = text
		} else if m := label.FindStringSubmatch(line); m != nil {
			place = text + "." + m[1]
		}
		lines = append(lines, place)
	}
	return lines
}

// situation is an instruction at which the CPU is in a special state.
type situation struct {
	name  string
	place string
	n     int // the index of the instruction in the place; negative counts from the end
}

// situations are the states in which an NMI or a machine check is most difficult to
// handle.
var situations = []situation{
	{"the user's stack after SYSCALL", "landing0", 0},
	{"a partly pushed frame", "landing0", 5},
	{"the user's FS base", "landing0", 22},
	{"the user's stack before SYSRET", "EnterUser.sysret", -1},
	{"the stack pointer in the frame before IRETQ", "leave.general", -1},
	{"the first instruction of a page fault", "stub 14", 0},
	{"the first instruction of a step", "stub 1", 0},
	{"a partly popped exception frame", "trap.save", 20},
	{"the stack of package goos", "callGoos", -2},
	{"a user copy with SMAP disabled by AC", "copyUser.loaded", -3},
}

// find returns the instruction of a situation.
func (s situation) find(t *testing.T, all []instruction) instruction {
	t.Helper()
	var there []instruction
	for _, i := range all {
		if i.place == s.place {
			there = append(there, i)
		}
	}
	n := s.n
	if n < 0 {
		n += len(there)
	}
	if n < 0 || n >= len(there) {
		t.Fatalf("%s has %d instructions, not %d", s.place, len(there), s.n)
	}
	return there[n]
}

// inSituations returns one instruction for each situation, or in the long form all
// instructions that a program on one CPU reaches.
func inSituations(t *testing.T) []instruction {
	t.Helper()
	if long() {
		wanted, _ := swept(t, 1)
		return wanted
	}
	all := trampolines(t)
	var chosen []instruction
	for _, s := range situations {
		chosen = append(chosen, s.find(t, all))
	}
	return chosen
}

// TestTrampolineInstructionsAreFound checks that trampolines finds every function of
// the source, by the numbers of instructions of some of its places.
func TestTrampolineInstructionsAreFound(t *testing.T) {
	count := map[string]int{}
	for _, i := range trampolines(t) {
		count[i.place]++
	}
	for place, n := range map[string]int{"landing0": 53, "landing7": 53, "compat0": 48, "compat7": 48, "sysenter7": 7, "leave.general": 17, "EnterUser.stay": 3, "trap.nested": 2, "stub 14": 2, "stub 255": 3} {
		if count[place] != n {
			t.Errorf("%s has %d instructions, want %d", place, count[place], n)
		}
	}
	if count[""] != 0 || len(count) < vectors+30 {
		t.Errorf("%d instructions have no place; the places are %v", count[""], slices.Sorted(maps.Keys(count)))
	}
}
