package values

import (
	"fmt"
	"strings"

	"slowpath/probe/location"
	"slowpath/probe/spec"
	"slowpath/probe/types"
	"slowpath/uprobe/fetch"
)

// place is where a value is, and its type.
type place struct {
	typ *types.Type
	at  location.Location
}

// part returns a part of the value.
func (p place) part(t *types.Type, offset int64) place {
	return place{t, p.at.Part(offset, t.Size)}
}

// target returns what the pointer points to.
func (p place) target(t *types.Type) (place, error) {
	steps, ok := p.at.Part(p.typ.PointerAt, eightbyte).Number()
	if !ok {
		return place{}, fmt.Errorf("the pointer is not in a register or in memory")
	}
	return place{t, location.At(steps)}, nil
}

// follow applies the steps of an argument's expression.
func (p place) follow(path []spec.Step) (place, error) {
	for _, s := range path {
		var err error
		switch s.Kind {
		case spec.Field:
			p, err = p.field(s.Name)
		case spec.Element:
			p, err = p.element(s.Index)
		case spec.Dereference:
			p, err = p.dereference()
		}
		if err != nil {
			return place{}, err
		}
	}
	return p, nil
}

// addressed reports whether the type is a pointer or a reference.
func addressed(t *types.Type) bool { return t.Kind == types.Pointer || t.Kind == types.Reference }

// described returns the name of a type for messages.
func described(t *types.Type) string {
	if t.Name != "" {
		return "the type " + t.Name
	}
	return "this type"
}

func (p place) dereference() (place, error) {
	if !addressed(p.typ) {
		return place{}, fmt.Errorf("%s is no pointer, so * cannot follow it", described(p.typ))
	}
	if p.typ.Element().Kind == types.Void {
		return place{}, fmt.Errorf("a pointer to void has no value behind it; give the register a type, as in %%rdi:string")
	}
	return p.target(p.typ.Element())
}

// maxPointers is the maximum number of pointers to pointers that a field is looked up
// through.
const maxPointers = 8

// field returns a field of a structure, or of the structure that a pointer points to.
func (p place) field(name string) (place, error) {
	for range maxPointers {
		if !addressed(p.typ) {
			break
		}
		var err error
		if p, err = p.dereference(); err != nil {
			return place{}, err
		}
	}
	left := maxTypes
	f, at, ok := fieldOf(p.typ, name, &left)
	if ok {
		return p.part(f, at), nil
	}
	var names []string
	for _, f := range p.typ.Fields() {
		names = append(names, f.Name)
	}
	if len(names) == 0 {
		return place{}, fmt.Errorf("%s has no fields", described(p.typ))
	}
	return place{}, fmt.Errorf("%s has no field %s; it has %s", described(p.typ), name, strings.Join(names[:min(len(names), 12)], ", "))
}

// fieldOf finds a field, also in base classes and in structures without a name.
func fieldOf(t *types.Type, name string, left *budget) (*types.Type, int64, bool) {
	if !left.spend() {
		return nil, 0, false
	}
	for _, f := range t.Fields() {
		if f.Name == name && f.BitSize == 0 {
			return f.Type, f.Offset, true
		}
	}
	for _, f := range t.Fields() {
		if f.Base || f.Name == "" || f.Name == f.Type.Name {
			if inner, at, ok := fieldOf(f.Type, name, left); ok {
				return inner, f.Offset + at, true
			}
		}
	}
	return nil, 0, false
}

// element returns an element of an array or a slice, or of what a pointer points to.
func (p place) element(index int64) (place, error) {
	t := p.typ.Element()
	switch p.typ.Kind {
	case types.Array:
		if p.typ.Count >= 0 && index >= p.typ.Count {
			return place{}, fmt.Errorf("the array has %d elements, so there is no element %d", p.typ.Count, index)
		}
		return p.part(t, index*t.Size), nil
	case types.String:
		t = &types.Type{Kind: types.Uint, Name: "uint8", Size: 1}
	case types.Slice, types.Pointer, types.Reference:
	default:
		return place{}, fmt.Errorf("%s has no elements", described(p.typ))
	}
	if t.Size == 0 {
		return place{}, fmt.Errorf("the elements have no known size")
	}
	first, err := p.target(t)
	if err != nil {
		return place{}, err
	}
	return place{t, location.At(location.Add(first.at[0].Steps, index*t.Size))}, nil
}

// steps returns the steps for the address of a place in memory.
func (p place) steps() ([]fetch.Step, bool) {
	if len(p.at) == 1 && p.at[0].Kind == location.Memory {
		return p.at[0].Steps, true
	}
	return nil, false
}
