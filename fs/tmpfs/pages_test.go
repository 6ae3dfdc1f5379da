package tmpfs

import (
	"math/rand/v2"
	"testing"

	"slowpath/mm/frame"
)

func TestGetAllReturnsTheSameFramesAsGet(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var p pageTable
	for range 200 {
		if index := random.Uint64N(6 * chunkPages); p.get(index) == frame.None && index/chunkPages != 2 {
			p.put(index, frame.Number(index+1))
		}
	}
	for range 1000 {
		first, got := random.Uint64N(7*chunkPages), make([]frame.Number, random.IntN(3*chunkPages))
		for i := range got {
			got[i] = 99999 // getAll must overwrite this
		}
		p.getAll(first, got)
		for i, n := range got {
			if want := p.get(first + uint64(i)); n != want {
				t.Fatalf("page %d of the run from %d is frame %d, want %d", i, first, n, want)
			}
		}
	}
}
