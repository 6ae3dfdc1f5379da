/* Counts the instructions of the calls by which a debugger examines a child. With
 * -icount shift=0, one tick of the time-stamp counter is one instruction. */
#include "bench.h"
#include "tracee.h"

enum { CALLS = 200, ROUNDS = 15 };

static volatile unsigned long counter;
static pid_t child;

static void spin(void)
{
	for (;;)
		counter++;
}

static void call(void)
{
	for (;;)
		syscall(SYS_getppid);
}

/* Prints the median of some rounds: others include a tick. */
static void measure(const char *name, void (*operation)(void))
{
	unsigned long sorted[ROUNDS];
	operation();
	for (int n = 0; n < ROUNDS; n++) {
		unsigned long begin = ticks();
		for (int i = 0; i < CALLS; i++)
			operation();
		insert(sorted, n, (ticks() - begin) / CALLS);
	}
	printf("%s %lu\n", name, sorted[ROUNDS / 2]);
	fflush(stdout);
}

static struct user_regs_struct registers;

static void get_registers(void) { trace(PTRACE_GETREGS, child, 0, (unsigned long)&registers); }

static void peek_data(void)
{
	unsigned long word;
	trace(PTRACE_PEEKDATA, child, (unsigned long)&counter, (unsigned long)&word);
}

static void read_memory(void)
{
	unsigned long word;
	struct iovec l = {&word, sizeof word}, r = {(void *)&counter, sizeof word};
	syscall(SYS_process_vm_readv, child, &l, 1, &r, 1, 0);
}

static void until_stop(long request)
{
	int status;
	trace(request, child, 0, 0);
	waitpid(child, &status, __WALL);
}

static void step(void) { until_stop(PTRACE_SINGLESTEP); }
static void one_call(void) { until_stop(PTRACE_SYSCALL); }
static void emulate(void) { until_stop(PTRACE_SYSEMU); }

static void emulate_with_result(void)
{
	until_stop(PTRACE_SYSEMU);
	get_registers();
	registers.rax = 0;
	trace(PTRACE_SETREGS, child, 0, (unsigned long)&registers);
}

int main(void)
{
	child = start(spin);
	measure("ptrace_GETREGS", get_registers);
	measure("ptrace_PEEKDATA", peek_data);
	measure("process_vm_readv_8B", read_memory);
	measure("ptrace_SINGLESTEP_per_insn", step);
	finish(child);
	child = start(call);
	measure("ptrace_SYSCALL_stop_rt", one_call);
	finish(child);
	child = start(call);
	measure("ptrace_SYSEMU_stop_rt", emulate);
	measure("ptrace_SYSEMU_getregs_setregs_rt", emulate_with_result);
	finish(child);
	return 0;
}
