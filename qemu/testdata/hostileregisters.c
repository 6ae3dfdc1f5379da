/* Gives children registers that no program has, and runs them. The kernel must survive.
 * The arguments are the number of rounds and a seed. Do not run it on a machine that is
 * still needed: the children make random system calls. */
#include "tracee.h"
#include <sched.h>

static unsigned long state = 88172645463325252ul;

static unsigned long any(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static char memory[1 << 16] __attribute__((aligned(4096)));

static unsigned long value(void)
{
	static const unsigned long values[] = {
		0, 1, -1ul, 0x7fffffffefff, 0x7ffffffff000, 0x800000000000, 0xffff800000000000, 0xffffffff81000000, 0xffffffff80108000,
		1ul << 63, 0x33, 0x2b, 0x23, 0x10, 0x18, 3, 0x47, 0x7b, 0x100, 0x10000, 0x20000, 0x3000, 0x4000, 0x40000, 0xffffffff, 59, 231,
	};
	switch (any() % 4) {
	case 0:
		return values[any() % (sizeof values / sizeof *values)];
	case 1:
		return (unsigned long)memory + any() % sizeof memory;
	case 2:
		return values[any() % (sizeof values / sizeof *values)] ^ 1ul << any() % 64;
	}
	return any() >> any() % 64;
}

static void spin(void)
{
	close(2); /* the C library reports damage there */
	for (;;)
		__asm__ volatile("movl $110, %%eax; syscall; pushfq; popfq; fld1; fstp %%st(0); movaps %%xmm0, %%xmm1" ::: "rax", "rcx", "r11", "memory");
}

static void change_registers(pid_t pid)
{
	struct user_regs_struct r;
	unsigned long *words = (unsigned long *)&r;
	trace(PTRACE_GETREGS, pid, 0, (unsigned long)&r);
	for (unsigned n = any() % 4; n > 0; n--)
		words[any() % (sizeof r / 8)] = value();
	trace(PTRACE_SETREGS, pid, 0, (unsigned long)&r);
	if (any() % 4 == 0)
		trace(PTRACE_POKEUSER, pid, any() % 930 & ~7ul, value());
	if (any() % 4 == 0)
		trace(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg) + 8 * (any() % 8), value());
}

static void change_state(pid_t pid)
{
	static char b[8192] __attribute__((aligned(64)));
	struct iovec v = {b, sizeof b};
	unsigned type = any() % 2 ? 0x202 : 2;
	trace(PTRACE_GETREGSET, pid, type, (unsigned long)&v);
	for (unsigned n = any() % 8; n > 0; n--)
		b[any() % v.iov_len] = any();
	if (any() % 8 == 0)
		b[512 + any() % 64] ^= 1 << any() % 8;
	trace(PTRACE_SETREGSET, pid, type, (unsigned long)&v);
}

int main(int argc, char **argv)
{
	static const long requests[] = {
		PTRACE_SINGLESTEP, PTRACE_SINGLEBLOCK, PTRACE_SYSCALL, PTRACE_SYSEMU, PTRACE_SYSEMU_SINGLESTEP, PTRACE_SINGLESTEP, PTRACE_SYSCALL,
	};
	long rounds = argc > 1 ? atol(argv[1]) : 1000, children = 0;
	if (argc > 2)
		state ^= strtoul(argv[2], NULL, 0) * 0x9e3779b97f4a7c15ul;
	pid_t pid = 0;
	for (long i = 0; i < rounds; i++) {
		if (pid == 0) {
			pid = start(spin);
			trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL);
			children++;
		}
		change_registers(pid);
		if (any() % 4 == 0)
			change_state(pid);
		long request = requests[any() % (sizeof requests / sizeof *requests)];
		int status, signal = any() % 8 == 0 ? SIGSEGV : 0;
		trace(request, pid, 0, signal);
		/* A program that neither steps nor stops is interrupted. */
		for (int tries = 0; waitpid(pid, &status, __WALL | (tries < 200 ? WNOHANG : 0)) == 0; tries++)
			if (tries == 100)
				kill(pid, tries % 2 ? SIGKILL : SIGSTOP);
			else
				sched_yield();
		if (!WIFSTOPPED(status))
			pid = 0;
		else if (any() % 64 == 0) {
			finish(pid);
			pid = 0;
		}
	}
	if (pid != 0)
		finish(pid);
	HOLDS(children > 1);
	return 0;
}
