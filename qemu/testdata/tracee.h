/* Shared code of the programs that trace a child. */
#include "report.h"
#include <linux/ptrace.h>
#include <stddef.h>
#include <sys/reg.h>
#include <sys/uio.h>
#include <sys/user.h>

#define PTRACE_PEEKUSER PTRACE_PEEKUSR
#define PTRACE_POKEUSER PTRACE_POKEUSR

/* The system call itself: PEEK requests store the word at data. */
static inline long trace(long request, pid_t pid, unsigned long addr, unsigned long data)
{
	return syscall(SYS_ptrace, request, pid, addr, data);
}

/* Starts a child that stops itself and then runs body. */
static inline pid_t start(void (*body)(void))
{
	fflush(stdout);
	pid_t pid = MUST(fork());
	if (pid == 0) {
		trace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		body();
		_exit(0);
	}
	int status;
	MUST(waitpid(pid, &status, __WALL));
	if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGSTOP)
		printf("the child did not stop: %x\n", status);
	return pid;
}

/* Waits for the child and prints its state. */
static inline int await(const char *what, pid_t pid)
{
	int status;
	MUST(waitpid(pid, &status, __WALL));
	if (WIFSTOPPED(status))
		printf("%s: stopped by %d, event %d\n", what, WSTOPSIG(status), status >> 16);
	else if (WIFEXITED(status))
		printf("%s: exited with %d\n", what, WEXITSTATUS(status));
	else
		printf("%s: killed by %d\n", what, WTERMSIG(status));
	return status;
}

/* Resumes the child and waits for its next stop. */
static inline int resume(const char *what, long request, pid_t pid, int sig)
{
	MUST(trace(request, pid, 0, sig));
	return await(what, pid);
}

static inline void finish(pid_t pid)
{
	int status;
	kill(pid, SIGKILL);
	MUST(waitpid(pid, &status, __WALL));
}

static inline void cause(const char *what, pid_t pid)
{
	siginfo_t info;
	MUST(trace(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&info));
	printf("%s: signal %d, code %d\n", what, info.si_signo, info.si_code);
}

static inline unsigned long peek(pid_t pid, const void *address)
{
	unsigned long word = 0;
	MUST(trace(PTRACE_PEEKDATA, pid, (unsigned long)address, (unsigned long)&word));
	return word;
}
