/* Prints what a signal handler sees after each kind of fault: the number, si_code,
 * si_addr relative to the fault, the exception and its error code, uc_flags, and the
 * flags of the alternate stack; and how SA_ and SS_ flags change the delivery. */
#include "report.h"
#include <setjmp.h>
#include <sys/auxv.h>
#include <ucontext.h>

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif
#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif

static sigjmp_buf back;
static volatile uintptr_t expected; /* the address that si_addr should be */

static void handler(int number, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	greg_t *r = uc->uc_mcontext.gregs;
	uintptr_t at = (uintptr_t)info->si_addr;
	printf("  signal %d code %d errno %d addr %s, trap %lld error %llx cr2 %s, uc_flags %lx link %d stack flags %x\n", number,
		       info->si_code, info->si_errno,
		       at == expected	 ? "expected"
		       : at == (uintptr_t)r[REG_RIP] ? "rip"
		       : at == 0	 ? "0"
					 : "other",
		       (long long)r[REG_TRAPNO], (unsigned long long)r[REG_ERR], (uintptr_t)r[REG_CR2] == expected ? "expected" : r[REG_CR2] == 0 ? "0" : "other",
		       uc->uc_flags, uc->uc_link != 0, uc->uc_stack.ss_flags);
	siglongjmp(back, 1);
}

static void catch_all(int flags)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
	for (unsigned i = 0; i < sizeof faults / sizeof *faults; i++) {
		struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
		MUST(sigaction(faults[i], &action, NULL));
	}
}

