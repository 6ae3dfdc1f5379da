/* Causes the fault that the argument names. */
#include "report.h"

#pragma GCC diagnostic ignored "-Winfinite-recursion"

static int overflow(volatile int depth)
{
	volatile char frame[4096];
	frame[0] = depth;
	return overflow(depth + 1) + frame[0];
}

static void null_read(void) { *(volatile int *)0; }
static void null_write(void) { *(volatile int *)0 = 1; }
static void null_jump(void) { ((void (*)(void))0)(); }
static void wild_jump(void) { ((void (*)(void))0x123456789000)(); }
static void non_canonical(void) { *(volatile int *)0x8000000000000000 = 1; }
static void kernel_read(void) { *(volatile int *)0xffffffff80200000; }
static void kernel_jump(void) { ((void (*)(void))0xffffffff80200000)(); }
static void last_page(void) { *(volatile int *)0x7ffffffff000 = 1; }
static void halt(void) { __asm__ volatile("hlt"); }
static void interrupts_off(void) { __asm__ volatile("cli"); }
static void port(void) { __asm__ volatile("outb %%al, $0xf4" : : "a"(0)); }
static void control_register(void) { __asm__ volatile("movq %%cr3, %%rax" : : : "rax"); }
static void model_register(void) { __asm__ volatile("wrmsr" : : "a"(0), "d"(0), "c"(0xc0000080)); }
static void undefined(void) { __asm__ volatile("ud2"); }
static void breakpoint(void) { __asm__ volatile("int3"); }
static void divide(void) { __asm__ volatile("divl %%ecx" : : "a"(1), "d"(0), "c"(0) : "cc"); }
static void stack(void) { exit(overflow(0)); }
static void read_only(void) { *(volatile char *)"constant" = 1; }
static void abort_program(void) { abort(); }
static void software_interrupt(void) { __asm__ volatile("int $0x30"); }
static void bad_stack(void) { __asm__ volatile("xorl %%esp, %%esp; pushq %%rax" : : : "memory"); }

static void no_execute(void)
{
	static char code[] = {(char)0xc3};
	((void (*)(void))(void *)code)();
}

static void wild_syscall_stack(void)
{
	/* A system call with an invalid stack pointer must work. */
	__asm__ volatile("movq $0xdead000, %%rsp; movl $60, %%eax; movl $33, %%edi; syscall" : : : "memory");
}

static const struct {
	const char *name;
	void (*commit)(void);
} faults[] = {
	{"null-read", null_read}, {"null-write", null_write}, {"null-jump", null_jump}, {"wild-jump", wild_jump},
	{"non-canonical", non_canonical}, {"kernel-read", kernel_read}, {"kernel-jump", kernel_jump},
	{"last-page", last_page}, {"halt", halt}, {"interrupts-off", interrupts_off}, {"port", port},
	{"control-register", control_register}, {"model-register", model_register}, {"undefined", undefined},
	{"breakpoint", breakpoint}, {"divide", divide}, {"stack", stack}, {"read-only", read_only},
	{"abort", abort_program}, {"software-interrupt", software_interrupt}, {"bad-stack", bad_stack},
	{"no-execute", no_execute}, {"wild-syscall-stack", wild_syscall_stack},
};


/* Set for a fault on the stack, whose address is random and not printed. */
static int hide_address;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	char line[96];
	(void)context;
	int n = snprintf(line, sizeof line, "signal %d code %d address %lx\n", signal, info->si_code,
			 signal == SIGSEGV && !hide_address ? (unsigned long)info->si_addr & ~0xfffUL : 0UL);
	write(1, line, n);
	_exit(1);
}

/* With a second argument, a handler on an alternate stack prints the signal. */
static void handle_faults(void)
{
	static char alternate[65536];
	stack_t where = {.ss_sp = alternate, .ss_size = sizeof alternate};
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	MUST(sigaltstack(&where, NULL));
	int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT};
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		MUST(sigaction(signals[i], &action, NULL));
}

int main(int argc, char **argv)
{
	hide_address = argc > 1 && !strcmp(argv[1], "stack");
	if (argc > 2)
		handle_faults();
	for (size_t i = 0; argc > 1 && i < sizeof faults / sizeof *faults; i++)
		if (!strcmp(argv[1], faults[i].name))
			faults[i].commit();
	return 77;
}
