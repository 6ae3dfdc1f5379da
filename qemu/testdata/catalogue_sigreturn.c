/* Returns to user mode with registers that the kernel must check first: SYSRET to a
 * non-canonical RIP (CVE-2012-0217, CVE-2014-4699), IRET with bad selectors
 * (CVE-2014-9322, CVE-2014-9090), and privileged flags. It sets the registers with
 * rt_sigreturn(2). */
#include "catalogue.h"

static struct change {
	const char *name;
	int reg;
	unsigned long value;
} *wanted;

/* A signal handler that changes one register of the interrupted context. */
static void change(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info;
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	if (wanted->reg == REG_EFL)
		r[REG_EFL] = wanted->value;
	else if (wanted->reg == REG_CSGSFS)
		r[REG_CSGSFS] = (r[REG_CSGSFS] & ~0xffffL) | wanted->value;
	else if (wanted->reg < 0) /* SS lies above CS, GS and FS */
		r[REG_CSGSFS] = (r[REG_CSGSFS] & 0x0000ffffffffffffL) | (long)(wanted->value << 48);
	else
		r[wanted->reg] = wanted->value;
}

/* Raises a signal for the handler change, and reports the signal that its return
 * causes. */
__attribute__((noinline)) static void return_with(struct change *c)
{
	wanted = c;
	ATTEMPT("movl $186, %%eax; syscall; movl %%eax, %%edi; movl $10, %%esi; movl $200, %%eax; syscall;"
		"pushfq; popq %%rdx; cld; pushq $0x202; popfq",
		"rcx", "r11", "rdi", "rsi", "rdx");
	if (seen.signal)
		printf("%s: signal %d code %d address %lx trap %lu error %lx CR2 %lx\n", c->name, seen.signal,
		       seen.code, seen.address, seen.trap, seen.error, seen.cr2);
	else
		printf("%s: nothing\n", c->name);
}

static struct change bad[] = {
	{"RIP just not canonical", REG_RIP, 0x800000000000},
	{"RIP not canonical", REG_RIP, 0x8000000000000000},
	{"RIP not canonical, high", REG_RIP, 0xffff7fffffffffff},
	{"RIP in the kernel's half", REG_RIP, 0xffffffff81000000},
	{"RIP at the kernel's start", REG_RIP, 0xffff800000000000},
	{"RIP at the last byte", REG_RIP, 0xffffffffffffffff},
	{"RIP in the lower half's last page", REG_RIP, 0x7ffffffff000},
	{"RIP at the lower half's last byte", REG_RIP, 0x7fffffffffff},
	{"RIP null", REG_RIP, 0},
	{"CS null", REG_CSGSFS, 0},
	{"CS of the kernel", REG_CSGSFS, 0x8},
	{"CS in no table", REG_CSGSFS, 0xfff8},
	{"CS in an LDT", REG_CSGSFS, 0x7},
	{"SS in no table", -1, 0xfff8},
	{"SS in an LDT", -1, 0x7},
	{"SS of the kernel", -1, 0x8},
};

/* The kernel must load an invalid stack pointer, which faults when it is used.
 * Values with a push to a non-canonical address are left out, because that raises #SS
 * on hardware but #GP in QEMU's emulation. */
static void stacks(void)
{
	unsigned long values[] = {0, 8, 0x800000000000, 0xfffffffffffffff8};
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		struct change c = {"RSP", REG_RSP, values[i]};
		printf("%lx ", values[i]);
		return_with(&c);
	}
}

/* The flags that a program may set. */
static void flags(void)
{
	unsigned long choices[] = {0, CF, DF, NT, AC, ID, IOPL, IF, 1 << 17, 1 << 19, 1 << 20, 1 << 3, 1 << 15, 0xffffffff00000000,
				   RF, ~(unsigned long)(TF)};
	for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
		struct change c = {"", REG_EFL, choices[i]};
		wanted = &c;
		unsigned long after;
		__asm__ volatile("movl $186, %%eax; syscall; movl %%eax, %%edi; movl $10, %%esi; movl $200, %%eax; syscall;"
				 "pushfq; popq %0; pushq $0x202; popfq"
				 : "=r"(after) : : "rax", "rcx", "r11", "rdi", "rsi", "memory", "cc");
		printf("RFLAGS %lx gives %lx\n", choices[i], after);
	}
}

/* A SYSCALL as the last instruction of the lower half would return to a
 * non-canonical RIP, so nothing may be mapped there. */
static void last_page(void)
{
	void *last = (void *)0x7ffffffff000;
	SHOW(mmap(last, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	SHOW(mmap((void *)0x7fffffffe000, 8192, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	SHOW(mremap(MUST(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) + (char *)0, 4096, 4096,
		    MREMAP_MAYMOVE | MREMAP_FIXED, last));
}

/* A SYSCALL at the end of the highest page that can be mapped. */
static void highest_call(void)
{
	unsigned char *page = mmap((void *)0x7fffffffe000, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (page == MAP_FAILED)
		return;
	page[4094] = 0x0f;
	page[4095] = 0x05;
	ATTEMPT("movl $39, %%eax; movq $0x7fffffffeffe, %%rcx; jmp *%%rcx", "rcx", "r11");
	printf("call at the end: signal %d code %d address %lx\n", seen.signal, seen.code, seen.address);
}

int main(void)
{
	struct sigaction action = {.sa_sigaction = change, .sa_flags = SA_SIGINFO};
	setbuf(stdout, NULL);
	keep_faults();
	MUST(sigaction(SIGUSR1, &action, NULL));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		return_with(&bad[i]);
	stacks();
	flags();
	last_page();
	highest_call();
	return 8;
}
