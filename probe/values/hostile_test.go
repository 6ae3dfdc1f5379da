package values

import (
	"testing"
	"time"

	"slowpath/probe/location"
	"slowpath/probe/probetest"
	"slowpath/probe/types"
	"slowpath/uprobe/fetch"
)

// TestTypesThatHaveThemselvesAsPartsEnd compiles and classifies types that contain
// themselves many times.
func TestTypesThatHaveThemselvesAsPartsEnd(t *testing.T) {
	const first = probetest.FirstDIE
	join, self := probetest.DIEs, probetest.Type(first)
	twice := func(kind, part int) []byte { return join(kind, 8, part, self, 0, part, self, 0, 0) }
	for name, dies := range map[string][]byte{
		"structure":  twice(probetest.Structure, probetest.Member),
		"union":      twice(probetest.Union, probetest.Member),
		"base class": twice(probetest.Structure, probetest.Base),
		"array":      join(probetest.Array, self, 8),
		"reference":  join(probetest.Reference, self),
	} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			typ := types.NewReader(probetest.DebugInformation(t, dies), 0).At(first)
			classify(typ)
			(&goConvention{}).next(typ)
			left := maxTypes
			fieldOf(typ, "none", &left)
			at := location.At([]fetch.Step{{Op: fetch.StackPointer}})
			n := (&compiler{captures: &captures{}}).node(place{typ, at}, levels)
			(&decoder{reader: &Reader{}}).value(n)
		}()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Fatalf("a %s that has itself as a part is looked at without end", name)
		}
	}
}
