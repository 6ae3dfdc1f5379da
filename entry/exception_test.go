package entry

import (
	"strings"
	"testing"

	"slowpath/arch/amd64"
)

// everyVector returns a handler of the owner for all exceptions that logs its
// owner and takes the exception or declines it.
func everyVector(o Owner, takes bool) ExceptionHandler[*model] {
	h := ExceptionHandler[*model]{Owner: o, Handle: func(m *model, _ *amd64.Frame, _ int) bool {
		m.ran = append(m.ran, o.String())
		return takes
	}}
	for vector := range amd64.FirstInterrupt {
		h.Vectors = append(h.Vectors, vector)
	}
	return h
}

func TestExceptionIsOfferedToUprobeThenTracerThenProgram(t *testing.T) {
	for want, takes := range map[string]map[Owner]bool{
		"uprobe":                  {ByUprobe: true},
		"uprobe, tracer":          {ByTracer: true},
		"uprobe, tracer, program": {},
	} {
		e, err := NewExceptions(
			everyVector(ByProgram, true), everyVector(ByTracer, takes[ByTracer]), everyVector(ByUprobe, takes[ByUprobe]))
		if err != nil {
			t.Fatal(err)
		}
		m := newModel(0)
		if e.Handle(m, &m.f, 3); m.log() != want {
			t.Errorf("asked %s, want %s", m.log(), want)
		}
	}
}

func TestNewExceptionsRefusesIncompleteChains(t *testing.T) {
	all := everyVector(ByProgram, true)
	for name, handlers := range map[string][]ExceptionHandler[*model]{
		"no handler":           nil,
		"a vector without one": {{Owner: ByProgram, Vectors: []int{1}, Handle: all.Handle}},
		"two of one owner":     {all, {Owner: ByProgram, Vectors: []int{3}, Handle: all.Handle}},
		"an interrupt":         {all, {Owner: ByTracer, Vectors: []int{amd64.FirstInterrupt}, Handle: all.Handle}},
	} {
		if _, err := NewExceptions(handlers...); err == nil || !strings.HasPrefix(err.Error(), "entry: ") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
