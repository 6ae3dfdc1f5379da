package symbols

import (
	"cmp"
	"debug/dwarf"
	"io"
	"path"
	"slices"
	"strings"
)

// row is a row of the line table.
type row struct {
	address   uint64
	file      int32 // index of lineTable.files
	line      int32
	statement bool
	prologue  bool // the prologue of the function ends here
	end       bool // of a sequence: no code from here on
}

// lineTable has the rows of all units, sorted by address.
type lineTable struct {
	files []string
	rows  []row
}

// maxRows is the maximum number of rows that are kept.
const maxRows = 64 << 20

func (o *Object) readLines() *lineTable {
	t := &lineTable{}
	x := o.index()
	if x == nil {
		return t
	}
	known := map[string]int32{}
	for _, u := range x.units {
		guarded(func() error { return t.addUnit(o.DWARF(), u, known) })
	}
	slices.SortStableFunc(t.rows, func(a, b row) int {
		if c := cmp.Compare(a.address, b.address); c != 0 {
			return c
		}
		// The end of a sequence comes before the beginning of the next one.
		return cmp.Compare(boolToInt(b.end), boolToInt(a.end))
	})
	return t
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (t *lineTable) addUnit(data *dwarf.Data, u *Unit, known map[string]int32) error {
	r, err := data.LineReader(u.Entry)
	if err != nil || r == nil {
		return err
	}
	for len(t.rows) < maxRows {
		var e dwarf.LineEntry
		if err := r.Next(&e); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		name := ""
		if e.File != nil {
			name = e.File.Name
		}
		file, found := known[name]
		if !found {
			file = int32(len(t.files))
			t.files = append(t.files, name)
			known[name] = file
		}
		t.rows = append(t.rows, row{e.Address, file, int32(e.Line), e.IsStmt, e.PrologueEnd, e.EndSequence})
	}
	return nil
}

// find returns the row that has the address, or nil.
func (t *lineTable) find(address uint64) *row {
	i, _ := slices.BinarySearchFunc(t.rows, address+1, func(r row, a uint64) int { return cmp.Compare(r.address, a) })
	if i == 0 || t.rows[i-1].end {
		return nil
	}
	return &t.rows[i-1]
}

// Line returns the source file and the line of an address. The file is empty if they are
// unknown.
func (o *Object) Line(address uint64) (file string, line int) {
	t := o.lines()
	if r := t.find(address); r != nil {
		return t.files[r.file], int(r.line)
	}
	return "", 0
}

// sameFile reports whether the path of a source file ends with name.
func sameFile(file, name string) bool {
	file, name = path.Clean(file), path.Clean(name)
	return file == name || strings.HasSuffix(file, "/"+strings.TrimPrefix(name, "/"))
}

// matchFiles returns the indexes of the source files that name may mean.
func (t *lineTable) matchFiles(name string) map[int32]bool {
	found := map[int32]bool{}
	for i, file := range t.files {
		if sameFile(file, name) {
			found[int32(i)] = true
		}
	}
	return found
}

// starts returns the addresses, ascending, at which statements of a line begin in
// [low, high).
func (t *lineTable) starts(files map[int32]bool, line int, low, high uint64) (addresses []uint64) {
	i, _ := slices.BinarySearchFunc(t.rows, low, func(r row, a uint64) int { return cmp.Compare(r.address, a) })
	for ; i < len(t.rows) && t.rows[i].address < high; i++ {
		r := &t.rows[i]
		if !r.end && r.statement && int(r.line) == line && files[r.file] {
			addresses = append(addresses, r.address)
		}
	}
	return slices.Compact(addresses)
}

// neighbours returns the nearest lines before and after line that have code, 0 if there
// is none.
func (t *lineTable) neighbours(files map[int32]bool, line int, low, high uint64) (before, after int) {
	for i := range t.rows {
		r := &t.rows[i]
		if r.end || !r.statement || !files[r.file] || r.address < low || r.address >= high || r.line == 0 {
			continue
		}
		if n := int(r.line); n < line {
			before = max(before, n)
		} else if n > line && (after == 0 || n < after) {
			after = n
		}
	}
	return before, after
}

// prologueEnd returns the address at which the compiler says that the prologue of the
// function ends, or the address of the function.
func (t *lineTable) prologueEnd(f *Function) uint64 {
	i, _ := slices.BinarySearchFunc(t.rows, f.Address, func(r row, a uint64) int { return cmp.Compare(r.address, a) })
	for ; i < len(t.rows) && t.rows[i].address < f.Address+f.Size; i++ {
		if t.rows[i].prologue && !t.rows[i].end {
			return t.rows[i].address
		}
	}
	return f.Address
}
