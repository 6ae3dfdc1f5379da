package amd64

import "testing"

func TestMayRunOn(t *testing.T) {
	var f Frame
	for cpu := range MaxCPUs {
		if !f.MayRunOn(cpu) {
			t.Errorf("a frame without affinity may not run on CPU %d", cpu)
		}
	}
	f.Confine(1<<1 | 1<<3)
	for cpu, want := range []bool{false, true, false, true, false} {
		if f.MayRunOn(cpu) != want {
			t.Errorf("CPU %d: %v", cpu, !want)
		}
	}
}

// TestNoCPUIsTakenUnderAnotherBinding: a CPU whose runtime thread is not bound
// as the task is refuses the task's state, and so the task does not run there.
func TestNoCPUIsTakenUnderAnotherBinding(t *testing.T) {
	var task, thread Frame
	c := &perCPU{current: frameAddress(&thread)}
	for _, sets := range [][2]uint64{{1, 0}, {0, 1}, {1, 3}, {2, 1}} {
		task.Confine(sets[0])
		thread.Confine(sets[1])
		if got := takeThis(c, &task); got != refused || c.owner != 0 || c.live != 0 {
			t.Errorf("a task with affinity %b under a thread with %b: %d, owner %#x", sets[0], sets[1], got, c.owner)
		}
	}
}
