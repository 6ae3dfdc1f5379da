//go:build !race

package sched

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"slowpath/mutation"
)

// mutant is a deliberate mistake in a file of this package: text that occurs exactly once, and
// what replaces it.
type mutant struct {
	name   string
	caught string // the property that the mistake must violate
	file   string
	old    string
	new    string
}

var mutants = []mutant{
	{"a wake-up before the end of the switch ignored", "no lost wake-up", "cpu.go",
		"		e.state.Store(awake) // a wake-up came first\n", "		e.state.Store(parked)\n		return\n"},
	{"no token for a task that is awake", "no lost wake-up", "entity.go",
		"			if e.state.CompareAndSwap(awake, token) {\n				return\n			}\n", "			return\n"},
	{"a switch that forgets what has left", "no lost wake-up", "cpu.go",
		"	if e.why == ended {", "	if e.why == ended || e.why == yields {"},
	{"an entity taken off the queue in the switch not queued again", "no lost wake-up", "cpu.go",
		"	if e.queue == nil {\n		s.enqueue(e, s.choose(e), c.left)\n		return\n	}\n", ""},
	{"an entity that another CPU passed over not offered", "no idle CPU", "cpu.go",
		"		return\n	}\n	s.offer(e)\n}\n\n// bury", "		return\n	}\n}\n\n// bury"},
	{"places exchanged although a CPU is idle", "no idle CPU", "cpu.go",
		" && c.scheduler.resting == 0 &&", " &&"},
	{"an entity runs elsewhere before it has left", "left", "place.go",
		"return e.mayRunOn(cpu) && !e.disturb()", "return e.mayRunOn(cpu)"},
	{"an entity that runs stays on the queue", "one place", "cpu.go",
		"	next.queue.remove(next)\n	return c", "	return c"},
	{"an entity queued before it has left", "one place", "entity.go",
		"		e.setReason(misplaced, false)\n	}\n	return to", "		e.setReason(misplaced, false)\n	}\n	if why == yields {\n		c.add(e, now, false)\n	}\n	return to"},
	{"removal not counted", "count", "cpu.go",
		"	c.scheduler.waiting.Add(-1)\n", ""},
	{"no kick for an idle CPU", "no idle CPU", "scheduler.go",
		"	case c.resting:\n		c.rouse()\n", "	case c.resting:\n		c.setResting(false)\n"},
	{"an idle CPU that is not known as idle", "no idle CPU", "cpu.go",
		"		c.setResting(true)\n		c.started", "		c.started"},
	{"an idle CPU looks only at the first of each queue", "no idle CPU", "cpu.go",
		"		next = c.bestBehindOthers()\n", ""},
	{"no idle CPU looks for an entity that was preempted", "no idle CPU", "cpu.go",
		"	c.limit(now)\n	s.offer(e)\n", "	c.limit(now)\n"},
	{"an entity woken in the switch does not preempt", "priority", "cpu.go",
		"(e.realtime || e.why == sleeps) && c.preempts(e, now)", "false"},
	{"requeued on a CPU that the affinity excludes", "affinity", "cpu.go",
		"	if !e.mayRunOn(c.number) {\n		s.enqueue", "	if false {\n		s.enqueue"},
	{"the last CPU chosen although the affinity excludes it", "affinity", "place.go",
		"if e.mayRunOn(last.number) && last.isIdle()", "if last.isIdle()"},
	{"a waiting entity keeps its queue when its affinity changes", "affinity", "scheduler.go",
		"	case e.queue != nil:\n		before", "	case false:\n		before"},
	{"an entity that runs not told of its affinity", "affinity", "scheduler.go",
		"		e.runner.Preempt()\n	default:", "	default:"},
	{"NEED_RESCHED ignores the affinity", "affinity", "scheduler.go",
		"|| e.reasons.Load() != 0", "|| e.reasons.Load()&spent != 0"},
	{"a preempted SCHED_FIFO entity loses its turn", "order", "cpu.go",
		"e.why == preempted && !e.expired", "false"},
	{"sched_yield keeps the turn", "order", "cpu.go",
		"e.why == preempted && !e.expired", "e.why != sleeps"},
	{"a woken SCHED_FIFO entity does not preempt", "priority", "throttle.go",
		"	return e.precedesBy(running, 0)\n", "	return false\n"},
	{"no end of the slice when another begins to wait", "no starvation", "scheduler.go",
		"		c.limit(now)\n	case c.resting:", "	case c.resting:"},
}

// properties are those that the model checks.
var properties = []string{"count", "one place", "affinity", "order", "no lost wake-up", "no idle CPU", "priority", "no starvation", "left"}

// TestModelCatchesEveryMutant explores the run queues of sources with one mistake each.
func TestModelCatchesEveryMutant(t *testing.T) {
	caught := map[string]bool{}
	for _, m := range mutants {
		violated := m.explore(t)
		if violated[m.caught] == "" {
			t.Errorf("%s: no order of steps violates %q, but %v", m.name, m.caught, violated)
			continue
		}
		caught[m.caught] = true
	}
	for _, p := range properties {
		if !caught[p] {
			t.Errorf("no mutant violates %q; add one", p)
		}
	}
}

// explore runs the exhaustive test with the mutant, and returns the violated properties.
func (m *mutant) explore(t *testing.T) (violated map[string]string) {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report.json")
	overlay := mutation.Overlay(t, map[string][]string{m.file: {m.old, m.new}})
	command := exec.Command("go", "test", "-overlay", overlay, "-count=1", "-vet=off",
		"-run=^TestRunQueuesKeepTheirInvariants$", ".")
	command.Env = append(os.Environ(), reportVariable+"="+report, expectedVariable+"="+m.caught)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: the mutant does not run: %v\n%s", m.name, err, out)
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &violated); err != nil {
		t.Fatal(err)
	}
	return violated
}
