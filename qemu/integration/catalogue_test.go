package integration

import (
	"fmt"
	"strings"
	"testing"
)

// TestKnownEntryBugsAreAbsent runs the catalogue programs. Each tries a mistake
// that some kernel has made in its entry and exit code.
func TestKnownEntryBugsAreAbsent(t *testing.T) {
	for _, name := range []string{"sigreturn", "flags", "bases", "numbers", "float", "start", "compat"} {
		t.Run(name, func(t *testing.T) { same(t, "", program("catalogue_"+name)) })
	}
	// The C library must not register an rseq area, because the program does.
	const tunable = "GLIBC_TUNABLES=glibc.pthread.rseq=0"
	want := execute(t, "", launcher.Command(t.Context(), []string{tunable}, program("catalogue_rseq")))
	for _, n := range processors {
		t.Run(fmt.Sprintf("rseq/smp%d", n), func(t *testing.T) {
			check(t, onSlowpath(t, "", "--smp", fmt.Sprint(n), "--env", tunable, program("catalogue_rseq")), want)
		})
	}
}

// TestSystemCallsOf32BitCodeInA64BitProgram: INT 0x80 returns. SYSCALL and SYSENTER continue
// at the landing pad of the 32-bit vDSO, which the program does not have: at 0.
func TestSystemCallsOf32BitCodeInA64BitProgram(t *testing.T) {
	const want = "SYSCALL: signal 11 code 1 trap 14 error 14\neax 2 ebx 11111111 esi 22222222, the stack pointer is kept: 0\n" +
		"SYSCALL without a stack: signal 11 code 1 trap 14 error 14\nebx 286331153\n" +
		"SYSCALL at the end of 4 GiB: signal 11 code 1 trap 14 error 14\neax -14\n" +
		"SYSCALL with NT: signal 11 code 1 trap 14 error 14\neax 2\nSYSENTER with NT: signal 11 code 1 trap 14 error 14\neax 2\n" +
		"INT 0x80 with AC and NT: nothing\nebx 2\n" +
		"SYSCALL single-stepped: signal 5 code 2 trap 1 error 0\n" +
		"SYSENTER: signal 11 code 1 trap 14 error 14\n" +
		"INT 0x80: nothing\nINT 0x80 in 64-bit code: nothing\n" +
		"SYSENTER in 64-bit code: signal 4 code 2 trap 6 error 0\n"
	for _, cpu := range []string{"max", "qemu64,-rdtscp"} {
		t.Run(cpu, func(t *testing.T) {
			check(t, onSlowpath(t, "", "--cpu", cpu, program("catalogue_compat"), "calls"), result{code: 8, out: want})
		})
	}
}

// TestNoWakeUpIsLost sends a signal to a thread that is about to return to user
// mode, many times at varying moments. It fails if a signal is not delivered. The
// duration of a try does not matter: it is half a millisecond on two processors,
// and more on a busy host, which may suspend the virtual CPU on which another one
// waits.
func TestNoWakeUpIsLost(t *testing.T) {
	for _, n := range []int{2, 4} {
		t.Run(fmt.Sprintf("smp%d", n), func(t *testing.T) {
			sendSignals(t, n, choose(10_000, 1_000_000), 0)
		})
	}
	// The program must detect signals that are late on purpose, on Linux too.
	t.Run("late", func(t *testing.T) { sendSignals(t, 2, 100, 10) })
	t.Run("Linux", func(t *testing.T) {
		checkSignals(t, onHost(t, "", program("catalogue_wakeup"), "100", "10"), 100, 10)
	})
}

// sendSignals runs the program with the given number of tries. The first late
// tries are late on purpose.
func sendSignals(t *testing.T, processors, tries, late int) {
	t.Helper()
	limit := 120 + tries/100
	got := onSlowpath(t, "", "--timeout", fmt.Sprint(limit), "--smp", fmt.Sprint(processors), program("catalogue_wakeup"), fmt.Sprint(tries), fmt.Sprint(late))
	checkSignals(t, got, tries, late)
}

// checkSignals checks the program's output. Standard error has measurements, which
// differ from run to run.
func checkSignals(t *testing.T, got result, tries, late int) {
	t.Helper()
	t.Log(strings.TrimSpace(got.errors))
	got.errors = ""
	check(t, got, result{code: 8, out: fmt.Sprintf("%d signals arrived; %d came late\nsome arrived during calls: 1; some after: 1\n", tries, late)})
}
