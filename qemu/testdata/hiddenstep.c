/* Steps a child through instructions that show RFLAGS. Slowpath hides the tracer's TF in
 * all of them; Linux shows it in what PUSHF pushes, and in R11. */
#include "tracee.h"

__asm__(".globl code, end\n"
	"code: pushfq; popq %r12\n"
	"pushfw; popw %r14w\n"
	"rex.w pushfq; popq %r15\n"
	"movl $102, %eax\n"
	"syscall\n"
	"movq %r11, %r13\n"
	"movl $110, %eax\n"
	"syscall\n"
	"movq %r11, %rbx\n"
	"end: jmp end\n");
extern char code[], end[];

static void run(void)
{
	__asm__ volatile("movl $0, %r14d; jmp code");
}

int main(void)
{
	pid_t child = start(run);
	struct user_regs_struct r;
	for (int i = 0; i < 2000; i++) {
		int status;
		MUST(trace(PTRACE_SINGLESTEP, child, 0, 0));
		MUST(waitpid(child, &status, __WALL));
		MUST(trace(PTRACE_GETREGS, child, 0, (unsigned long)&r));
		if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP || r.rip == (unsigned long)end)
			break;
	}
	HOLDS(r.rip == (unsigned long)end);
	printf("TF in PUSHF %d, in PUSHFW %d, with a prefix %d, in R11 %d and %d, in the registers %d\n", (int)(r.r12 >> 8 & 1),
	       (int)(r.r14 >> 8 & 1), (int)(r.r15 >> 8 & 1), (int)(r.r13 >> 8 & 1), (int)(r.rbx >> 8 & 1), (int)(r.eflags >> 8 & 1));
	HOLDS((r.r12 & 0x202) == 0x202 && (r.r14 & 0x202) == 0x202 && (r.r15 & 0x202) == 0x202 && (r.r13 & 0x202) == 0x202);
	finish(child);
	return 0;
}
