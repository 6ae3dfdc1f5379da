package integration

import (
	"strconv"
	"strings"
	"testing"
)

// targets are the maximum numbers of guest instructions, and of bytes for names that end so, with
// those of Linux 6.1 for comparison. The goal is half of Linux's or less. A limit above that is what is
// reached: it keeps a change from making it worse.
var targets = map[string]struct{ limit, linux float64 }{
	"getppid": {130, 326},
	"unknown": {125, 212},
	"boot":    {78e6, 1562e6},

	"getppid_vdso32": {150, 0},
	"getppid_int80":  {190, 0},
	"seccomp_vdso32": {375, 0},
	"seccomp_int80":  {366, 0},

	"ptrace_GETREGS":         {850, 2144},
	"ptrace_PEEKDATA":        {900, 1970},
	"ptrace_SYSCALL_stop_rt": {6000, 10110},
	"ptrace_SYSEMU_stop_rt":  {6800, 8149},
	"process_vm_readv_8B":    {1200, 2752},

	"sigaction_install":        {600, 424},
	"sigprocmask":              {460, 354},
	"signal_kill_self":         {4693, 3757},
	"signal_tgkill_self":       {4698, 3777},
	"signal_kill_self_ignored": {503, 1347},
	"sigsegv_handler":          {4800, 3402},

	"futex_pingpong":     {5750, 6619},
	"pipe_pingpong":      {9650, 9975},
	"thread_create_join": {38500, 0},

	"yield_2":             {1560, 888},
	"yield_1000":          {1850, 888},
	"sleeping_task_bytes": {24 << 10, 0},

	"seccomp_1insn":       {156, 472},
	"seccomp_32insn_nr":   {156, 472},
	"seccomp_256insn_nr":  {156, 472},
	"seccomp_32insn_arg":  {294, 621},
	"seccomp_256insn_arg": {535, 1070},
	"sud_allow":           {191, 420},

	"audit_on":              {156, 487},
	"audit_rule_other_call": {156, 845},
	"audit_rule_uid":        {246, 845},
	"audit_rule_exit":       {378, 845},

	"uprobe_perf_count_on_nop":        {391, 1348},
	"uprobe_perf_count_on_lea_xol":    {452, 1998},
	"uretprobe_perf_count_on_nop":     {850, 2502},
	"uretprobe_perf_count_on_lea_xol": {850, 3152},
	"uprobe_tracefs_on_nop":           {478, 1593},
	"uprobe_tracefs_on_lea_xol":       {560, 2243},
	"uretprobe_tracefs_on_nop":        {892, 2746},

	"trace_raw_enter":      {340, 976},
	"trace_raw_exit":       {427, 976},
	"trace_raw_enter_exit": {547, 1566},
	"trace_enter_getppid":  {345, 1041},
	"trace_enter_other":    {156, 1041},
	"trace_off":            {130, 326},
}

// measure runs the programs whose names begin with bench with --icount, so that their clock
// counts instructions.
func measure(t testing.TB) map[string]float64 {
	t.Helper()
	figures := make(map[string]float64)
	addFigures(t, "bench_filter", figures)
	addFigures(t, "bench_ptrace", figures)
	addFigures(t, "bench_signals", figures)
	addFigures(t, "bench_switch", figures)
	addFigures(t, "bench_yield", figures)
	addFigures(t, "bench_uprobe", figures)
	addFigures(t, "bench_calls", figures)
	addFigures(t, "bench_audit", figures)
	addFigures(t, "bench32", figures)
	addFigures(t, "bench", figures) // its getppid is the one without a C library
	return figures
}

// addFigures adds the figures that a program prints.
func addFigures(t testing.TB, name string, figures map[string]float64) {
	t.Helper()
	got := onSlowpath(t, "", "--icount", "--mem", "256", program(name))
	if got.code != 0 {
		t.Fatalf("got %+v", got)
	}
	for line := range strings.Lines(got.out) {
		name, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		value, err := strconv.ParseFloat(number, 64)
		if err != nil {
			t.Fatalf("bench printed %q", line)
		}
		figures[name] = value
	}
}

// BenchmarkInstructions prints numbers of guest instructions: for a system call
// with the five instructions of the program's loop, from power-on to the first
// instruction in user mode, and for a return to user mode with only NEED_RESCHED
// set.
func BenchmarkInstructions(b *testing.B) {
	for range b.N {
		for name, value := range measure(b) {
			b.ReportMetric(value, name+"-instructions")
			if target, ok := targets[name]; ok {
				b.ReportMetric(target.limit, name+"-goal")
				b.ReportMetric(target.linux, name+"-linux")
			}
		}
	}
	b.ReportMetric(float64(undisturbedPath(b).total), "resched-instructions")
	b.ReportMetric(rescheduleLimit, "resched-goal")
	b.ReportMetric(0, "ns/op")
}

func TestInstructionCountsMeetGoals(t *testing.T) {
	figures := measure(t)
	for name, target := range targets {
		if value, ok := figures[name]; !ok || value > target.limit {
			t.Errorf("%s takes %.0f instructions, more than the goal of %.0f", name, value, target.limit)
		}
	}
}