#define FAULT(address, code)                          \
	do {                                          \
		printf("%s\n", #code);                \
		expected = (uintptr_t)(address);      \
		if (sigsetjmp(back, 1) == 0) {        \
			code;                         \
			printf("  no signal\n");      \
		}                                     \
	} while (0)

static void access_memory(void)
{
	char *page = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = memfd_create("x", 0);
	char *file = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ftruncate(fd, 100);
	FAULT(0, *(volatile char *)0);
	FAULT(0x123, *(volatile char *)0x123 = 1);
	FAULT(page + 5, *(volatile char *)(page + 5) = 1);
	FAULT(none + 7, *(volatile char *)(none + 7));
	FAULT(file + 5000, *(volatile char *)(file + 5000));
	FAULT(file + 4096, *(volatile char *)(file + 4096) = 1);
	(void)*(volatile char *)page; /* it is present from here on */
	FAULT(page, ((void (*)(void))page)());
	FAULT(0x10, ((void (*)(void))0x10)());
	FAULT(1ul << 63, *(volatile char *)(1ul << 63));
	FAULT(0xffffffff81000000, *(volatile char *)0xffffffff81000000);
	FAULT(0xffffffff81000000, *(volatile char *)0xffffffff81000000 = 1);
	FAULT(0x7ffffffff000, *(volatile char *)0x7ffffffff000);
	FAULT(0x800000000000, *(volatile char *)0x800000000000);
	FAULT(0xffffffff81000000, ((void (*)(void))0xffffffff81000000)());
}

static void instructions(void)
{
	FAULT(-1, __asm__ volatile("xorl %%ecx, %%ecx; divl %%ecx" : : : "eax", "ecx", "edx", "cc"));
	FAULT(-1, __asm__ volatile("ud2"));
	FAULT(-1, __asm__ volatile("hlt"));
	FAULT(-1, __asm__ volatile("int3"));
	FAULT(-1, __asm__ volatile("int $3"));
	FAULT(-1, __asm__ volatile("cli"));
	FAULT(-1, __asm__ volatile("inb $0x80, %%al" : : : "al"));
	FAULT(-1, __asm__ volatile("movq %%cr0, %%rax" : : : "rax"));
	FAULT(-1, __asm__ volatile("movw %%ax, %%ds" : : "a"(0x50)));
	FAULT(-1, __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq; nop" : : : "memory", "cc"));
}

static volatile double result;

/* The exceptions of x87. QEMU does not raise those of SSE. */
static void floating_point(void)
{
	static const int causes[] = {1, 4, 8, 16, 32}; /* IM, ZM, OM, UM, PM */
	static volatile double left[] = {0, 1, 1e308, 1e-308, 1}, right[] = {0, 0, 1e-10, 1e10, 3};
	for (int i = 0; i < 5; i++) {
		unsigned short control = 0x037f & ~causes[i];
		__asm__ volatile("fninit; fldcw %0" : : "m"(control));
		FAULT(-1, __asm__ volatile("fldl %1; fdivl %2; fstpl %0; fwait" : "=m"(result) : "m"(left[i]), "m"(right[i])));
		__asm__ volatile("fnclex; fninit");
	}
}

static char space[65536] __attribute__((aligned(4096)));
static volatile unsigned seen;

static void on_stack(int number)
{
	stack_t now;
	(void)number;
	sigaltstack(NULL, &now);
	seen = now.ss_flags;
	printf("  in the handler: flags %x, on it %d\n", now.ss_flags, (char *)&now > space && (char *)&now < space + sizeof space);
}

static void stacks(void)
{
	stack_t stack = {.ss_sp = space, .ss_size = sizeof space}, old;
	struct sigaction action = {.sa_handler = on_stack, .sa_flags = SA_ONSTACK};
	unsigned long least = getauxval(AT_MINSIGSTKSZ);
	HOLDS(least > 1024 && least < 65536);
	MUST(sigaction(SIGUSR1, &action, NULL));
	for (int disarm = 0; disarm < 2; disarm++) {
		stack.ss_flags = disarm ? SS_AUTODISARM : 0;
		SHOW(sigaltstack(&stack, NULL));
		raise(SIGUSR1);
		SHOW(sigaltstack(NULL, &old));
		printf("  after it: flags %x, size %zu\n", old.ss_flags, old.ss_size);
	}
	stack.ss_size = 2047, stack.ss_flags = 0;
	SHOW(sigaltstack(&stack, NULL));
	stack.ss_size = 65536, stack.ss_flags = SS_ONSTACK;
	SHOW(sigaltstack(&stack, NULL));
	stack.ss_flags = 4;
	SHOW(sigaltstack(&stack, NULL));
	stack.ss_flags = SS_DISABLE | SS_AUTODISARM;
	SHOW(sigaltstack(&stack, &old));
	SHOW(sigaltstack(NULL, &old));
	printf("  flags %x size %zu\n", old.ss_flags, old.ss_size);
}

/* Ends a child, and prints how. */
#define IN_CHILD(part) printf("%s: %x\n", #part, IN_A_CHILD(signal(SIGSEGV, SIG_DFL); part) & 0xff7f)

static void blocked(void)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	*(volatile int *)8 = 1;
}

static void ignored(void)
{
	signal(SIGSEGV, SIG_IGN);
	*(volatile int *)8 = 1;
}

static void again(int number)
{
	(void)number;
	*(volatile int *)8 = 1;
}

static void in_handler(void)
{
	signal(SIGSEGV, again);
	*(volatile int *)8 = 1;
}

static void no_stack(void)
{
	signal(SIGSEGV, again);
	__asm__ volatile("movq $8, %rsp; movl $1, 16");
}

static void small_stack(void)
{
	static char tiny[2048];
	stack_t stack = {.ss_sp = tiny, .ss_size = sizeof tiny};
	struct sigaction action = {.sa_handler = again, .sa_flags = SA_ONSTACK};
	sigaltstack(&stack, NULL);
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
}

static void reset_handler(void)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	struct sigaction once = {.sa_handler = again, .sa_flags = SA_RESETHAND | SA_NODEFER};
	sigaction(SIGSEGV, &once, NULL);
	sigaction(SIGUSR1, &once, &action);
	*(volatile int *)8 = 1;
}

static void flags(void)
{
	struct sigaction action = {.sa_handler = on_stack, .sa_flags = ~0}, now;
	MUST(sigaction(SIGUSR2, &action, NULL));
	MUST(sigaction(SIGUSR2, NULL, &now));
	printf("the flags that are kept: %x\n", now.sa_flags & ~0x04000000);
}

int main(void)
{
	catch_all(0);
	access_memory();
	instructions();
	floating_point();
	stacks();
	flags();
	IN_CHILD(blocked());
	IN_CHILD(ignored());
	IN_CHILD(in_handler());
	IN_CHILD(no_stack());
	IN_CHILD(small_stack());
	IN_CHILD(reset_handler());
	return 4;
}
