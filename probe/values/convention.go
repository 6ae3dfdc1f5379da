package values

import (
	"errors"
	"strings"

	"slowpath/probe/location"
	"slowpath/probe/symbols"
	"slowpath/probe/types"
)

// byConvention returns where the calling convention puts a parameter at the entry.
func (s *scope) byConvention(v variable) (location.Location, error) {
	for _, name := range s.site.Function.Names {
		if strings.Contains(name, ".isra.") || strings.Contains(name, ".constprop.") {
			return nil, errors.New("the compiler has changed the parameters of this copy of the function")
		}
	}
	next := s.cParameters()
	if s.isGo() {
		g := &goConvention{base: returnAddress}
		next = g.next
	}
	for _, p := range s.parameters(inputs) {
		at := next(s.passed(p))
		if p.origin.Offset != v.origin.Offset {
			continue
		}
		if at == nil {
			return nil, location.ErrMissing
		}
		return at, nil
	}
	return nil, location.ErrMissing
}

// cParameters returns a function that assigns the parameters of a C function.
func (s *scope) cParameters() func(t *types.Type) location.Location {
	c := &convention{}
	if hiddenResult(s.resultType()) {
		c.integers++
	}
	return c.next
}

func (s *scope) isGo() bool { return s.site.Unit().Language == symbols.LanguageGo }

// resultType returns the type of the result of a C function.
func (s *scope) resultType() *types.Type {
	t := s.reader.types.Of(s.function)
	if t.Kind == types.Void {
		t = s.reader.types.Of(s.reader.origin(s.function))
	}
	return t
}

// result is a value that a function returns.
type result struct {
	name  string
	place place
	err   error
}

// results returns where the values of a function are after its return.
func (s *scope) results() (found []result) {
	if !s.isGo() {
		t := s.resultType()
		if t.Kind == types.Void {
			return nil
		}
		at, err := resultOfC(t)
		return []result{{"", place{t, at}, err}}
	}
	// Stack-assigned parameters come before stack-assigned results, and RET has popped
	// the return address.
	parameters := &goConvention{}
	for _, p := range s.parameters(inputs) {
		parameters.next(s.typeOf(p))
	}
	parameters.finish()
	c := &goConvention{stack: parameters.stack}
	for _, v := range s.parameters(outputs) {
		t := s.typeOf(v)
		r := result{name: v.name, place: place{t, c.next(t)}}
		if strings.HasPrefix(r.name, "~") || r.name == "_" {
			r.name = ""
		}
		found = append(found, r)
	}
	return found
}
