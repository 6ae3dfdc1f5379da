package filter

// IsText reports whether the field has characters in the record: an array, or a string behind
// the fields. A pointer to a string has none.
func (f *Field) IsText() bool {
	k := kindOf(f)
	return k == staticString || k == dynamicString
}

// IsPointer reports whether the field is a pointer to a string.
func (f *Field) IsPointer() bool { return kindOf(f) == pointerString }

// IsDynamic reports whether the field is a string behind the fields of the record.
func (f *Field) IsDynamic() bool { return kindOf(f) == dynamicString }

// Text returns the text of a field for which IsText is true, up to the first NUL. What the
// record lacks is empty. It does not sleep.
func (f *Field) Text(record []byte) string {
	if f.IsDynamic() {
		return dynamic(record, f.Offset)
	}
	return text(part(record, f.Offset, f.Size))
}

// Number returns the number in a field of 1, 2, 4 or 8 bytes, with its sign extended. What the
// record lacks is 0. It does not sleep.
func (f *Field) Number(record []byte) uint64 {
	n, unused := load(part(record, f.Offset, f.Size)), 64-8*f.Size
	if f.Signed {
		return uint64(int64(n<<unused) >> unused)
	}
	return n << unused >> unused
}
