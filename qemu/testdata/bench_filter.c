/* Counts the instructions of system calls under seccomp filters and syscall user
 * dispatch, as bench.c does for calls without them. Each measurement runs in a child,
 * because a filter stays. */
#define _GNU_SOURCE
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

enum { CALLS = 1000, SIGNALS = 100, ROUNDS = 31 };

/* The loop has five instructions with the system call. It is outside of the text section,
 * so that syscall user dispatch can allow all other calls. */
static __attribute__((noinline, section("calls"))) ulong round_of_calls(int count, long number)
{
	long left = count;
	ulong start = ticks();
	__asm__ volatile("1: movq %1, %%rax; xorl %%edi, %%edi; syscall; decq %0; jnz 1b"
			 : "+r"(left)
			 : "r"(number)
			 : "rax", "rcx", "rdi", "r11", "memory");
	return (ticks() - start) / count;
}

static ulong median(int count, long number)
{
	ulong sorted[ROUNDS];
	for (int n = 0; n < ROUNDS; n++) {
		insert(sorted, n, round_of_calls(count, number));
	}
	return sorted[ROUNDS / 2];
}

static struct sock_filter program[300];
static int length;

static void put(unsigned short code, unsigned char jt, unsigned char jf, unsigned k)
{
	program[length++] = (struct sock_filter){code, jt, jf, k};
}

static void install(void)
{
	struct sock_fprog p = {length, program};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p))
		_exit(99);
}

/* A filter of n instructions that compares one word with many constants. */
static void chain(int n, unsigned word)
{
	length = 0;
	put(BPF_LD | BPF_W | BPF_ABS, 0, 0, word);
	for (int i = 0; i < n - 3; i++)
		put(BPF_JMP | BPF_JEQ | BPF_K, n - 3 - i, 0, 500 + i);
	put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
	put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | 1);
}

static void one(void)
{
	length = 0;
	put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
	install();
}

#define ARGUMENT offsetof(struct seccomp_data, args[0])
static void numbers32(void) { chain(32, 0); install(); }
static void numbers256(void) { chain(250, 0); install(); }
static void arguments32(void) { chain(32, ARGUMENT); install(); }
static void arguments256(void) { chain(250, ARGUMENT); install(); }

static void on_signal(int signal, siginfo_t *info, void *context) { (void)signal, (void)info, (void)context; }

static void handle(void)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
	sigaction(SIGSYS, &action, 0);
}

static void trap(void)
{
	handle();
	length = 0;
	put(BPF_LD | BPF_W | BPF_ABS, 0, 0, 0);
	put(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_getppid);
	put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_TRAP);
	put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
	install();
}

static char selector;

static void dispatch_allow(void)
{
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, 0, &selector))
		_exit(99);
}

static void dispatch_block(void)
{
	extern char __executable_start, __start_calls;
	handle();
	ulong begin = (ulong)&__executable_start, end = (ulong)&__start_calls; /* behind the text */
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, begin, end - begin, 0))
		_exit(99);
}

static void nothing(void) {}

static const struct {
	const char *name;
	int count;
	void (*prepare)(void);
} rows[] = {
	{"getppid", CALLS, nothing},
	{"seccomp_1insn", CALLS, one},
	{"seccomp_32insn_nr", CALLS, numbers32},
	{"seccomp_256insn_nr", CALLS, numbers256},
	{"seccomp_32insn_arg", CALLS, arguments32},
	{"seccomp_256insn_arg", CALLS, arguments256},
	{"seccomp_trap", SIGNALS, trap},
	{"sud_allow", CALLS, dispatch_allow},
	{"sud_block", SIGNALS, dispatch_block},
};

int main(void)
{
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		int pipes[2], status;
		ulong value = 0;
		if (pipe(pipes))
			return 1;
		if (fork() == 0) {
			rows[i].prepare();
			value = median(rows[i].count, SYS_getppid);
			selector = 0;
			prctl(PR_SET_SYSCALL_USER_DISPATCH, 0, 0, 0, 0);
			_exit(write(pipes[1], &value, sizeof value) != sizeof value);
		}
		close(pipes[1]);
		if (read(pipes[0], &value, sizeof value) != sizeof value)
			value = 0;
		close(pipes[0]);
		wait(&status);
		printf("%s %lu\n", rows[i].name, status ? (ulong)-status : value);
	}
	return 0;
}
