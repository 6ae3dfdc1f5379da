/* Counts the instructions of signals, as bench.c does for system calls that no duty
 * concerns. Each line has the median of several rounds. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "bench_measure.h"

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
	measure("sigaction_install", set_action);
	measure("sigprocmask", set_mask);
	measure("signal_kill_self", kill_self);
	measure("signal_tgkill_self", tgkill_self);
	measure("signal_kill_self_ignored", kill_ignored);
	measure("sigsegv_handler", fault);
}

int main(void)
{
	self = getpid();
	signals();
	return 0;
}
