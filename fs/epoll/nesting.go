package epoll

import (
	"sync"

	"golang.org/x/sys/unix"

	"slowpath/fs"
)

// nesting serialises the additions to nested sets: a check for cycles, levels
// and wake-up paths is valid only while no other such addition runs. There is
// one per namespace.
type nesting struct{ mu sync.Mutex }

type nestingKey struct{}

// maxNesting is the maximum number of sets above the lowest one of a chain
// (EP_MAX_NESTS in Linux).
const maxNesting = 4

// pathLimits are the maximum numbers of wake-up paths of one addition, by the
// number of sets that a path crosses before its last one (path_limits in Linux).
// Paths that cross one set only are not limited. A wake-up of a file visits all
// paths.
var pathLimits = [maxNesting + 1]int{1000, 500, 100, 50, 10}

// watchers returns the items of all sets that watch f.
func watchers(f *fs.File) []*item {
	var items []*item
	for _, owner := range f.HookOwners() {
		if i, ok := owner.(*item); ok {
			items = append(items, i)
		}
	}
	return items
}

// reachedBy returns the files that are no sets among f and the files below it:
// those whose wake-up paths grow if s watches f. s.nesting is locked. Error:
// ELOOP if watching f would create a cycle or too many levels.
func (s *Set) reachedBy(f *fs.File) ([]*fs.File, error) {
	below := Of(f)
	if below == nil {
		return []*fs.File{f}, nil
	}
	d := descent{sought: s, heights: make(map[*Set]int)}
	height, ok := d.visit(below, 0)
	if !ok || height+1+ascend(s.file, make(map[*fs.File]int)) > maxNesting {
		return nil, unix.ELOOP
	}
	return d.files, nil
}

// descent is a walk over the sets below a set. It visits each set once.
type descent struct {
	sought  *Set         // the set that must not be found
	heights map[*Set]int // levels below the sets visited
	files   []*fs.File   // the watched files that are no sets
}

// visit returns the number of levels below s. ok is false if the walk found the
// sought set, or too many levels.
func (d *descent) visit(s *Set, level int) (height int, ok bool) {
	if s == d.sought || level > maxNesting {
		return 0, false
	}
	if known, visited := d.heights[s]; visited {
		return known, true
	}
	for _, f := range s.watched() {
		below := Of(f)
		if below == nil {
			d.files = append(d.files, f)
			continue
		}
		deeper, ok := d.visit(below, level+1)
		if !ok {
			return 0, false
		}
		height = max(height, deeper+1)
	}
	d.heights[s] = height
	return height, true
}

// watched returns the files that s watches.
func (s *Set) watched() []*fs.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	files := make([]*fs.File, 0, len(s.items))
	for k := range s.items {
		files = append(files, k.file)
	}
	return files
}

// ascend returns the number of levels of sets above f. known has the results of
// the files visited.
func ascend(f *fs.File, known map[*fs.File]int) int {
	if levels, visited := known[f]; visited {
		return levels
	}
	levels := 0
	for _, i := range watchers(f) {
		levels = max(levels, ascend(i.set.file, known)+1)
	}
	known[f] = levels
	return levels
}

// tooManyPaths reports whether wake-ups of the files would take more paths than
// pathLimits allows.
func tooManyPaths(files []*fs.File) bool {
	for _, f := range files {
		var p paths
		if !p.count(f, 0) {
			return true
		}
	}
	return false
}

// paths counts the wake-up paths of a file by the number of sets that they cross.
type paths struct{ counts [maxNesting + 1]int }

// count counts the paths that start at f, which is depth sets above the file. It
// returns false at the first path that exceeds a limit.
func (p *paths) count(f *fs.File, depth int) bool {
	if depth > maxNesting {
		return false
	}
	for _, i := range watchers(f) {
		above := i.set.file
		if len(watchers(above)) > 0 {
			if !p.count(above, depth+1) {
				return false
			}
			continue
		}
		if p.counts[depth]++; depth > 0 && p.counts[depth] > pathLimits[depth] {
			return false
		}
	}
	return true
}
