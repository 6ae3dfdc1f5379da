//go:build !race

package hostkernel

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"slowpath/mutation"
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
			overlay := mutation.Overlay(t, map[string][]string{"../../" + m.file: m.edits})
			start := time.Now()
			out, err := exec.Command("go", "test", "-race", "-count=1", "-overlay", overlay, "-run=TestRandomPrograms|TestThreadsUseOneObject", ".",
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
