package audit

import (
	"iter"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/task"
)

// tree is what rules with the same dir= watch (Linux: struct audit_tree): the directory and
// the roots of the mounts below it when the first rule was added. A mount that is made later
// is watched after AUDIT_MAKE_EQUIV (auditctl -q), and AUDIT_TRIM forgets roots that are not
// below the directory any more. Files are known by their device and inode, so a directory that
// is renamed is still watched.
//
// A tree belongs to its rules. Its size is bounded by the mounts, and is admitted.
type tree struct {
	path  string
	roots atomic.Pointer[[]fileID] // the value is constant
}

// hasAny reports whether one of the files is a root. A rule of the kernel itself has no tree.
func (t *tree) hasAny(files []fileID) bool {
	if t == nil || len(files) == 0 {
		return false
	}
	roots := *t.roots.Load()
	return slices.ContainsFunc(files, func(id fileID) bool { return slices.Contains(roots, id) })
}

// walk returns the place of a path as the task sees it.
func walk(by *task.Task, path string) (fs.Path, error) {
	if by.FS == nil {
		return fs.Path{}, unix.ENOENT
	}
	return fs.At{Caller: quiet{by}, Name: path, Follow: true}.Lookup()
}

// rootsAt returns the file at a place and the roots of the mounts below it.
func rootsAt(by *task.Task, p fs.Path) []fileID {
	var ids []fileID
	for _, i := range by.FS.Mounts().TreeRoots(p) {
		ids = append(ids, idOf(i))
	}
	return ids
}

// plantTrees gives the fields dir= of a rule their trees. Errors: ENOMEM, and those of
// path_resolution(7).
func (a *Audit) plantTrees(by *task.Task, r *rule) error {
	for i := range r.fields {
		f := &r.fields[i]
		if f.kind != unix.AUDIT_DIR {
			continue
		}
		if f.tree = a.rules.Load().treeOf(f.text); f.tree != nil {
			continue
		}
		p, err := walk(by, f.text)
		if err != nil {
			return err
		}
		f.tree = &tree{path: f.text}
		if err := a.addRoots(f.tree, nil, rootsAt(by, p)); err != nil {
			return err
		}
	}
	return nil
}

// addRoots makes the roots of a tree those of old and more. Error: ENOMEM.
func (a *Audit) addRoots(t *tree, old, more []fileID) error {
	const rootBytes = 16
	if err := a.kernel.Memory().Admit(int64(len(old)+len(more)) * rootBytes); err != nil {
		return err
	}
	roots := slices.Clone(old)
	for _, id := range more {
		if !slices.Contains(roots, id) {
			roots = append(roots, id)
		}
	}
	t.roots.Store(&roots)
	return nil
}

// trees yields the trees of all rules, each once.
func (s *ruleSet) trees() iter.Seq[*tree] {
	return func(yield func(*tree) bool) {
		seen := make(map[*tree]bool)
		for _, r := range s.syscalls {
			for i := range r.fields {
				if t := r.fields[i].tree; t != nil && !seen[t] {
					seen[t] = true
					if !yield(t) {
						return
					}
				}
			}
		}
	}
}

// treeOf returns the tree with a path, or nil.
func (s *ruleSet) treeOf(path string) *tree {
	for t := range s.trees() {
		if t.path == path {
			return t
		}
	}
	return nil
}

// trim removes the roots that are not those of mounts below the directory now. A directory
// that is not found keeps its roots.
func (t *tree) trim(by *task.Task) {
	p, err := walk(by, t.path)
	if err != nil {
		return
	}
	now := rootsAt(by, p)
	kept := slices.DeleteFunc(slices.Clone(*t.roots.Load()), func(id fileID) bool { return !slices.Contains(now, id) })
	t.roots.Store(&kept)
}

// addEquivalent adds what is at the path next to the trees that contain the path old. The lock
// of the requests is held.
func (a *Audit) addEquivalent(by *task.Task, old, next string) error {
	added, err := walk(by, next)
	if err != nil {
		return err
	}
	more := rootsAt(by, added)
	place, err := walk(by, old)
	if err != nil {
		return err
	}
	for t := range a.rules.Load().trees() {
		top, err := walk(by, t.path)
		if err != nil || !by.FS.Mounts().IsUnder(place, top) {
			continue
		}
		if err := a.addRoots(t, *t.roots.Load(), more); err != nil {
			return err
		}
	}
	return nil
}
