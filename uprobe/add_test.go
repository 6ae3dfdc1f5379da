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
	removed := time.Since(start)
	t.Logf("added one by one in %v, removed in %v", added, removed)
	if added > 2*time.Second || removed > 2*time.Second {
		t.Errorf("added in %v, removed in %v, want 2 s each", added, removed)
	}
	if left := f.probes.Left(); left != "" {
		t.Error(left)
	}
	if u := f.as.Usage(); u.Anonymous != 0 {
		t.Errorf("%d patched pages are left", u.Anonymous)
	}
}

func TestBadLocationsAreRefusedAsOnLinux(t *testing.T) {
	f := newFixture(t, "\xcc\xf4\x0f\x05\x90\x90\x66")
	directory := f.Open("/", unix.O_RDONLY, 0)
	ret := &Consumer{Return: func(*task.Task, *amd64.Frame, uint64) {}}
	for _, c := range []struct {
		what     string
		location Location
		consumer *Consumer
		want     error
	}{
		{"INT3", Location{File: f.file}, consumer, ENOTSUPP},
		{"HLT", Location{File: f.file, Offset: 1}, consumer, ENOTSUPP},
		{"SYSCALL", Location{File: f.file, Offset: 2}, consumer, nil},
		{"an instruction that the file's end cuts", Location{File: f.file, Offset: 6}, consumer, unix.ENOEXEC},
		{"the end of the file", Location{File: f.file, Offset: 7}, consumer, unix.EIO},
		{"beyond the end", Location{File: f.file, Offset: 8}, consumer, unix.EINVAL},
		{"a directory", Location{File: directory}, consumer, unix.EINVAL},
		{"no function", Location{File: f.file, Offset: 4}, &Consumer{}, unix.EINVAL},
		{"an odd counter", Location{File: f.file, Offset: 4, ReferenceCounter: 3}, consumer, unix.EINVAL},
		{"a return", Location{File: f.file, Offset: 4}, ret, nil},
	} {
		b, err := f.probes.Add(c.location, c.consumer)
		if err != c.want {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
		if err == nil {
			b.Remove()
		}
	}
	if left := f.probes.Left(); left != "" {
		t.Error(left)
	}
}

func TestCountersOfOnePlaceMustAgree(t *testing.T) {
	f := newFixture(t, code(4))
	first, err := f.probes.Add(Location{File: f.file, Offset: 4, ReferenceCounter: 8}, consumer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.probes.Add(Location{File: f.file, Offset: 4}, consumer); err != unix.EINVAL {
		t.Errorf("another counter: %v, want EINVAL", err)
	}
	first.Remove()
	second, err := f.probes.Add(Location{File: f.file, Offset: 4}, consumer)
	if err != nil {
		t.Fatal(err)
	}
	second.Remove()
}

func TestAddAllAddsAllOrNone(t *testing.T) {
	f := newFixture(t, code(4)+"\xcc")
	_, err := f.probes.AddAll(
		[]Location{{File: f.file}, {File: f.file, Offset: 4}, {File: f.file, Offset: 16}}, []*Consumer{consumer, consumer, consumer})
	if err != ENOTSUPP {
		t.Errorf("AddAll: %v, want ENOTSUPP", err)
	}
	if left := f.probes.Left(); left != "" {
		t.Error(left)
	}
	var b [1]byte
	if f.as.CopyIn(b[:], f.at); b[0] == mm.Breakpoint {
		t.Error("a breakpoint is left")
	}
}
