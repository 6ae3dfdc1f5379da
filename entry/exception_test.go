package entry

import (
	"strings"
	"testing"

	"slowpath/arch/amd64"
)

// everyVector returns a handler of all exceptions that logs its owner and
// returns handles.
func everyVector(o Owner, handles bool) ExceptionHandler[*model] {
	h := ExceptionHandler[*model]{Owner: o, Handle: func(m *model, _ *amd64.Frame, _ int) bool {
		m.ran = append(m.ran, o.String())
		return handles
	}}
	for vector := range amd64.FirstInterrupt {
		h.Vectors = append(h.Vectors, vector)
	}
	return h
}

func TestExceptionHandlersRunInTheOrderOfTheirOwners(t *testing.T) {
	for want, handles := range map[string]map[Owner]bool{
		"uprobe":                  {ByUprobe: true},
		"uprobe, tracer":          {ByTracer: true},
		"uprobe, tracer, program": {},
	} {
		e, err := NewExceptions(
			everyVector(ByProgram, true), everyVector(ByTracer, handles[ByTracer]), everyVector(ByUprobe, handles[ByUprobe]))
		if err != nil {
			t.Fatal(err)
		}
		m := newModel(0)
		if e.Handle(m, &m.f, 3); m.log() != want {
			t.Errorf("called %s, want %s", m.log(), want)
		}
	}
}

func TestNewExceptionsRejectsBadChains(t *testing.T) {
	all := everyVector(ByProgram, true)
	for name, handlers := range map[string][]ExceptionHandler[*model]{
		"no handler":               nil,
		"a vector without handler": {{Owner: ByProgram, Vectors: []int{1}, Handle: all.Handle}},
		"two of one owner":         {all, {Owner: ByProgram, Vectors: []int{3}, Handle: all.Handle}},
		"an interrupt vector":      {all, {Owner: ByTracer, Vectors: []int{amd64.FirstInterrupt}, Handle: all.Handle}},
	} {
		if _, err := NewExceptions(handlers...); err == nil || !strings.HasPrefix(err.Error(), "entry: ") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
