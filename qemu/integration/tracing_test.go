package integration

import (
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// tracedSymbols returns the addresses of symbols of the program traced, and the file
// offset of an address of its code.
func tracedSymbols(t *testing.T) (address map[string]uint64, offset func(address uint64) uint64) {
	t.Helper()
	f, err := elf.Open(program("traced"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	address = make(map[string]uint64)
	for _, s := range symbols {
		address[s.Name] = s.Value
	}
	programs := f.Progs
	return address, func(a uint64) uint64 {
		for _, p := range programs {
			if p.Type == elf.PT_LOAD && a >= p.Vaddr && a < p.Vaddr+p.Filesz {
				return a - p.Vaddr + p.Off
			}
		}
		t.Fatalf("no segment has the address %#x", a)
		return 0
	}
}

// tracingVolatile are the parts of the script's output that differ from run to run, or with
// the compiler.
var tracingVolatile = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`(?m)^ *(\S+)-\d+ +\[\d+\] \S+ +\d+\.\d{6}:`), "$1:"},
	{regexp.MustCompile(`(?m)^\[ *\d+\.\d{6}\]`), "[TIME]"},
	{regexp.MustCompile(`\(0x[0-9a-f]+ <- `), "(CALLER <- "},
	{regexp.MustCompile(`[\x00-\x08\x0e-\x1f]`), "."}, // of the ELF header, which is printed as a string
	{regexp.MustCompile(`(?m)^(\S+: write error|\S+: (line \d+: )?can't create [^:]*|ls: [^:]*): `), "error: "},
}

// tracingScript returns a script, and what it has printed on Linux 6.1.
func tracingScript(t *testing.T, name string) (script, want string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(sources, name+".sh"))
	if err != nil {
		t.Fatal(err)
	}
	output, err := os.ReadFile(filepath.Join(sources, name+".linux-6.1"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text), string(output)
}

// checkScript runs a script with one CPU and with four, and compares what it prints, after
// normalise, with want. The script finds the traced program in /tmp.
func checkScript(t *testing.T, traced, script string, normalise func(string) string, want string) {
	t.Helper()
	for _, cpus := range []string{"1", "4"} {
		t.Run("smp"+cpus, func(t *testing.T) {
			t.Parallel()
			got := onSlowpath(t, "", "--smp", cpus, "--mount-file", program(traced)+":/tmp/"+traced, "/bin/busybox", "sh", "-c",
				"exec 2>&1\n"+script)
			check(t, result{got.code, normalise(got.out), got.errors}, result{0, want, ""})
		})
	}
}

// TestTracefsBehavesAsOnLinux compares what the script tracing.sh prints with what it has
// printed on Linux 6.1 (Debian's kernel in QEMU). The host's Linux has another version, and
// its tracefs belongs to the host.
func TestTracefsBehavesAsOnLinux(t *testing.T) {
	address, offset := tracedSymbols(t)
	script, want := tracingScript(t, "tracing")
	variables := fmt.Sprintf("TRACED=/tmp/traced WORK=0x%016x LEAF=0x%016x NUMBERS=0x%x\n",
		offset(address["work"]), offset(address["leaf"]), address["numbers"])
	normalise := func(text string) string {
		for _, v := range tracingVolatile {
			text = v.pattern.ReplaceAllString(text, v.with)
		}
		for name, value := range map[string]uint64{
			"OFFSET_OF_WORK": offset(address["work"]), "OFFSET_OF_LEAF": offset(address["leaf"]),
		} {
			text = strings.ReplaceAll(text, fmt.Sprintf("0x%016x", value), name)
		}
		for _, name := range []string{"work", "leaf", "numbers"} {
			text = strings.ReplaceAll(text, fmt.Sprintf("0x%x", address[name]), strings.ToUpper(name))
		}
		return text
	}
	if directory := os.Getenv("SLOWPATH_TRACING_RECORD"); directory != "" {
		recordTracing(t, directory, variables+script, normalise)
		return
	}
	checkScript(t, "traced", variables+script, normalise, want)
}

// TestEventsOfCallsBehaveAsOnLinux compares what the script tracing_calls.sh prints with
// what it has printed on Linux 6.1 (Debian's kernel in QEMU).
func TestEventsOfCallsBehaveAsOnLinux(t *testing.T) {
	script, want := tracingScript(t, "tracing_calls")
	unchanged := func(text string) string { return text }
	checkScript(t, "tracedcalls", "TRACED=/tmp/tracedcalls\n"+script, unchanged, want)
}

// TestEveryHitOfThreadsIsRecordedOrCounted lets four threads on four CPUs hit a probe and
// its return probe. Small ring buffers are overwritten meanwhile. The records in the buffers
// and those that were overwritten must be all hits, in the order of time.
func TestEveryHitOfThreadsIsRecordedOrCounted(t *testing.T) {
	address, offset := tracedSymbols(t)
	script := fmt.Sprintf(`cd /sys/kernel/tracing
echo 'p:leaf /tmp/traced:0x%[1]x a=%%di:s32' >uprobe_events
echo 'r:back /tmp/traced:0x%[1]x value=$retval:s32' >>uprobe_events
echo 20 >buffer_size_kb
echo 1 >events/uprobes/enable
/tmp/traced 5000
awk '{print $2, $3}' uprobe_profile
cat per_cpu/cpu*/stats | awk '/^entries|^overrun/ { sum += $2 } /^overrun/ { lost += $2 } END { print sum, (lost > 0) }'
grep -v '^#' trace | awk '{ split($4, t, ":"); if (t[1] + 0 < last + 0) bad++; last = t[1] } END { print (NR > 100), bad + 0 }'`, offset(address["leaf"]))
	got := onSlowpath(t, "", "--smp", "4", "--mount-file", program("traced")+":/tmp/traced", "/bin/busybox", "sh", "-c", script)
	if want := "leaf 20000\nback 20000\n40000 1\n1 0\n"; got.out != want {
		t.Errorf("got\n%s%s\nwant\n%s", got.out, got.errors, want)
	}
}

// recordTracing writes the script and the program into a directory, for a run on another
// kernel, or normalises the output of that run if the directory has the file output. With
// one CPU, records are in the order of time.
func recordTracing(t *testing.T, directory, script string, normalise func(string) string) {
	if output, err := os.ReadFile(filepath.Join(directory, "output")); err == nil {
		if err := os.WriteFile(filepath.Join(directory, "tracing.linux-6.1"), []byte(normalise(string(output))), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	traced, err := os.ReadFile(program("traced"))
	if err != nil {
		t.Fatal(err)
	}
	for name, contents := range map[string][]byte{"script": []byte(script), "traced": traced} {
		if err := os.WriteFile(filepath.Join(directory, name), contents, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}
