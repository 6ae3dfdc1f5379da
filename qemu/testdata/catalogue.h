/* Shared code of the catalogue programs: a signal handler that records the signal
 * and resumes at a chosen address, and the bits of RFLAGS. Each program tries one
 * kind of mistake that a kernel has made in its entry or exit code. It prints
 * what it finds; the output must be the same as on Linux. */
#include "report.h"
#include <ucontext.h>

enum {
	CF = 1 << 0, PF = 1 << 2, AF = 1 << 4, ZF = 1 << 6, SF = 1 << 7, TF = 1 << 8, IF = 1 << 9,
	DF = 1 << 10, OF = 1 << 11, IOPL = 3 << 12, NT = 1 << 14, RF = 1 << 16, AC = 1 << 18, ID = 1 << 21,
	ARITHMETIC = CF | PF | AF | ZF | SF | OF,
};

/* The last signal. */
static volatile struct seen {
	int signal, code;
	unsigned long address, trap, error, cr2, ip, flags;
} seen;

/* The address at which the handler resumes; 0 means the interrupted address. */
static volatile unsigned long resume_at;
static volatile unsigned long resume_sp;

/* Returns the current selectors in the layout of REG_CSGSFS. */
static long selectors(void)
{
	unsigned short cs, ss, fs, gs;
	__asm__ volatile("movw %%cs, %0; movw %%ss, %1; movw %%fs, %2; movw %%gs, %3" : "=r"(cs), "=r"(ss), "=r"(fs), "=r"(gs));
	return (long)((unsigned long)ss << 48 | (unsigned long)fs << 32 | (unsigned long)gs << 16 | cs);
}

static inline unsigned long read_flags(void)
{
	unsigned long flags;
	__asm__ volatile("pushfq; popq %0" : "=r"(flags));
	return flags;
}

/* Sets bits of RFLAGS until clear_flags. */
static inline void set_flags(unsigned long bits)
{
	__asm__ volatile("subq $128, %%rsp; pushfq; orq %0, (%%rsp); popfq; addq $128, %%rsp" : : "r"(bits) : "memory", "cc");
}

static inline void clear_flags(unsigned long bits)
{
	__asm__ volatile("subq $128, %%rsp; pushfq; andq %0, (%%rsp); popfq; addq $128, %%rsp" : : "r"(~bits) : "memory", "cc");
}

static void keep(int signal, siginfo_t *info, void *context)
{
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	__asm__ volatile("cld");
	seen.signal = signal;
	seen.code = info->si_code;
	seen.address = (unsigned long)info->si_addr;
	seen.trap = r[REG_TRAPNO];
	seen.error = r[REG_ERR];
	seen.cr2 = r[REG_CR2];
	seen.ip = r[REG_RIP];
	seen.flags = r[REG_EFL];
	if (resume_at) {
		r[REG_RIP] = resume_at;
		r[REG_EFL] &= ~(long)(TF | NT | AC | DF);
		r[REG_CSGSFS] = selectors();
	}
	if (resume_sp)
		r[REG_RSP] = resume_sp;
}

/* Installs keep as the handler of fault signals, on an alternate stack. */
__attribute__((unused)) static void keep_faults(void)
{
	static char space[65536];
	stack_t stack = {.ss_sp = space, .ss_size = sizeof space};
	struct sigaction action = {.sa_sigaction = keep, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
	MUST(sigaltstack(&stack, NULL));
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
		MUST(sigaction(faults[i], &action, NULL));
}

/* Runs assembly code. A fault in it resumes after its end, at the label 9. The
 * registers that it changes must be listed. */
#define ATTEMPT(text, ...)                                                     \
	do {                                                                   \
		seen.signal = 0;                                               \
		__asm__ volatile("leaq 9f(%%rip), %%rax; movq %%rax, %0;"      \
				 "movq %%rsp, %1;" text "\n9:\n"               \
				 : "=m"(resume_at), "=m"(resume_sp)            \
				 :                                             \
				 : "rax", "memory", "cc", ##__VA_ARGS__);      \
		resume_at = resume_sp = 0;                                     \
	} while (0)
