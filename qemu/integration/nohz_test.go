package integration

import "testing"

// TestASingleTaskOfNoHZFullIsNeverInterrupted counts the interrupts of a CPU that runs one
// program, while programs on the other CPU make the kernel's heap grow and be collected. A
// second program on the CPU brings the time slices back.
func TestASingleTaskOfNoHZFullIsNeverInterrupted(t *testing.T) {
	t.Parallel()
	seconds := "3"
	if long() {
		seconds = "10"
	}
	got := onSlowpath(t, "", "--smp", "2", "--append", "nohz_full=1 isolcpus=1", program("nohz"), "1", seconds)
	check(t, got, result{out: "interrupts of a single task: 0\nit ran: yes\nits time is user time: yes\n" +
		"two tasks are interrupted: yes\ntwo tasks share: yes\ninterrupts of a single task again: 0\nexit status 0\n"})
}

// TestIsolatedCPUsRunNoPrograms checks the affinity of the first program and the files that name
// the CPUs, and that a program can be moved to an isolated CPU.
func TestIsolatedCPUsRunNoPrograms(t *testing.T) {
	t.Parallel()
	got := onSlowpath(t, "", "--smp", "4", "--append", "isolcpus=1,3 nohz_full=3", "/bin/busybox", "sh", "-c",
		"cat /sys/devices/system/cpu/isolated /sys/devices/system/cpu/nohz_full; busybox grep Cpus_allowed_list /proc/self/status; "+
			"busybox taskset 8 /bin/busybox grep Cpus_allowed_list /proc/self/status")
	check(t, got, result{out: "1,3\n3\nCpus_allowed_list:\t0,2\nCpus_allowed_list:\t3\n"})
}
