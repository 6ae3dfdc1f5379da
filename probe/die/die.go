// Package die moves in the tree of debugging information entries (DIEs).
package die

import "debug/dwarf"

// SkipChildren moves a reader behind the children of e, which it has just returned. Unlike
// dwarf.Reader.SkipChildren it is not recursive: a hostile file may nest millions of DIEs.
func SkipChildren(r *dwarf.Reader, e *dwarf.Entry) {
	if !e.Children {
		return
	}
	if sibling, ok := e.Val(dwarf.AttrSibling).(dwarf.Offset); ok && sibling > e.Offset {
		r.Seek(sibling)
		return
	}
	for depth := 1; depth > 0; {
		child, err := r.Next()
		switch {
		case err != nil || child == nil:
			return
		case child.Tag == 0:
			depth--
		case child.Children:
			depth++
		}
	}
}
