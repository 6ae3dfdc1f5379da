package calls

import (
	"fmt"
	"slices"
	"testing"

	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/fs/fstest"
	"slowpath/task"
	"slowpath/task/tasktest"
)

// run starts a process that owes what the consumers of s want, and whose user mode is body.
func run(t *testing.T, body func(s *Calls, t *task.Task)) {
	t.Helper()
	w := fstest.New(t, 2048)
	s := New()
	k := task.New(task.Config{Memory: w.Memory, NoRandomize: true, Log: t.Logf, Run: func(t *task.Task) {
		body(s, t)
		t.ExitGroup(task.ExitStatus(0))
	}})
	s.Register(k)
	k.StartReaper()
	tasktest.Spawn(w, k).AwaitEnd()
}

// owes reports whether a task owes the duty.
func owes(t *task.Task) bool {
	return entry.Pending(&t.Frame.ThreadFlags)&entry.SyscallTracepoint != 0
}

// recorder is a consumer that writes down what it sees.
func recorder(seen *[]string, numbers *Set, wants func(*task.Task) bool) *Consumer {
	return &Consumer{
		Wants: wants, Numbers: numbers,
		Enter: func(_ *task.Task, c *entry.Call) { *seen = append(*seen, fmt.Sprintf("enter %d", c.NR)) },
		Exit: func(_ *task.Task, c *entry.Call, result int64) {
			*seen = append(*seen, fmt.Sprintf("exit %d = %d", c.NR, result))
		},
	}
}

func TestTaskOwesTheDutyWhileAConsumerWantsIt(t *testing.T) {
	run(t, func(s *Calls, tk *task.Task) {
		if owes(tk) {
			t.Error("the duty is owed without a consumer")
		}
		wanted := false
		first := s.Subscribe(&Consumer{Wants: func(*task.Task) bool { return wanted }})
		if owes(tk) {
			t.Error("the duty is owed for a consumer that does not want the task")
		}
		wanted = true
		tk.UpdateLevels()
		if !owes(tk) {
			t.Error("the duty is not owed after the consumer wants the task")
		}
		second := s.Subscribe(&Consumer{})
		first()
		if !owes(tk) {
			t.Error("the duty is not owed for the second consumer")
		}
		second()
		if owes(tk) {
			t.Error("the duty is owed after the last consumer has gone")
		}
	})
}

func TestConsumersSeeTheCallsThatTheyWant(t *testing.T) {
	run(t, func(s *Calls, tk *task.Task) {
		var all, some, none []string
		numbers := new(Set)
		numbers.Add(39)
		defer s.Subscribe(recorder(&all, nil, nil))()
		defer s.Subscribe(recorder(&some, numbers, nil))()
		defer s.Subscribe(recorder(&none, nil, func(*task.Task) bool { return false }))()
		h := s.Handlers()
		for _, nr := range []int32{39, 40, -1, 1 << 30} {
			c := &entry.Call{NR: nr}
			h.Entry(tk, c)
			tk.Frame.RAX = uint64(nr) + 1
			h.Exit(tk, c)
		}
		if want := []string{"enter 39", "exit 39 = 40", "enter 40", "exit 40 = 41", "enter -1", "exit -1 = 0",
			"enter 1073741824", "exit 1073741824 = 1073741825"}; !slices.Equal(all, want) {
			t.Errorf("the consumer of all calls saw %q, want %q", all, want)
		}
		if want := []string{"enter 39", "exit 39 = 40"}; !slices.Equal(some, want) {
			t.Errorf("the consumer of one call saw %q, want %q", some, want)
		}
		if len(none) != 0 {
			t.Errorf("the consumer that does not want the task saw %q", none)
		}
	})
}

func TestExitFollowsEntryAlthoughConsumersChange(t *testing.T) {
	run(t, func(s *Calls, tk *task.Task) {
		var early, late []string
		leave := s.Subscribe(recorder(&early, nil, nil))
		c := &entry.Call{NR: 39}
		h := s.Handlers()
		h.Entry(tk, c)
		leave()
		defer s.Subscribe(recorder(&late, nil, nil))()
		h.Exit(tk, c)
		if want := []string{"enter 39", "exit 39 = 0"}; !slices.Equal(early, want) {
			t.Errorf("the consumer that left during the call saw %q, want %q", early, want)
		}
		if len(late) != 0 {
			t.Errorf("the consumer that came during the call saw %q", late)
		}
	})
}

