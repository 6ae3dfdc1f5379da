package location

import (
	"encoding/binary"
	"fmt"
)

// Unit is what the lists of a compilation unit depend on.
type Unit struct {
	Version      int    // of DWARF
	Base         uint64 // DW_AT_low_pc of the unit
	AddrBase     uint64 // DW_AT_addr_base
	LoclistsBase uint64 // DW_AT_loclists_base
	Sections     *Sections
}

// Sections are the sections with location lists and addresses.
type Sections struct {
	Info     []byte // .debug_info
	Loc      []byte // .debug_loc, up to DWARF 4
	Loclists []byte // .debug_loclists, from DWARF 5
	Addr     []byte // .debug_addr
}

// VersionOf returns the version of DWARF of the unit whose first DIE is at an offset. It is
// in the header before the DIE, whose size depends on it (DWARF 5, 7.5.1).
func (s *Sections) VersionOf(die uint64) int {
	for _, h := range []struct{ size, version uint64 }{{12, 5}, {20, 5}, {24, 5}, {11, 4}, {11, 3}, {11, 2}} {
		if die < h.size || die > uint64(len(s.Info)) {
			continue
		}
		header := s.Info[die-h.size:]
		length, version := binary.LittleEndian.Uint32(header), binary.LittleEndian.Uint16(header[4:])
		if uint64(version) == h.version && uint64(length)+4 >= h.size && die-h.size+uint64(length)+4 <= uint64(len(s.Info)) {
			return int(version)
		}
	}
	return 4
}

// Address returns an entry of .debug_addr.
func (u *Unit) Address(index uint64) (uint64, error) {
	at := u.AddrBase + index*8
	if index > 1<<32 || at+8 > uint64(len(u.Sections.Addr)) || at+8 < at {
		return 0, errDamaged
	}
	return binary.LittleEndian.Uint64(u.Sections.Addr[at:]), nil
}

// Indexed returns the offset of a list that DW_FORM_loclistx names.
func (u *Unit) Indexed(index uint64) (uint64, error) {
	at := u.LoclistsBase + index*4
	if index > 1<<32 || at+4 > uint64(len(u.Sections.Loclists)) || at+4 < at {
		return 0, errDamaged
	}
	return u.LoclistsBase + uint64(binary.LittleEndian.Uint32(u.Sections.Loclists[at:])), nil
}

// maxEntries is the maximum number of entries of a list.
const maxEntries = 1 << 16

// Expression returns the expression that a list has for an address. The error is
// ErrMissing if there is none.
func (u *Unit) Expression(offset, pc uint64) ([]byte, error) {
	data := u.Sections.Loc
	next := (*listReader).old
	if u.Version >= 5 {
		data, next = u.Sections.Loclists, (*listReader).entry
	}
	if offset >= uint64(len(data)) {
		return nil, errDamaged
	}
	l := &listReader{reader: reader{data: data[offset:]}, unit: u, base: u.Base}
	var fallback []byte
	for range maxEntries {
		e, err := next(l)
		switch {
		case err != nil:
			return nil, err
		case l.bad:
			return nil, errDamaged
		case e.last && fallback != nil:
			return fallback, nil
		case e.last:
			return nil, ErrMissing
		case e.fallback:
			fallback = e.expression
		case e.low <= pc && pc < e.high:
			return e.expression, nil
		}
	}
	return nil, errDamaged
}

// entry is an entry of a list.
type entry struct {
	low, high  uint64
	expression []byte
	fallback   bool // DW_LLE_default_location
	last       bool
}

type listReader struct {
	reader
	unit *Unit
	base uint64
}

// old reads an entry of .debug_loc (DWARF 4, 2.6.2).
func (l *listReader) old() (e entry, err error) {
	low, high := l.fixed(8), l.fixed(8)
	switch {
	case low == 0 && high == 0:
		return entry{last: true}, nil
	case low == ^uint64(0):
		l.base = high
		return entry{}, nil
	}
	return entry{low: l.base + low, high: l.base + high, expression: l.bytes(l.fixed(2))}, nil
}

// Kinds of entries of .debug_loclists (DWARF 5, table 7.10).
const (
	endOfList       = 0
	baseAddressx    = 1
	startxEndx      = 2
	startxLength    = 3
	offsetPair      = 4
	defaultLocation = 5
	baseAddress     = 6
	startEnd        = 7
	startLength     = 8
)

// entry reads an entry of .debug_loclists. An entry that only sets the base has no range.
func (l *listReader) entry() (e entry, err error) {
	kind := l.fixed(1)
	switch kind {
	case endOfList:
		return entry{last: true}, nil
	case baseAddressx:
		l.base, err = l.unit.Address(l.uleb())
		return entry{}, err
	case baseAddress:
		l.base = l.fixed(8)
		return entry{}, nil
	case startxEndx:
		if e.low, err = l.unit.Address(l.uleb()); err == nil {
			e.high, err = l.unit.Address(l.uleb())
		}
	case startxLength:
		e.low, err = l.unit.Address(l.uleb())
		e.high = e.low + l.uleb()
	case offsetPair:
		e.low = l.base + l.uleb()
		e.high = l.base + l.uleb()
	case defaultLocation:
		e.fallback = true
	case startEnd:
		e.low, e.high = l.fixed(8), l.fixed(8)
	case startLength:
		e.low = l.fixed(8)
		e.high = e.low + l.uleb()
	default:
		return e, fmt.Errorf("%w: a location list has an entry of the kind %d", errDamaged, kind)
	}
	e.expression = l.bytes(l.uleb())
	return e, err
}
