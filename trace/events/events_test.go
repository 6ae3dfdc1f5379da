package events

import (
	"os"
	"strings"
	"testing"

	"slowpath/entry"
	"slowpath/mm/mmtest"
	"slowpath/task"
	"slowpath/trace"
)

// newKernel returns a kernel without tasks, with its events.
func newKernel(t testing.TB) (*task.Kernel, *trace.Registry, *entry.Recorder) {
	t.Helper()
	memory, _ := mmtest.New(t, 256)
	tasks := task.New(task.Config{Run: func(*task.Task) {}, Memory: memory, CPUs: 2})
	registry, err := trace.NewRegistry(trace.Config{CPUs: 2, CPU: func() int { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	visits := entry.NewRecorder(2, 8)
	if err := Register(Config{Tasks: tasks, Events: registry, Visits: visits, CPU: func() int { return 0 }}); err != nil {
		t.Fatal(err)
	}
	return tasks, registry, visits
}

// TestFormatsAreThoseOfLinux compares with the files format of Debian's kernel, apart from
// the ids. testdata has the events that exist here too.
func TestFormatsAreThoseOfLinux(t *testing.T) {
	linux, err := os.ReadFile("testdata/formats-linux-6.1")
	if err != nil {
		t.Fatal(err)
	}
	_, registry, _ := newKernel(t)
	compared := 0
	for _, part := range strings.Split(string(linux), "== ")[1:] {
		title, want, _ := strings.Cut(part, "\n")
		system, name, _ := strings.Cut(title, ":")
		e := registry.Lookup(system, name)
		if e == nil {
			t.Errorf("there is no event %s", title)
			continue
		}
		lines := strings.Split(string(e.Format()), "\n")
		lines[1] = "ID: 0"
		if got := strings.Join(lines, "\n"); got != want {
			t.Errorf("the format of %s is\n%s\nLinux has\n%s", title, got, want)
		}
		compared++
	}
	if compared < len(rows)-1 { // slowpath:exit is our own
		t.Errorf("%d of %d events were compared", compared, len(rows))
	}
}

// TestEventsPrintAsLinuxDoes has records whose text Debian's kernel has printed.
func TestEventsPrintAsLinuxDoes(t *testing.T) {
	for _, c := range []struct {
		event  string
		values []value
		want   string
	}{
		{"signal_generate", []value{number(17), number(0), number(2), name("sh"), number(857), number(1), number(0)},
			"signal_generate: sig=17 errno=0 code=2 comm=sh pid=857 grp=1 res=0\n"},
		{"signal_deliver", []value{number(17), number(0), number(-6), number(uint64(0x525892)), number(uint64(0x4000000))},
			"signal_deliver: sig=17 errno=0 code=-6 sa_handler=525892 sa_flags=4000000\n"},
		{"sched_process_exec", []value{name("/bin/sh"), number(5), number(6)}, "sched_process_exec: filename=/bin/sh pid=5 old_pid=6\n"},
		{"sched_wakeup", []value{name("rcu_preempt"), number(15), number(120), number(0)},
			"sched_wakeup: comm=rcu_preempt pid=15 prio=120 target_cpu=000\n"},
		{"sched_stat_runtime", []value{name("sh"), number(858), number(1844875), number(uint64(7848086733))},
			"sched_stat_runtime: comm=sh pid=858 runtime=1844875 [ns] vruntime=7848086733 [ns]\n"},
		{"sched_switch", []value{name("sh"), number(858), number(120), number(32), name("swapper/0"), number(0), number(120)},
			"sched_switch: prev_comm=sh prev_pid=858 prev_prio=120 prev_state=Z ==> next_comm=swapper/0 next_pid=0 next_prio=120\n"},
		{"sched_switch", []value{name("sh"), number(858), number(120), number(256), name("a"), number(1), number(-1)},
			"sched_switch: prev_comm=sh prev_pid=858 prev_prio=120 prev_state=R+ ==> next_comm=a next_pid=1 next_prio=-1\n"},
		{"page_fault_user", []value{number(uint64(0x599be8)), number(uint64(0x4c969e)), number(4)},
			"page_fault_user: address=0x599be8 ip=0x4c969e error_code=0x4\n"},
		{"task_newtask", []value{number(858), name("sh"), number(uint64(0x1200000)), number(-1000)},
			"task_newtask: pid=858 comm=sh clone_flags=1200000 oom_score_adj=-1000\n"},
		{"exit", []value{number(0), number(61), number(uint32(entry.SigPending)), number(0), number(1500), number(1), number(1)},
			"exit: kind=syscall number=61 owed=SIGPENDING served=0 duration=1500 cpu=1 by=IRETQ\n"},
	} {
		for i := range rows {
			if r := &rows[i]; r.name == c.event {
				s := newSchema(r)
				record := s.encode(nil, c.values)
				if got := r.name + ": " + string(s.print(nil, record)) + "\n"; got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
			}
		}
	}
}

// FuzzPrint prints records that a program has written.
func FuzzPrint(f *testing.F) {
	f.Add(0, []byte{1})
	f.Add(9, make([]byte, 64))
	f.Fuzz(func(t *testing.T, event int, record []byte) {
		if event >= 0 && event < len(rows) {
			newSchema(&rows[event]).print(nil, record)
		}
	})
}

func TestEventIsConnectedWhileItHasUsers(t *testing.T) {
	tasks, registry, _ := newKernel(t)
	point := &tasks.Tracepoints.SignalGenerated
	if point.Active() {
		t.Error("the tracepoint has a function although no event is enabled")
	}
	top := registry.Top()
	if err := top.SetEnabled("", "", true); err != nil || !point.Active() {
		t.Errorf("enabling all events gives %v; the tracepoint is active: %v", err, point.Active())
	}
	if err := top.SetEnabled("", "", false); err != nil || point.Active() || tasks.Scheduler().Load.Woken.Active() {
		t.Errorf("disabling all events gives %v; the tracepoint is active: %v", err, point.Active())
	}
}

func TestFaultOfACopyIsRecorded(t *testing.T) {
	tasks, registry, _ := newKernel(t)
	e := registry.Lookup("exceptions", "page_fault_kernel")
	if err := registry.Top().File(e).Enable(true); err != nil {
		t.Fatal(err)
	}
	space, err := tasks.Memory().NewAddressSpace()
	if err != nil {
		t.Fatal(err)
	}
	var b [8]byte
	defer space.DecRef()
	space.CopyOut(0x1000, b[:])
	space.CopyIn(b[:], 0x2000)
	text := ""
	if _, err := registry.Top().NewPipe(trace.AllCPUs).Read(func(p []byte) (int, error) { text += string(p); return len(p), nil }); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"page_fault_kernel: address=0x1000 ip=slowpath/mm.(*AddressSpace).copyUser error_code=0x2\n",
		"page_fault_kernel: address=0x2000 ip=slowpath/mm.(*AddressSpace).copyUser error_code=0x0\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("trace:\n%swant: %s", text, want)
		}
	}
}
