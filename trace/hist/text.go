package hist

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
)

// fieldText returns the part of the trigger's text that says what is counted.
func (s *Spec) fieldText() string {
	var b strings.Builder
	b.WriteString("keys=")
	for i, o := range s.keys {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(o.text())
	}
	b.WriteString(":vals=hitcount")
	for _, o := range s.values {
		b.WriteString("," + o.text())
	}
	for i, v := range s.vars {
		b.WriteString([...]string{":", ","}[min(i, 1)] + v.name + "=" + v.value.text())
	}
	b.WriteString(":sort=")
	for i, k := range s.sort {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(s.sortText(k.field))
		if k.descending {
			b.WriteString(".descending")
		}
	}
	return b.String()
}

// sortText returns the text of a field for sortKey.
func (s *Spec) sortText(field int) string {
	switch {
	case field == 0:
		return "hitcount"
	case field <= len(s.values):
		return s.values[field-1].text()
	}
	return s.keys[field-1-len(s.values)].text()
}

// String returns the trigger as the file trigger shows it, without the filter and the state.
func (s *Spec) String() string {
	text := "hist:"
	if s.Name != "" {
		text += s.Name + ":"
	}
	text += fmt.Sprintf("%s:size=%d", s.fieldText(), s.entries())
	if s.Clock != "" {
		text += ":clock=" + s.Clock
	}
	return text
}

// view is a copy of the entries of a histogram.
type view struct {
	spec        *Spec
	keys, comms []byte
	sums        []uint64
	order       []int
	hits, drops uint64
}

// copy returns a copy of the entries, so that the text is made without the lock.
func (h *Histogram) copy() *view {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := &view{
		spec: h.spec, keys: bytes.Clone(h.keys[:h.used*h.spec.keyBytes]), sums: slices.Clone(h.sums[:h.used*h.spec.sumsPerEntry()]),
		order: make([]int, h.used), hits: h.hits, drops: h.drops,
	}
	if h.spec.names {
		v.comms = bytes.Clone(h.comms[:h.used*commSize])
	}
	for i := range v.order {
		v.order[i] = i
	}
	return v
}

// AppendText appends the sorted entries and the totals as the file hist shows them. call
// returns the name of a system call, or "".
func (h *Histogram) AppendText(dst []byte, call func(number uint64) string) []byte {
	v := h.copy()
	slices.SortStableFunc(v.order, v.compare)
	stats := v.stats()
	for _, entry := range v.order {
		dst = v.appendKey(dst, entry, call)
		dst = fmt.Appendf(dst, " hitcount: %10d", v.sum(entry, 0))
		for i, o := range v.spec.values {
			if o.kind != expressionSource { // as on Linux
				dst = o.appendValue(append(dst, ' '), v.sum(entry, 1+i), stats[i])
			}
		}
		dst = append(dst, '\n')
	}
	return fmt.Appendf(dst, "\nTotals:\n    Hits: %d\n    Entries: %d\n    Dropped: %d\n", v.hits, len(v.order), v.drops)
}

func (v *view) sum(entry, i int) uint64 { return v.sums[entry*v.spec.sumsPerEntry()+i] }

func (v *view) key(entry int, o *operand) []byte {
	return v.keys[entry*v.spec.keyBytes+o.at:][:o.width]
}

// compare orders two entries by the sort keys.
func (v *view) compare(a, b int) int {
	for _, k := range v.spec.sort {
		result := 0
		if k.field <= len(v.spec.values) {
			result = cmp.Compare(v.sum(a, k.field), v.sum(b, k.field))
		} else {
			o := v.spec.keys[k.field-1-len(v.spec.values)]
			result = o.compare(v.key(a, o), v.key(b, o))
		}
		if k.descending {
			result = -result
		}
		if result != 0 {
			return result
		}
	}
	return 0
}

// compare orders two values of a key.
func (o *operand) compare(a, b []byte) int {
	switch {
	case o.kind == stackSource:
		return 0
	case o.isText():
		return bytes.Compare(a, b)
	}
	left, right := binary.LittleEndian.Uint64(a), binary.LittleEndian.Uint64(b)
	if o.kind == fieldSource && o.field.Signed && o.modifier != logarithm && o.modifier != buckets {
		return cmp.Compare(int64(left), int64(right))
	}
	return cmp.Compare(left, right)
}

