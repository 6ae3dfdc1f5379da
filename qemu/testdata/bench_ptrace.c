/* Counts the instructions of a ptrace stop: the tracer resumes the tracee, which makes a
 * system call and stops, and waits for it. bench.c says how instructions are counted. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

typedef unsigned long ulong;

static inline ulong ticks(void)
{
	unsigned low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (ulong)high << 32 | low;
}

enum { STOPS = 100, ROUNDS = 31 };

static ulong round_of_stops(pid_t pid, long request)
{
	int status;
	ulong start = ticks();
	for (int i = 0; i < STOPS; i++) {
		syscall(SYS_ptrace, request, pid, 0, 0);
		syscall(SYS_wait4, pid, &status, 0, NULL);
	}
	return (ticks() - start) / STOPS;
}

static void measure(const char *name, pid_t pid, long request)
{
	ulong sorted[ROUNDS];
	for (int n = 0; n < ROUNDS; n++) {
		ulong value = round_of_stops(pid, request);
		int i = n;
		for (; i > 0 && sorted[i - 1] > value; i--)
			sorted[i] = sorted[i - 1];
		sorted[i] = value;
	}
	printf("%s %lu\n", name, sorted[ROUNDS / 2]);
}

int main(void)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		for (;;)
			syscall(SYS_getppid);
	}
	if (waitpid(pid, &status, 0) != pid)
		return 99;
	measure("ptrace_SYSCALL_stop_rt", pid, PTRACE_SYSCALL);
	measure("ptrace_SYSEMU_stop_rt", pid, PTRACE_SYSEMU);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return 0;
}
