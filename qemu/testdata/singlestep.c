/* Steps a traced child through instructions that treat TF specially. */
#include "tracee.h"

extern char code[], after_nops[], flags_pushed[], flags_popped[], call_site[], after_call[], branches[], done[];
unsigned long pushed, r11;
static unsigned long handler_flags, interrupted_flags;

__asm__(".globl code, after_nops, flags_pushed, flags_popped, call_site, after_call, branches, done\n"
	"code: nop; nop; nop\n"
	"after_nops: pushfq\n"
	"flags_pushed: popq pushed(%rip)\n"
	"pushfq\n"
	"popfq\n"
	"flags_popped: movl $102, %eax\n"
	"call_site: syscall\n"
	"after_call: movq %r11, r11(%rip)\n"
	"movl $3, %ecx\n"
	"branches: decl %ecx\n"
	"jnz branches\n"
	"ud2\n"
	"done: ret\n");

static void on_signal(int s, siginfo_t *info, void *context)
{
	ucontext_t *c = context;
	(void)info;
	interrupted_flags = c->uc_mcontext.gregs[REG_EFL];
	__asm__ volatile("pushfq; popq %0" : "=r"(handler_flags));
	if (s == SIGILL)
		c->uc_mcontext.gregs[REG_RIP] += 2;
}

static void run(void)
{
	struct sigaction a = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
	sigaction(SIGILL, &a, NULL);
	sigaction(SIGUSR1, &a, NULL);
	__asm__ volatile("call code" ::: "rax", "rcx", "r11", "memory");
}

static pid_t child;

static unsigned long reg(int number)
{
	unsigned long word = 0;
	MUST(trace(PTRACE_PEEKUSER, child, 8 * number, (unsigned long)&word));
	return word;
}

static void step(const char *what, long request)
{
	MUST(trace(request, child, 0, 0));
	int status;
	MUST(waitpid(child, &status, __WALL));
	if (!WIFSTOPPED(status)) {
		printf("%s: ended %x\n", what, status);
		exit(98);
	}
	siginfo_t info;
	MUST(trace(PTRACE_GETSIGINFO, child, 0, (unsigned long)&info));
	unsigned long rip = reg(RIP);
	printf("%s: signal %d code %d, ", what, WSTOPSIG(status), info.si_code);
	if (rip >= (unsigned long)code && rip <= (unsigned long)done)
		printf("at %ld", rip - (unsigned long)code);
	else if (rip == (unsigned long)on_signal)
		printf("at the handler");
	else
		printf("elsewhere");
	printf(", TF %d, si_addr is rip: %d\n", (int)(reg(EFLAGS) >> 8 & 1), info.si_addr == (void *)rip);
}

static void until(const char *place)
{
	MUST(trace(PTRACE_POKEUSER, child, 8 * RIP, (unsigned long)place));
	unsigned long word = 0;
	MUST(trace(PTRACE_PEEKUSER, child, offsetof(struct user, u_debugreg[6]), (unsigned long)&word));
	printf("DR6 %lx\n", word);
}

/* Runs the child up to an address by a breakpoint in its code. */
static void run_to(const char *place)
{
	unsigned long old = peek(child, place);
	MUST(trace(PTRACE_POKETEXT, child, (unsigned long)place, (old & ~0xfful) | 0xcc));
	resume("to the breakpoint", PTRACE_CONT, child, 0);
	cause("breakpoint", child);
	printf("rip is behind it: %d\n", reg(RIP) == (unsigned long)place + 1);
	MUST(trace(PTRACE_POKETEXT, child, (unsigned long)place, old));
	MUST(trace(PTRACE_POKEUSER, child, 8 * RIP, (unsigned long)place));
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	child = start(run);
	run_to(code);
	step("nop", PTRACE_SINGLESTEP);
	step("nop", PTRACE_SINGLESTEP);
	MUST(trace(PTRACE_POKEUSER, child, 8 * EFLAGS, reg(EFLAGS)));
	step("nop", PTRACE_SINGLESTEP);
	step("pushf", PTRACE_SINGLESTEP);
	step("pop", PTRACE_SINGLESTEP);
	step("pushf", PTRACE_SINGLESTEP);
	until(flags_popped);
	MUST(trace(PTRACE_POKEUSER, child, 8 * RSP, reg(RSP) + 8));
	step("mov", PTRACE_SINGLESTEP);
	step("syscall", PTRACE_SINGLESTEP);
	printf("getuid: %lu\n", reg(RAX));
	step("mov", PTRACE_SINGLESTEP);
	MUST(trace(PTRACE_POKEUSER, child, 8 * RIP, (unsigned long)flags_popped));
	run_to(call_site);
	resume("entry", PTRACE_SYSCALL, child, 0);
	step("from the entry", PTRACE_SINGLESTEP);
	step("behind the call", PTRACE_SINGLESTEP);
	step("mov", PTRACE_SINGLESTEP);
	for (int i = 0; i < 6; i++)
		step("loop", PTRACE_SINGLESTEP);
	step("ud2", PTRACE_SINGLESTEP);
	MUST(trace(PTRACE_SINGLESTEP, child, 0, SIGILL));
	int status;
	MUST(waitpid(child, &status, __WALL));
	siginfo_t info;
	MUST(trace(PTRACE_GETSIGINFO, child, 0, (unsigned long)&info));
	printf("into the handler: signal %d code %d, at its start: %d, TF %d\n", WSTOPSIG(status), info.si_code,
	       reg(RIP) == (unsigned long)on_signal, (int)(reg(EFLAGS) >> 8 & 1));
	step("in the handler", PTRACE_SINGLESTEP);
	run_to(done);
	printf("the handler saw TF: %d %d\n", (int)(peek(child, &interrupted_flags) >> 8 & 1), (int)(peek(child, &handler_flags) >> 8 & 1));
	/* The program's own TF is not the tracer's. */
	MUST(trace(PTRACE_POKEUSER, child, 8 * RIP, (unsigned long)code));
	MUST(trace(PTRACE_POKEUSER, child, 8 * EFLAGS, reg(EFLAGS) | 0x100));
	step("own TF", PTRACE_CONT);
	step("own TF", PTRACE_SINGLESTEP);
	step("own TF", PTRACE_CONT);
	MUST(trace(PTRACE_POKEUSER, child, 8 * EFLAGS, reg(EFLAGS) & ~0x100ul));
	MUST(trace(PTRACE_POKEUSER, child, 8 * RIP, (unsigned long)done));
	resume("end", PTRACE_CONT, child, 0);
	return 8;
}
