//go:build !race

package hostkernel

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// mutant is a deliberate mistake in the kernel's source: a race that it once had.
type mutant struct {
	name  string
	file  string // from the top of the module
	group int    // the calls that reach it: see program.Shape
	edits []string
}

// mutants are the mistakes. The edits of each are pairs of old and new text.
var mutants = []mutant{
	{"a map in the options of a socket, which are copied", "fs/socket.go", 1, []string{
		"	Kept                        [keptOptions]int32\n", "	Kept map[KeptOption]int32\n",
		"return SocketOptions{SendBuffer:", "return SocketOptions{Kept: map[KeptOption]int32{}, SendBuffer:"}},
	{"an epoll item published before its waiter is on the queue", "fs/epoll/epoll.go", 5, []string{
		"	s.items[i.key] = i\n	f.Queue().Add(&i.waiter)\n", "	s.items[i.key] = i\n	s.mu.Unlock()\n	f.Queue().Add(&i.waiter)\n	s.mu.Lock()\n"}},
	{"a memfd sealed between mmap's check and its registration", "fs/tmpfs/memfd.go", 6, []string{
		"	r.mappings.ReserveWritable()\n	return r.mappings.ReleaseWritable, nil\n", "	return func() {}, nil\n"}},
}

// TestEveryMutantIsFound runs random programs under the race detector on kernels with
// one mistake each.
func TestEveryMutantIsFound(t *testing.T) {
	if os.Getenv("SLOWPATH_SOAK") != "long" {
		t.Skip("this takes minutes; set SLOWPATH_SOAK=long")
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			start := time.Now()
			out, err := exec.Command("go", "test", "-race", "-count=1", "-overlay", m.overlay(t), "-run=TestRandomPrograms|TestThreadsUseOneObject", ".",
				"-fuzz.duration=60s", "-fuzz.repetitions=300", fmt.Sprintf("-fuzz.group=%d", m.group)).CombinedOutput()
			switch {
			case err == nil:
				t.Errorf("no program shows the mistake")
			case strings.Contains(string(out), "[build failed]"):
				t.Errorf("the mutant does not compile:\n%s", out)
			}
			t.Logf("after %v:\n%.1500s", time.Since(start).Round(time.Second), out)
		})
	}
}

// overlay writes the mutant's source and returns the name of the file for go test
// -overlay. The old text of each edit must occur exactly once.
func (m *mutant) overlay(t *testing.T) string {
	t.Helper()
	original, err := filepath.Abs(filepath.Join("../..", m.file))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(m.edits); i += 2 {
		if n := strings.Count(string(source), m.edits[i]); n != 1 {
			t.Fatalf("%q is in %s %d times, want once", m.edits[i], m.file, n)
		}
	}
	directory := t.TempDir()
	mutated, list := filepath.Join(directory, "mutant.go"), filepath.Join(directory, "overlay.json")
	encoded, err := json.Marshal(map[string]any{"Replace": map[string]string{original: mutated}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{mutated: []byte(strings.NewReplacer(m.edits...).Replace(string(source))), list: encoded} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return list
}
