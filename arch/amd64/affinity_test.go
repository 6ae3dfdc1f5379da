package amd64

import "testing"

func TestMayRunOnFollowsAffinity(t *testing.T) {
	var f Frame
	for cpu := range MaxCPUs {
		if !f.MayRunOn(cpu) {
			t.Errorf("a frame without affinity may not run on CPU %d", cpu)
		}
	}
	f.Pin(1<<1 | 1<<3)
	for cpu, want := range []bool{false, true, false, true, false} {
		if f.MayRunOn(cpu) != want {
			t.Errorf("MayRunOn(%d) is %v with affinity 0b1010, want %v", cpu, !want, want)
		}
	}
}

// TestTakeCPUFailsIfThreadAffinityDiffers checks that a CPU does not load a task's
// state while its current runtime thread has another affinity than the task.
func TestTakeCPUFailsIfThreadAffinityDiffers(t *testing.T) {
	var task, thread Frame
	c := &perCPU{current: frameAddress(&thread)}
	for _, sets := range [][2]uint64{{1, 0}, {0, 1}, {1, 3}, {2, 1}} {
		task.Pin(sets[0])
		thread.Pin(sets[1])
		if got := takeThis(c, &task); got != threadNotPinned || c.userFrame != 0 || c.fpregsOwner != 0 {
			t.Errorf("task affinity %b, thread affinity %b: the result is %d and the user frame %#x, want threadNotPinned and nothing loaded", sets[0], sets[1], got, c.userFrame)
		}
	}
}
