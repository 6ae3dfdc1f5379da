/* Stops a traced child by hardware breakpoints. */
#include "tracee.h"

extern char spot[], behind_spot[];
static volatile unsigned long watched, other;

__asm__(".globl spot, behind_spot\n"
	"spot: nop\n"
	"behind_spot: ret\n");

static void work(void)
{
	for (int i = 0; i < 3; i++) {
		watched = i;
		other = watched;
		__asm__ volatile("call spot" ::: "memory");
	}
}

static void (*inherited)(void);

static void with_child(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		watched = 5;
		_exit(3);
	}
	int status;
	waitpid(pid, &status, 0);
	watched = status;
	(void)inherited;
}

static pid_t child;

static long debug_register(int n, unsigned long value)
{
	return trace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg) + 8 * n, value);
}

static void show(const char *what)
{
	unsigned long dr6 = 0, rip = 0;
	siginfo_t info;
	MUST(trace(PTRACE_PEEKUSER, child, offsetof(struct user, u_debugreg[6]), (unsigned long)&dr6));
	MUST(trace(PTRACE_PEEKUSER, child, 8 * RIP, (unsigned long)&rip));
	MUST(trace(PTRACE_GETSIGINFO, child, 0, (unsigned long)&info));
	printf("%s: code %d dr6 %lx watched %lu other %lu%s\n", what, info.si_code, dr6, peek(child, (void *)&watched),
	       peek(child, (void *)&other), rip == (unsigned long)spot ? " at the spot" : "");
	MUST(debug_register(6, 0xffff0ff0));
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	child = start(work);
	MUST(debug_register(0, (unsigned long)&watched));
	MUST(debug_register(1, (unsigned long)spot));
	MUST(debug_register(7, 0x90001 | 4)); /* 8 bytes written, and execution */
	for (int i = 0; i < 6; i++) {
		resume("hit", PTRACE_CONT, child, 0);
		show("hit");
	}
	resume("end", PTRACE_CONT, child, 0);

	child = start(work);
	MUST(debug_register(3, (unsigned long)&watched));
	MUST(debug_register(7, 0xb0000080)); /* 8 bytes read or written */
	for (int i = 0; i < 6; i++) {
		resume("read or written", PTRACE_CONT, child, 0);
		show("read or written");
	}
	resume("end", PTRACE_CONT, child, 0);

	child = start(work);
	MUST(debug_register(1, (unsigned long)spot));
	MUST(debug_register(7, 4));
	resume("execution", PTRACE_CONT, child, 0);
	show("execution");
	resume("step over it", PTRACE_SINGLESTEP, child, 0);
	show("step over it");
	MUST(debug_register(7, 0));
	resume("switched off", PTRACE_CONT, child, 0);

	child = start(with_child);
	MUST(debug_register(0, (unsigned long)&watched));
	MUST(debug_register(7, 0x90001));
	int status = resume("the parent", PTRACE_CONT, child, 0);
	while (WIFSTOPPED(status)) {
		siginfo_t info;
		MUST(trace(PTRACE_GETSIGINFO, child, 0, (unsigned long)&info));
		if (WSTOPSIG(status) == SIGTRAP)
			printf("code %d, exit code of the child %lu\n", info.si_code, peek(child, (void *)&watched) >> 8);
		status = resume("the parent", PTRACE_CONT, child, 0);
	}
	return 9;
}
