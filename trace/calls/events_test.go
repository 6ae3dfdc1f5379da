package calls

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/task"
	"slowpath/trace"
)

// rows are the calls of the tests.
var rows = []Row{
	{Number: unix.SYS_GETPPID, Name: "getppid"},
	{Number: unix.SYS_CLOSE, Name: "close", Parameters: []Parameter{{"unsigned int", "fd"}}},
}

// traced returns the registry of s with the events of rows.
func traced(t *testing.T, s *Calls) *trace.Registry {
	t.Helper()
	r, err := trace.NewRegistry(trace.Config{CPUs: 1, CPU: func() int { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddEvents(r, rows); err != nil {
		t.Fatal(err)
	}
	return r
}

// collect subscribes to an event and returns its lines.
func collect(t *testing.T, e *trace.Event, wants func(trace.Task) bool) *[]string {
	t.Helper()
	lines := new([]string)
	err := e.Subscribe(&trace.Sink{Wants: wants, Record: func(_ trace.Task, _ *amd64.Frame, record []byte) {
		*lines = append(*lines, string(e.Print(nil, record)))
	}})
	if err != nil {
		t.Error(err)
	}
	return lines
}

// makeCall makes the duty serve a call with a result.
func makeCall(s *Calls, tk *task.Task, nr uint64, args amd64.Args, result uint64) {
	h := s.Handlers()
	tk.Frame.OrigRAX, *tk.Frame.Args() = nr, args
	c := &entry.Call{NR: int32(nr), Args: args}
	h.Entry(tk, c)
	tk.Frame.RAX = result
	h.Exit(tk, c)
}

func TestEventsHaveTheCallsArgumentsAndResult(t *testing.T) {
	run(t, func(s *Calls, tk *task.Task) {
		r := traced(t, s)
		enter, exit := collect(t, r.Lookup("raw_syscalls", "sys_enter"), nil), collect(t, r.Lookup("raw_syscalls", "sys_exit"), nil)
		closing, closed := collect(t, r.Lookup("syscalls", "sys_enter_close"), nil), collect(t, r.Lookup("syscalls", "sys_exit_close"), nil)
		makeCall(s, tk, unix.SYS_CLOSE, amd64.Args{7, 2, 3, 4, 5, 6}, ^uint64(8))
		makeCall(s, tk, 1<<20, amd64.Args{}, entry.NoCall)
		for _, c := range []struct {
			name      string
			got, want []string
		}{
			{"sys_enter", *enter, []string{"sys_enter: NR 3 (7, 2, 3, 4, 5, 6)\n", "sys_enter: NR 1048576 (0, 0, 0, 0, 0, 0)\n"}},
			{"sys_exit", *exit, []string{"sys_exit: NR 3 = -9\n", "sys_exit: NR 1048576 = -38\n"}},
			{"sys_enter_close", *closing, []string{"sys_close(fd: 7)\n"}},
			{"sys_exit_close", *closed, []string{"sys_close -> 0xfffffffffffffff7\n"}},
		} {
			if !slices.Equal(c.got, c.want) {
				t.Errorf("%s has %q, want %q", c.name, c.got, c.want)
			}
		}
	})
}

// TestEventOfOneCallAdmitsTheOthers: the other calls stay on the fast path.
func TestEventOfOneCallAdmitsTheOthers(t *testing.T) {
	run(t, func(s *Calls, tk *task.Task) {
		r := traced(t, s)
		admits := func(nr uint32) bool {
			a := tk.Admission()
			return a != nil && a.Flag == entry.SyscallTracepoint && a.Calls[nr/64]>>(nr%64)&1 != 0
		}
		set := func(system, name string, on bool) {
			if err := r.Top().SetEnabled(system, name, on); err != nil {
				t.Errorf("%s:%s: %v", system, name, err)
			}
		}
		set("syscalls", "sys_exit_close", true)
		if !owes(tk) || admits(unix.SYS_CLOSE) || !admits(unix.SYS_GETPPID) {
			t.Error("with the event of close, close is admitted, or getppid is not")
		}
		set("raw_syscalls", "sys_enter", true)
		if !owes(tk) || admits(unix.SYS_GETPPID) {
			t.Error("with the event of all calls, getppid is admitted")
		}
		set("raw_syscalls", "sys_enter", false)
		if !admits(unix.SYS_GETPPID) {
			t.Error("after the event of all calls, getppid is not admitted")
		}
		set("syscalls", "sys_exit_close", false)
		if owes(tk) || tk.Admission() != nil {
			t.Error("the duty is owed without an event")
		}
	})
}

func TestTaskThatNoUserWantsDoesNotOweTheDuty(t *testing.T) {
	run(t, func(s *Calls, tk *task.Task) {
		r, wanted := traced(t, s), false
		e := r.Lookup("raw_syscalls", "sys_enter")
		lines := collect(t, e, func(trace.Task) bool { return wanted })
		if owes(tk) {
			t.Error("the duty is owed for a user that does not want the task")
		}
		wanted = true
		e.Refilter()
		if !owes(tk) {
			t.Error("the duty is not owed after the user wants the task")
		}
		makeCall(s, tk, unix.SYS_GETPPID, amd64.Args{}, 1)
		if len(*lines) != 1 {
			t.Errorf("the user got %q", *lines)
		}
	})
}

// TestFastPathRecordsTheSameEvents enables sets of events in an instance, with and without a
// consumer, and compares the records of calls on the fast path with those on the slow path. An
// event of the entry alone needs no exit.
func TestFastPathRecordsTheSameEvents(t *testing.T) {
	names := []string{"raw_syscalls:sys_enter", "raw_syscalls:sys_exit", "syscalls:sys_enter_close", "syscalls:sys_exit_close", "syscalls:sys_enter_getppid"}
	run(t, func(s *Calls, tk *task.Task) {
		r, err := trace.NewRegistry(trace.Config{CPUs: 1, CPU: func() int { return 0 }, TSC: trace.TSC{Scale: 1 << 32}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.AddEvents(r, rows); err != nil {
			t.Fatal(err)
		}
		for set := range 1 << len(names) {
			exits := false
			for i, name := range names {
				system, event, _ := strings.Cut(name, ":")
				on := set>>i&1 != 0
				exits = exits || on && strings.Contains(name, "exit")
				if err := r.Top().SetEnabled(system, event, on); err != nil {
					t.Fatal(err)
				}
			}
			for _, consumed := range []bool{false, true} {
				leave := func() {}
				if consumed {
					leave = s.Subscribe(&Consumer{})
				}
				for _, nr := range []uint64{unix.SYS_CLOSE, unix.SYS_GETPPID, unix.SYS_READ} {
					args := amd64.Args{nr, 2, 3, 4, 5, 6}
					for range 2 { // the first record notes the thread, and is not stored directly
						makeCall(s, tk, nr, args, 5)
					}
					want := lastRecords(t, r)
					for range 2 {
						wanted := callFast(s, tk, nr, args, func() { tk.Frame.RAX = 5 })
						if wanted != (exits || consumed) {
							t.Errorf("events %b, consumer %v: the exit of call %d is wanted: %v", set, consumed, nr, wanted)
						}
					}
					if got := lastRecords(t, r); got != want {
						t.Errorf("events %b, consumer %v, call %d: the records on the fast path are\n%s\nwant\n%s", set, consumed, nr, got, want)
					}
				}
				leave()
			}
		}
	})
}

// timestamp is the time in a line of the file trace.
var timestamp = regexp.MustCompile(` +[0-9]+\.[0-9]+: `)

// lastRecords returns the lines of the top instance without their times, and removes them.
func lastRecords(t *testing.T, r *trace.Registry) string {
	t.Helper()
	var text []byte
	pipe := r.Top().NewPipe(trace.AllCPUs)
	for {
		_, err := pipe.Read(func(more []byte) (int, error) { text = append(text, more...); return len(more), nil })
		if err == unix.EAGAIN {
			return timestamp.ReplaceAllString(string(text), " ")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzPrint prints records of any contents.
func FuzzPrint(f *testing.F) {
	f.Add([]byte("12345678abcdefghABCDEFGH"))
	e := &New().traced
	all := e.definitions(rows)
	f.Fuzz(func(t *testing.T, record []byte) {
		if len(record) < trace.CommonSize {
			return
		}
		for _, d := range all {
			if line := d.Print(nil, record); len(line) == 0 || line[len(line)-1] != '\n' {
				t.Errorf("%s prints %q", d.Name, line)
			}
		}
	})
}
