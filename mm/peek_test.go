package mm_test

import (
	"testing"

	"slowpath/mm"
)

// TestPeekReadsUntilTranslationChanges: a Peek follows the stores of the program, and
// ends with every change of the page.
func TestPeekReadsUntilTranslationChanges(t *testing.T) {
	for name, change := range map[string]func(f *fixture, at uint64){
		"munmap": func(f *fixture, at uint64) { f.ok(f.as.Munmap(at, page, nil)) },
		"mprotect": func(f *fixture, at uint64) {
			f.ok(f.as.Mprotect(at, page, int(mm.ProtNone), func(mm.Point) bool { return false }))
		},
		"fork": func(f *fixture, at uint64) {
			child, err := f.as.Fork(func(mm.Point) bool { return false })
			f.ok(err)
			child.DecRef()
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			at := f.mmapAnonymous(0, 1, rw)
			p, err := f.as.PeekAt(at + 5) // the shared page of zeros
			if b, ok := p.Read(); err != nil || b != 0 || !ok {
				t.Errorf("Read returned %d, %v, %v", b, ok, err)
			}
			f.put(f.as, at+5, "\x07")
			if _, ok := p.Read(); ok {
				t.Error("the Peek is valid after the copy of the page")
			}
			p, _ = f.as.PeekAt(at + 5)
			f.put(f.as, at+4, "xyz")
			if b, ok := p.Read(); b != 'y' || !ok {
				t.Errorf("after a store Read returned %q, %v", b, ok)
			}
			change(f, at)
			if _, ok := p.Read(); ok {
				t.Error("the Peek is valid after the change")
			}
		})
	}
	var none mm.Peek
	if _, ok := none.Read(); ok {
		t.Error("the zero Peek is valid")
	}
}
