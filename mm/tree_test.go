package mm

import (
	"math/rand"
	"testing"
)

// checkTree fails the test if an invariant of the set is broken. It returns the
// depth of the tree.
func checkTree(t *testing.T, s *areas) int {
	t.Helper()
	n := 0
	var prev *vma
	for v := s.first; v != nil; v = v.next {
		if v.prev != prev || prev != nil && prev.end > v.start {
			t.Fatalf("the linked list is broken at [%#x, %#x)", v.start, v.end)
		}
		prev = v
		n++
	}
	if s.last != prev || n != s.count {
		t.Fatalf("%d areas on the list, count %d", n, s.count)
	}
	depth, inTree := checkNode(t, s.root, 0, UserEnd)
	if inTree != n {
		t.Fatalf("%d areas in the tree, %d on the list", inTree, n)
	}
	return depth
}

func checkNode(t *testing.T, v *vma, low, high uint64) (depth, count int) {
	t.Helper()
	if v == nil {
		return 0, 0
	}
	if v.start < low || v.end > high {
		t.Fatalf("[%#x, %#x) is in the wrong subtree", v.start, v.end)
	}
	for _, child := range []*vma{v.left, v.right} {
		if child != nil && child.priority > v.priority {
			t.Fatalf("the heap order is broken at %#x", v.start)
		}
	}
	was := v.maxGap
	if v.update(); v.maxGap != was {
		t.Fatalf("maxGap at %#x is %#x, want %#x", v.start, was, v.maxGap)
	}
	dl, nl := checkNode(t, v.left, low, v.start)
	dr, nr := checkNode(t, v.right, v.end, high)
	return max(dl, dr) + 1, nl + nr + 1
}

// slowGaps finds the highest and lowest gap by a linear search.
func slowGaps(s *areas, length, limit, base uint64) (highest, lowest uint64) {
	consider := func(start, end uint64) {
		if high := min(end, limit); high >= start && high-start >= length {
			highest = high - length
		}
		if low := max(start, base); lowest == 0 && end >= low && end-low >= length {
			lowest = low
		}
	}
	start := uint64(MinAddress)
	for v := s.first; v != nil; v = v.next {
		consider(start, v.guardedStart())
		start = max(start, v.end)
	}
	consider(start, UserEnd)
	return highest, lowest
}

func TestTreeMatchesLinearSearch(t *testing.T) {
	const window = 1 << 12 // pages
	r := rand.New(rand.NewSource(7))
	var s areas
	for i := range 8000 {
		start := MinAddress + uint64(r.Intn(window))*PageSize
		end := start + uint64(r.Intn(16)+1)*PageSize
		v := s.find(start)
		switch {
		case v == nil || v.start >= end:
			v = &vma{start: start, end: end}
			if r.Intn(8) == 0 {
				v.flags = areaGrowsDown
			}
			s.insert(v)
		case r.Intn(3) == 0 && v.length() > PageSize:
			s.resize(v, v.start+PageSize, v.end)
		default:
			s.remove(v)
		}
		if i%100 == 0 {
			checkTree(t, &s)
		}
		length := uint64(r.Intn(40)+1) * PageSize
		limit := MinAddress + uint64(r.Intn(window))*PageSize
		high, low := slowGaps(&s, length, limit, limit)
		if got := s.highestGap(length, limit); got != high {
			t.Fatalf("highestGap(%#x, %#x) = %#x, want %#x", length, limit, got, high)
		}
		if got := s.lowestGap(length, limit, UserEnd); got != low {
			t.Fatalf("lowestGap(%#x, %#x) = %#x, want %#x", length, limit, got, low)
		}
	}
}

func TestTreeStaysShallowForOrderedInserts(t *testing.T) {
	var s areas
	for i := range uint64(10000) {
		s.insert(&vma{start: MinAddress + 2*i*PageSize, end: MinAddress + (2*i+1)*PageSize})
	}
	if depth := checkTree(t, &s); depth > 60 {
		t.Errorf("the tree of 10000 areas has depth %d", depth)
	}
}

func BenchmarkMmapAmong10000(b *testing.B) {
	var s areas
	for i := range uint64(10000) {
		s.insert(&vma{start: MinAddress + 4*i*PageSize, end: MinAddress + (4*i+1)*PageSize})
	}
	for b.Loop() {
		at := s.highestGap(3*PageSize, MinAddress+39000*PageSize)
		v := &vma{start: at, end: at + 3*PageSize}
		s.insert(v)
		s.remove(v)
	}
}
