// Package die reads debugging information entries (DIEs) of files that are not trusted.
package die

import (
	"debug/dwarf"
	"errors"
)

// Reader is a dwarf.Reader that ends in a damaged file.
type Reader struct {
	reader *dwarf.Reader
	nulls  int // entries that end a list of children, one after another
}

// NewReader returns a reader at the first DIE.
func NewReader(data *dwarf.Data) *Reader { return &Reader{reader: data.Reader()} }

// At returns the DIE at an offset, or nil if there is none.
func At(data *dwarf.Data, offset dwarf.Offset) *dwarf.Entry {
	r := NewReader(data)
	r.Seek(offset)
	e, err := r.Next()
	if err != nil {
		return nil
	}
	return e
}

// maxNulls is the maximum number of consecutive ends of children. dwarf.Reader returns
// them for ever if a unit ends within an LEB128 number.
const maxNulls = 1 << 16

// ErrDamaged is the error of debug information that does not end.
var ErrDamaged = errors.New("the debug information is damaged")

// Next returns the next DIE, one with the tag 0 at the end of children, or nil at the end.
func (r *Reader) Next() (*dwarf.Entry, error) {
	e, err := r.reader.Next()
	if err != nil || e == nil {
		return nil, err
	}
	if e.Tag != 0 {
		r.nulls = 0
		return e, nil
	}
	if r.nulls++; r.nulls > maxNulls {
		return nil, ErrDamaged
	}
	return e, nil
}

// Seek moves to the DIE at an offset.
func (r *Reader) Seek(offset dwarf.Offset) {
	r.reader.Seek(offset)
	r.nulls = 0
}

// SkipChildren moves behind the children of e, which Next has just returned. Unlike
// dwarf.Reader.SkipChildren it is not recursive: a hostile file may nest millions of DIEs.
func (r *Reader) SkipChildren(e *dwarf.Entry) {
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
