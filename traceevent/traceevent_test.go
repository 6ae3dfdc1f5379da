package traceevent

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestEventsAreWrittenInTheFormat(t *testing.T) {
	var out strings.Builder
	w := New(&out)
	w.Metadata("thread_name", Track{1, 2}, "task \"2\"")
	w.Slice("read", "syscall", Track{1, 2}, 1234567, 1234667)
	w.Arguments()
	w.Text("text", "a\n")
	w.Number("number", 7)
	w.Signed("signed", -7)
	w.JSON("json", []string{"x"})
	w.End()
	w.Instant("exit", "", Track{1, 2}, 5)
	w.End()
	if err := w.Close(3); err != nil {
		t.Fatal(err)
	}
	const want = `{"displayTimeUnit":"ns","traceEvents":[
{"name":"thread_name","ph":"M","pid":1,"tid":2,"args":{"name":"task \"2\""}},
{"name":"read","ph":"X","pid":1,"tid":2,"cat":"syscall","ts":1234.567,"dur":0.100,"args":{"text":"a\u000a","number":7,"signed":-7,"json":["x"]}},
{"name":"exit","ph":"i","pid":1,"tid":2,"s":"t","ts":0.005}
],"otherData":{"lost":3}}
`
	if out.String() != want {
		t.Errorf("got  %s\nwant %s", out.String(), want)
	}
	if !json.Valid([]byte(out.String())) {
		t.Error("it is not JSON")
	}
}

func TestTraceWithoutEventsIsValid(t *testing.T) {
	var out strings.Builder
	if err := New(&out).Close(0); err != nil || !json.Valid([]byte(out.String())) {
		t.Errorf("got %q, %v", out.String(), err)
	}
}

// broken fails all writes.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestCloseReportsTheFirstError(t *testing.T) {
	w := New(broken{})
	w.Instant("x", "", Track{}, 0)
	w.JSON("y", func() {})
	w.End()
	if w.Close(0) == nil {
		t.Error("there is no error")
	}
}
