// Package values makes values of what a probe reads: it compiles the arguments of a probe
// to fetch arguments, which the kernel evaluates at a hit, and decodes the bytes that come
// back.
//
// At the entry of a function, values are where the debug information says or, without
// optimisation, where the calling convention puts them. The result of a function is where
// the calling convention puts it.
package values

import (
	"debug/dwarf"
	"errors"
	"fmt"

	"slowpath/probe/die"
	"slowpath/probe/frames"
	"slowpath/probe/location"
	"slowpath/probe/symbols"
	"slowpath/probe/types"
	"slowpath/uprobe/fetch"
)

// Reader compiles the arguments of probes in one ELF file. One goroutine may use it at a
// time.
type Reader struct {
	object   *symbols.Object
	data     *dwarf.Data
	types    *types.Reader
	frames   *frames.Table
	sections *location.Sections
	goid     int64 // offset of goid in runtime.g, 0 if it is unknown
}

// NewReader returns a reader for an ELF file. The file may have no debug information.
func NewReader(o *symbols.Object) *Reader {
	r := &Reader{object: o, data: o.DWARF(), frames: Frames(o)}
	if r.data == nil {
		return r
	}
	base, _ := o.Symbol("runtime.types")
	r.types = types.NewReader(r.data, base)
	r.sections = &location.Sections{
		Info: o.DebugSection(".debug_info"), Loc: o.DebugSection(".debug_loc"),
		Loclists: o.DebugSection(".debug_loclists"), Addr: o.DebugSection(".debug_addr"),
	}
	if o.Go {
		r.goid = r.offsetOfField("runtime.g", "goid")
	}
	return r
}

// Frames returns the call frame information of an ELF file.
func Frames(o *symbols.Object) *frames.Table {
	eh, address := o.Section(".eh_frame")
	debug := o.DebugSection(".debug_frame")
	if debug == nil {
		debug, _ = o.Section(".debug_frame")
	}
	return frames.New(frames.Section{Data: eh, Address: address}, frames.Section{Data: debug})
}

// offsetOfField returns the offset of a field of a structure, 0 if there is none.
func (r *Reader) offsetOfField(structure, field string) int64 {
	reader := die.NewReader(r.data)
	for {
		e, err := reader.Next()
		if err != nil || e == nil {
			return 0
		}
		if name, _ := e.Val(dwarf.AttrName).(string); e.Tag == dwarf.TagStructType && name == structure {
			for _, f := range r.types.At(e.Offset).Fields() {
				if f.Name == field {
					return f.Offset
				}
			}
			return 0
		}
		if e.Children && e.Tag != dwarf.TagCompileUnit {
			reader.SkipChildren(e)
		}
	}
}

// unit returns what location lists of a site depend on.
func (r *Reader) unit(u *symbols.Unit) *location.Unit {
	l := &location.Unit{Version: r.sections.VersionOf(uint64(u.Offset)), Sections: r.sections}
	l.Base, _ = u.Entry.Val(dwarf.AttrLowpc).(uint64)
	for attribute, target := range map[dwarf.Attr]*uint64{dwarf.AttrAddrBase: &l.AddrBase, dwarf.AttrLoclistsBase: &l.LoclistsBase} {
		if n, ok := u.Entry.Val(attribute).(int64); ok {
			*target = uint64(n)
		}
	}
	return l
}

// stackPointer is the address of the top of the stack plus an offset.
func stackPointer(offset int64) []fetch.Step {
	return location.Add([]fetch.Step{{Op: fetch.StackPointer}}, offset)
}

// cfa returns the steps for the canonical frame address at an instruction.
func (r *Reader) cfa(pc uint64) ([]fetch.Step, error) {
	row, ok := r.frames.Row(pc)
	if !ok {
		return nil, fmt.Errorf("%s has no call frame information there; build it with -fasynchronous-unwind-tables", r.object.Path)
	}
	base, ok := location.General(row.CFA.Register)
	if row.CFA.Kind != frames.Sum || !ok {
		return nil, errors.New("the frame of the function is too complicated there")
	}
	return location.Add([]fetch.Step{{Op: fetch.LoadRegister, Register: base}}, row.CFA.Offset), nil
}
