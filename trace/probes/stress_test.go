package probes_test

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/fs"
	"slowpath/trace"
)

type thread struct{ tid int }

func (t thread) TID() int     { return t.tid }
func (t thread) PID() int     { return t.tid }
func (t thread) Comm() string { return "thread" }

// TestFilesAreUsedAtTheSameTime uses the files of tracefs at random on several goroutines,
// while events happen and a sink subscribes. Nothing may stay afterwards. The race detector
// finds what is not locked.
func TestFilesAreUsedAtTheSameTime(t *testing.T) {
	w := newWorld(t)
	commands := []struct{ name, text string }{
		{"uprobe_events", "p:a /target:0x0 %di +0(%si):string"}, {"uprobe_events", "p:a /target:0x10 %di +0(%si):string"},
		{"uprobe_events", "r:b /target:0x0 $retval"}, {"uprobe_events", "-:a"}, {"uprobe_events", "-:uprobes/"}, {"uprobe_events", "p:a /target:0x0"},
		{"events/uprobes/a/enable", "1"}, {"events/uprobes/b/enable", "1"}, {"events/uprobes/a/enable", "0"}, {"events/enable", "0"}, {"events/enable", "1"},
		{"events/uprobes/a/filter", "arg1 == 5 || comm == \"x\""}, {"events/uprobes/a/filter", "nothing == 1"}, {"events/uprobes/filter", "0"},
		{"events/uprobes/a/trigger", "traceoff:1"}, {"events/uprobes/a/trigger", "!traceoff"}, {"events/uprobes/b/trigger", "enable_event:uprobes:a"},
		{"events/uprobes/b/trigger", "!enable_event:uprobes:a"}, {"tracing_on", "1"}, {"set_event", "a"}, {"set_event", "!b"}, {"set_event_pid", "1"},
		{"buffer_size_kb", "8"}, {"buffer_size_kb", "40"}, {"trace_clock", "counter"}, {"trace_clock", "mono"}, {"trace_marker", "hello"},
		{"instances/x/events/uprobes/a/enable", "1"}, {"instances/x/set_event", "uprobes:*"}, {"options/record-tgid", "1"}, {"trace_options", "nooverwrite"},
	}
	names := []string{"uprobe_events", "uprobe_profile", "trace", "trace_pipe", "per_cpu/cpu0/trace_pipe_raw", "per_cpu/cpu1/stats", "set_event", "error_log",
		"events/uprobes/a/format", "events/uprobes/a/enable", "events/uprobes/b/trigger", "saved_cmdlines", "instances/x/trace", "available_events"}
	open := func(name string, flags int) *fs.File {
		f, err := w.At("/t/"+name).Open(flags, 0)
		if err != nil {
			return nil
		}
		return f
	}
	end := time.Now().Add(400 * time.Millisecond)
	var group sync.WaitGroup
	for n := range 4 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), 1))
			for time.Now().Before(end) {
				switch random.IntN(6) {
				case 0, 1, 2:
					c := commands[random.IntN(len(commands))]
					if f := open(c.name, unix.O_WRONLY); f != nil {
						f.Write(fs.NewBytesSource([]byte(c.text + "\n")))
						f.DecRef()
					}
				case 3:
					if f := open(names[random.IntN(len(names))], unix.O_RDONLY); f != nil {
						f.Read(fs.NewBytesSink(make([]byte, 1+random.IntN(5000))))
						f.Readiness()
						f.ReadSplice(fs.NewBytesSink(make([]byte, 8192)))
						f.DecRef()
					}
				case 4:
					if random.IntN(2) == 0 {
						w.At("/t/instances/x").MakeDirectory(0o755)
					} else {
						w.At("/t/instances/x").RemoveDirectory()
					}
				case 5:
					if f := open("trace", unix.O_WRONLY|unix.O_TRUNC); f != nil {
						f.DecRef()
					}
				}
			}
		})
		group.Go(func() {
			sink := &trace.Sink{Record: func(trace.Task, *amd64.Frame, []byte) {}}
			for time.Now().Before(end) {
				for _, name := range []string{"a", "b"} {
					e := w.registry.Lookup("uprobes", name)
					if e == nil {
						continue
					}
					for range 20 {
						e.Record(thread{n}, nil, make([]byte, 24+n*100))
					}
					if e.Subscribe(sink) == nil {
						e.Record(thread{n}, nil, make([]byte, 40))
						e.Unsubscribe(sink)
					}
				}
			}
		})
	}
	group.Wait()
	w.registry.Reset()
	if err := w.write("uprobe_events", "", unix.O_TRUNC); err != nil {
		t.Errorf("the definitions cannot be removed: %v", err)
	}
	if left := w.Read("/t/available_events"); left != "" {
		t.Errorf("left: %s", left)
	}
	if !strings.HasPrefix(w.Read("/t/trace"), "# tracer: nop\n") {
		t.Error("trace cannot be read")
	}
}
