package mm

// areas is the ordered set of an address space's areas. It is a treap (Seidel
// and Aragon, "Randomized search trees", 1996) keyed by address, plus a linked
// list in the same order. Each node stores the largest gap of free addresses in
// its subtree. Find, insert, remove and the search for free addresses take
// logarithmic time. The address space's lock protects it.
type areas struct {
	root        *vma
	first, last *vma
	count       int
	seed        uint32
}

// node is the part of a vma that places it in the set.
type node struct {
	left, right *vma
	next, prev  *vma
	priority    uint32
	maxGap      uint64 // largest gap below any area of the subtree
}

// priority returns the next number of a xorshift generator (Marsaglia, 2003).
// It only balances the tree and need not be unpredictable.
func (s *areas) priority() uint32 {
	if s.seed == 0 {
		s.seed = 2463534242
	}
	s.seed ^= s.seed << 13
	s.seed ^= s.seed >> 17
	s.seed ^= s.seed << 5
	return s.seed
}

// find returns the first area that ends above the address: the area that
// contains the address, else the next higher area, else nil.
func (s *areas) find(address uint64) *vma {
	var found *vma
	for v := s.root; v != nil; {
		if v.end > address {
			found = v
			v = v.left
		} else {
			v = v.right
		}
	}
	return found
}

// insert adds an area that overlaps no other.
func (s *areas) insert(v *vma) {
	next := s.find(v.start)
	v.next = next
	if next != nil {
		v.prev = next.prev
		next.prev = v
	} else {
		v.prev = s.last
		s.last = v
	}
	if v.prev != nil {
		v.prev.next = v
	} else {
		s.first = v
	}
	v.priority = s.priority()
	s.root = insertNode(s.root, v)
	s.count++
	s.changed(next)
}

// remove removes an area.
func (s *areas) remove(v *vma) {
	s.root = removeNode(s.root, v)
	next := v.next
	if v.prev != nil {
		v.prev.next = next
	} else {
		s.first = next
	}
	if next != nil {
		next.prev = v.prev
	} else {
		s.last = v.prev
	}
	v.node = node{}
	s.count--
	s.changed(next)
}

// resize changes the bounds of an area. They must not cross another area.
func (s *areas) resize(v *vma, start, end uint64) {
	v.start, v.end = start, end
	s.changed(v)
	s.changed(v.next)
}

// changed updates maxGap on the path to v after the gap below v has changed.
func (s *areas) changed(v *vma) {
	if v != nil {
		updatePath(s.root, v)
	}
}

// gapBelow returns the free addresses below the area, less the guard gap of an
// area that grows down.
func (v *vma) gapBelow() (start, end uint64) {
	start = MinAddress
	if v.prev != nil {
		start = max(start, v.prev.end)
	}
	return start, max(start, v.guardedStart())
}

func updatePath(root, v *vma) {
	if root != v {
		if v.start < root.start {
			updatePath(root.left, v)
		} else {
			updatePath(root.right, v)
		}
	}
	root.update()
}

// update computes maxGap from the node and its children.
func (v *vma) update() {
	start, end := v.gapBelow()
	v.maxGap = end - start
	if v.left != nil {
		v.maxGap = max(v.maxGap, v.left.maxGap)
	}
	if v.right != nil {
		v.maxGap = max(v.maxGap, v.right.maxGap)
	}
}

func insertNode(root, v *vma) *vma {
	if root == nil {
		v.update()
		return v
	}
	if v.priority > root.priority {
		v.left, v.right = splitTree(root, v.start)
		v.update()
		return v
	}
	if v.start < root.start {
		root.left = insertNode(root.left, v)
	} else {
		root.right = insertNode(root.right, v)
	}
	root.update()
	return root
}

// splitTree divides a tree into the areas below the address and the others.
func splitTree(root *vma, address uint64) (below, above *vma) {
	if root == nil {
		return nil, nil
	}
	if root.start < address {
		root.right, above = splitTree(root.right, address)
		root.update()
		return root, above
	}
	below, root.left = splitTree(root.left, address)
	root.update()
	return below, root
}

func removeNode(root, v *vma) *vma {
	if root == v {
		return joinTrees(v.left, v.right)
	}
	if v.start < root.start {
		root.left = removeNode(root.left, v)
	} else {
		root.right = removeNode(root.right, v)
	}
	root.update()
	return root
}

// joinTrees joins two trees. All areas of below must lie below those of above.
func joinTrees(below, above *vma) *vma {
	if below == nil {
		return above
	}
	if above == nil {
		return below
	}
	if below.priority > above.priority {
		below.right = joinTrees(below.right, above)
		below.update()
		return below
	}
	above.left = joinTrees(below, above.left)
	above.update()
	return above
}

// highestGap returns the start of the highest free range of the length that ends
// at or below limit, or 0.
func (s *areas) highestGap(length, limit uint64) uint64 {
	start := uint64(MinAddress)
	if s.last != nil {
		start = max(start, s.last.end)
	}
	if at := fitHigh(start, limit, length); at != 0 {
		return at
	}
	return highestIn(s.root, length, limit)
}

func highestIn(v *vma, length, limit uint64) uint64 {
	if v == nil || v.maxGap < length {
		return 0
	}
	if v.start < limit {
		if at := highestIn(v.right, length, limit); at != 0 {
			return at
		}
	}
	start, end := v.gapBelow()
	if at := fitHigh(start, min(end, limit), length); at != 0 {
		return at
	}
	return highestIn(v.left, length, limit)
}

func fitHigh(start, end, length uint64) uint64 {
	if end >= start && end-start >= length {
		return end - length
	}
	return 0
}

// lowestGap returns the start of the lowest free range of the length that starts
// at or above base and ends at or below limit, or 0. No area is above the limit, or the caller
// checks the end.
func (s *areas) lowestGap(length, base, limit uint64) uint64 {
	if at := lowestIn(s.root, length, base); at != 0 {
		return at
	}
	start := max(base, MinAddress)
	if s.last != nil {
		start = max(start, s.last.end)
	}
	return fitLow(start, limit, length)
}

func lowestIn(v *vma, length, base uint64) uint64 {
	if v == nil || v.maxGap < length {
		return 0
	}
	if v.start > base {
		if at := lowestIn(v.left, length, base); at != 0 {
			return at
		}
	}
	start, end := v.gapBelow()
	if at := fitLow(max(start, base), end, length); at != 0 {
		return at
	}
	return lowestIn(v.right, length, base)
}

func fitLow(start, end, length uint64) uint64 {
	if end >= start && end-start >= length {
		return start
	}
	return 0
}
