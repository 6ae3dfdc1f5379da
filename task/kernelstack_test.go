package task

import (
	"strings"
	"testing"
)

func TestKernelStackShowsWhereATaskSleeps(t *testing.T) {
	w := newWorld(t)
	started, end := make(chan *Task), make(chan struct{})
	go w.process(func(tk *Task) {
		started <- tk
		sleepInTest(tk, end)
	})
	tk := <-started
	w.eventually("the function in which the task sleeps", func() bool {
		stack, err := tk.KernelStack()
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(stack), "\n")
		return strings.Contains(string(stack), "task.sleepInTest+0x") && strings.HasPrefix(lines[0], "[<0>] ")
	})
	close(end)
}

// sleepInTest waits on the task's goroutine.
//
//go:noinline
func sleepInTest(_ *Task, end chan struct{}) { <-end }

func TestStackFormatHasOneLineForEachCall(t *testing.T) {
	const traceback = "goroutine 7 [select]:\n" +
		"slowpath/wait.(*Sleeper).Sleep(...)\n\t/src/wait/sleeper.go:30\n" +
		"slowpath/task.(*Task).SleepUntil(0xc0001, 0x1, {0x0?, 0x1})\n\t/src/task/sleep.go:90 +0x1b4\n" +
		"created by slowpath/task.(*Kernel).Start in goroutine 1\n\t/src/task/exit.go:60 +0x9c\n"
	const want = "[<0>] wait.(*Sleeper).Sleep+0x0\n[<0>] task.(*Task).SleepUntil+0x1b4\n"
	if got := string(formatStack([]byte(traceback))); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