// TestAdmissionHasTheCallsOfEachABIThatNobodyWants: a plan with consumers of the calls of
// either ABI, and with none of i386.
func TestAdmissionHasTheCallsOfEachABIThatNobodyWants(t *testing.T) {
	run(t, func(s *Calls, tk *task.Task) {
		admits := func(of [entry.Calls / 64]uint64, nr int32) bool { return (*Set)(&of).Has(nr) }
		numbers, narrow := new(Set), new(Set)
		numbers.Add(39)
		narrow.Add(20)
		leave := s.Subscribe(&Consumer{Numbers: numbers})
		if a := tk.Admission(); admits(a.Calls, 39) || !admits(a.Calls, 20) || !admits(a.Calls32, 39) || !admits(a.Calls32, 20) {
			t.Errorf("for a consumer of x86-64 alone: %x, %x", a.Calls, a.Calls32)
		}
		defer s.Subscribe(&Consumer{Numbers: numbers, I386: true, Numbers32: narrow})()
		leave()
		if a := tk.Admission(); admits(a.Calls, 39) || !admits(a.Calls, 20) || !admits(a.Calls32, 39) || admits(a.Calls32, 20) {
			t.Errorf("for a consumer of both ABIs: %x, %x", a.Calls, a.Calls32)
		}
		defer s.Subscribe(&Consumer{Numbers: numbers, I386: true})()
		if a := tk.Admission(); admits(a.Calls32, 39) {
			t.Error("a call of i386 is admitted although a consumer wants all of them")
		}
	})
}

// callFast makes the duty serve a call on the fast path. It reports whether it wants the exit.
func callFast(s *Calls, tk *task.Task, nr uint64, args amd64.Args, body func()) (exit bool) {
	h := s.Handlers()
	tk.Frame.OrigRAX, *tk.Frame.Args() = nr, args
	exit = h.Watch(tk, tk.Frame)
	body()
	if exit {
		h.Exit(tk, &tk.Call)
	}
	return exit
}

// TestFastPathShowsTheSameCalls compares what consumers see on the fast path with what they see
// on the slow path, while consumers come and go during the call.
func TestFastPathShowsTheSameCalls(t *testing.T) {
	run(t, func(s *Calls, tk *task.Task) {
		numbers := new(Set)
		numbers.Add(39)
		watch := func(serve func(nr int32, args amd64.Args, body func())) (seen []string) {
			see := func(name string, numbers *Set) *Consumer {
				return &Consumer{
					Numbers: numbers,
					Enter:   func(_ *task.Task, c *entry.Call) { seen = append(seen, fmt.Sprint(name, " enter ", *c)) },
					Exit: func(_ *task.Task, c *entry.Call, result int64) {
						seen = append(seen, fmt.Sprint(name, " exit ", *c, result))
					},
				}
			}
			leave := s.Subscribe(see("a", nil))
			defer s.Subscribe(see("b", numbers))()
			defer s.Subscribe(&Consumer{Enter: func(*task.Task, *entry.Call) { seen = append(seen, "c") }})()
			serve(39, amd64.Args{1, 2, 3, 4, 5, 6}, func() { *tk.Frame.Args() = amd64.Args{}; tk.Frame.RAX = 7 })
			serve(40, amd64.Args{5: 1}, func() { leave(); tk.Frame.RAX = 8 })
			serve(40, amd64.Args{9}, func() { defer s.Subscribe(see("d", nil))(); tk.Frame.RAX = 9 })
			return seen
		}
		h := s.Handlers()
		want := watch(func(nr int32, args amd64.Args, body func()) {
			c := &entry.Call{NR: nr, Args: args}
			h.Entry(tk, c)
			body()
			h.Exit(tk, c)
		})
		got := watch(func(nr int32, args amd64.Args, body func()) { callFast(s, tk, uint64(nr), args, body) })
		if !slices.Equal(got, want) {
			t.Errorf("on the fast path the consumers see\n%q\nwant\n%q", got, want)
		}
	})
}