// stat is what the modifiers percent and graph compare a value with.
type stat struct{ greatest, total uint64 }

func (v *view) stats() []stat {
	stats := make([]stat, len(v.spec.values))
	for i := range stats {
		for _, entry := range v.order {
			n := v.sum(entry, 1+i)
			stats[i].total += n
			stats[i].greatest = max(stats[i].greatest, n)
		}
	}
	return stats
}

// appendKey appends the keys of an entry.
func (v *view) appendKey(dst []byte, entry int, call func(number uint64) string) []byte {
	dst = append(dst, "{ "...)
	lines := false
	for i, o := range v.spec.keys {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		key := v.key(entry, o)
		if o.kind == stackSource {
			dst = appendStack(append(dst, "stacktrace:\n"...), key)
			lines = true
			continue
		}
		dst = append(append(dst, o.name...), ": "...)
		if o.isText() {
			text, _, _ := bytes.Cut(key, []byte{0})
			dst = fmt.Appendf(dst, "%-50s", text)
			continue
		}
		dst = v.appendNumber(dst, o, entry, binary.LittleEndian.Uint64(key), call)
	}
	if !lines {
		dst = append(dst, ' ')
	}
	return append(dst, '}')
}

// appendNumber appends the value of a key that is a number.
func (v *view) appendNumber(dst []byte, o *operand, entry int, n uint64, call func(number uint64) string) []byte {
	switch o.modifier {
	case hexadecimal:
		return fmt.Appendf(dst, "%x", n)
	case symbol:
		name, _, _ := Symbol(n)
		return fmt.Appendf(dst, "[%x] %-45s", n, name)
	case symbolOffset:
		return fmt.Appendf(dst, "[%x] %-55s", n, withOffset(n))
	case executable:
		comm, _, _ := bytes.Cut(v.comms[entry*commSize:][:commSize], []byte{0})
		return fmt.Appendf(dst, "%-16s[%10d]", comm, n)
	case systemCall:
		name := call(n)
		if name == "" {
			name = "unknown_syscall"
		}
		return fmt.Appendf(dst, "%-30s[%3d]", name, n)
	case logarithm:
		return fmt.Appendf(dst, "~ 2^%-2d", n)
	case buckets:
		return fmt.Appendf(dst, "~ %d-%d", n, n+o.bucket-1)
	}
	return fmt.Appendf(dst, "%10d", n)
}

// withOffset returns the function at an address and the offset in it.
func withOffset(address uint64) string {
	name, offset, known := Symbol(address)
	if !known {
		return name
	}
	return fmt.Sprintf("%s+0x%x", name, offset)
}

// appendStack appends the functions of a stack, one a line.
func appendStack(dst, key []byte) []byte {
	for ; len(key) >= 8; key = key[8:] {
		pc := binary.LittleEndian.Uint64(key)
		if pc == 0 {
			break
		}
		dst = fmt.Appendf(dst, "         %s\n", withOffset(pc))
	}
	return dst
}

// appendValue appends a value of an entry.
func (o *operand) appendValue(dst []byte, n uint64, s stat) []byte {
	name := o.name
	if o.kind == constantSource {
		name = ""
	}
	switch o.modifier {
	case percent:
		part, ok := share(n, s.total)
		if !ok {
			return fmt.Appendf(dst, " %s (%%):[ERROR]", name)
		}
		return fmt.Appendf(dst, " %s (%%): %3d.%02d", name, part/100, part%100)
	case graph:
		const width = 20
		part, ok := share(n, s.greatest)
		if !ok {
			return fmt.Appendf(dst, " %s: %20s", name, "[ERROR]")
		}
		return fmt.Appendf(dst, " %s: %-20s", name, strings.Repeat("#", int(min(part*width/10000, width))))
	case hexadecimal:
		return fmt.Appendf(dst, " %s: %10x", name, n)
	}
	return fmt.Appendf(dst, " %s: %10d", name, n)
}

// share returns the hundredths of a percent that n is of total. It reports false if that is
// not defined.
func share(n, total uint64) (part uint64, ok bool) {
	const whole = 10000
	if n >= math.MaxUint64/whole {
		if total /= whole; total == 0 {
			return 0, false
		}
		return n / total, true
	}
	if total == 0 {
		return 0, n == 0
	}
	return n * whole / total, true
}
