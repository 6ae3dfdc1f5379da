/* Counts the instructions of signals and of ptrace(2), as bench.c does for system calls
 * that no duty concerns. Each line has the median of several rounds. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

typedef unsigned long ulong;

enum { SYSEMU = 31 }; /* PTRACE_SYSEMU */
enum { CALLS = 100, ROUNDS = 15 };

static inline ulong ticks(void)
{
	unsigned low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (ulong)high << 32 | low;
}

static void measure(const char *name, void (*operation)(void))
{
	ulong sorted[ROUNDS];
	for (int n = 0; n < ROUNDS; n++) {
		ulong start = ticks();
		for (int c = 0; c < CALLS; c++)
			operation();
		ulong value = (ticks() - start) / CALLS;
		int i = n;
		for (; i > 0 && sorted[i - 1] > value; i--)
			sorted[i] = sorted[i - 1];
		sorted[i] = value;
	}
	printf("%s %lu\n", name, sorted[ROUNDS / 2]);
}

static inline long call(long number, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long result;
	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return result;
}

static pid_t self;
static void handle(int s) { (void)s; }

static void skip_instruction(int s, siginfo_t *info, void *context)
{
	(void)s, (void)info;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2; /* movb (%rax), %al */
}

static void set_action(void)
{
	static struct { void (*handler)(int); ulong flags; void *restorer; ulong mask; } action;
	action.handler = handle;
	call(SYS_rt_sigaction, SIGUSR2, (long)&action, 0, 8);
}

static void set_mask(void)
{
	static ulong set;
	call(SYS_rt_sigprocmask, SIG_BLOCK, (long)&set, 0, 8);
}

static void kill_self(void) { call(SYS_kill, self, SIGUSR1, 0, 0); }
static void tgkill_self(void) { call(SYS_tgkill, self, self, SIGUSR1, 0); }
static void kill_ignored(void) { call(SYS_kill, self, SIGURG, 0, 0); }
static void fault(void) { __asm__ volatile("xorl %%eax, %%eax; movb (%%rax), %%al" ::: "rax"); }

static void signals(void)
{
	struct sigaction action = { .sa_handler = handle }, fault_action = { .sa_sigaction = skip_instruction, .sa_flags = SA_SIGINFO };
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGSEGV, &fault_action, NULL);
	measure("sigaction", set_action);
	measure("sigprocmask", set_mask);
	measure("signal_kill", kill_self);
	measure("signal_tgkill", tgkill_self);
	measure("signal_ignored", kill_ignored);
	measure("signal_fault", fault);
}

static pid_t child;
static long word = 42;

static void must(long result)
{
	if (result < 0) {
		perror("bench_trace");
		exit(1);
	}
}

static void resume(long request)
{
	must(call(SYS_ptrace, request, child, 0, 0));
	must(call(SYS_wait4, child, 0, __WALL, 0));
}

static struct user_regs_struct registers;

static void stop_at_call(void) { resume(PTRACE_SYSCALL); }
static void emulate(void) { resume(SYSEMU); }
static void step(void) { resume(PTRACE_SINGLESTEP); }
static void get_registers(void) { must(call(SYS_ptrace, PTRACE_GETREGS, child, 0, (long)&registers)); }

static void emulate_and_set(void)
{
	emulate();
	get_registers();
	must(call(SYS_ptrace, PTRACE_SETREGS, child, 0, (long)&registers));
}

static void peek(void)
{
	long value;
	must(call(SYS_ptrace, PTRACE_PEEKDATA, child, (long)&word, (long)&value));
}

static void read_remote(void)
{
	long value;
	struct iovec to = { &value, sizeof value }, from = { &word, sizeof word };
	if (process_vm_readv(child, &to, 1, &from, 1, 0) != sizeof value)
		must(-1);
}

static void tracee(void)
{
	must(ptrace(PTRACE_TRACEME, 0, 0, 0));
	raise(SIGSTOP);
	for (;;)
		__asm__ volatile("syscall" :: "a"(SYS_getppid) : "rcx", "r11", "memory");
}

static void tracing(void)
{
	child = fork();
	if (child == 0)
		tracee();
	must(waitpid(child, NULL, 0));
	measure("ptrace_syscall", stop_at_call);
	measure("ptrace_sysemu", emulate);
	measure("ptrace_sysemu_registers", emulate_and_set);
	measure("ptrace_singlestep", step);
	measure("ptrace_getregs", get_registers);
	measure("ptrace_peekdata", peek);
	measure("process_vm_readv", read_remote);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

int main(void)
{
	self = getpid();
	signals();
	tracing();
	return 0;
}
