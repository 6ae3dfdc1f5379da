package uprobe

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/fs"
	"slowpath/fs/fstest"
	"slowpath/mm"
	"slowpath/task"
)

// fixture is a file with code, and an address space that maps it.
type fixture struct {
	*fstest.World
	probes *Probes
	as     *mm.AddressSpace
	file   *fs.File
	at     uint64
}

func newFixture(t testing.TB, code string) *fixture {
	t.Helper()
	w := fstest.New(t, 8192)
	f := &fixture{World: w, probes: New(w.Memory)}
	w.Write("/program", code)
	var err error
	if f.file, err = w.At("/program").Open(unix.O_RDONLY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.file.DecRef)
	if f.as, err = w.Memory.NewAddressSpace(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.as.DecRef)
	object, err := f.file.Operations().Mappable()
	if err != nil {
		t.Fatal(err)
	}
	f.at, err = f.as.Mmap(mm.MapRequest{
		Length: uint64(len(code)), Prot: mm.ProtRead | mm.ProtExec, Flags: unix.MAP_PRIVATE, Object: object, File: f.file,
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// consumer counts nothing.
var consumer = &Consumer{Hit: func(*task.Task, *amd64.Frame) {}}

// code returns n NOPs of four bytes.
func code(n int) string {
	b := make([]byte, 0, 4*n)
	for range n {
		b = append(b, 0x0f, 0x1f, 0x40, 0)
	}
	return string(b)
}

func TestTenThousandProbesAreAddedInLessThanTwoSeconds(t *testing.T) {
	const n = 10000
	f := newFixture(t, code(n))
	f.as.Populate(f.at, 4*n, nil)
	start := time.Now()
	var probes []*Probe
	for i := range uint64(n) {
		b, err := f.probes.Add(Location{File: f.file, Offset: 4 * i}, consumer)
		if err != nil {
			t.Fatal(err)
		}
		probes = append(probes, b)
	}
	added := time.Since(start)
	start = time.Now()
	for _, b := range probes {
		b.Remove()
	}
	t.Logf("added one by one in %v, removed in %v", added, time.Since(start))
}
