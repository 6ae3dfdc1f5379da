/* Checks unusual system call numbers: garbage in the upper half of RAX, the x32
 * bit, negative and huge numbers. It also checks garbage in the upper halves of
 * 32-bit arguments, and that a call preserves registers. */
#include "catalogue.h"

static long call(unsigned long number, unsigned long a, unsigned long b, unsigned long c)
{
	long result;
	__asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return result;
}

static void numbers(void)
{
	static const unsigned long plain[] = {SYS_getpid, SYS_write, 1000, 0x3fffffff};
	static const unsigned long garbage[] = {0, 1UL << 32, 1UL << 63, 0xffffffff00000000, 0xdeadbeef00000000, 1UL << 31, 1UL << 30, 3UL << 30};
	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
		for (size_t j = 0; j < sizeof garbage / sizeof *garbage; j++) {
			long result = call(plain[i] | garbage[j], -1UL, 0, 0);
			if (result == getpid())
				printf("%lx: the process id\n", plain[i] | garbage[j]);
			else
				printf("%lx: %ld\n", plain[i] | garbage[j], result);
		}
	for (long number = -4; number < 0; number++)
		printf("%ld: %ld\n", number, call(number, 0, 0, 0));
	printf("0x7fffffff: %ld\n", call(0x7fffffff, 0, 0, 0));
	printf("0xffffffff: %ld\n", call(0xffffffff, 0, 0, 0));
	/* 335 and 336 are recent calls, so the range begins at 337. 512 to 547 are x32's own calls, which need the x32 bit. */
	for (unsigned long number = 500; number < 560; number++)
		if (call(number | 1UL << 30, -1UL, -1UL, -1UL) != -ENOSYS)
			printf("%lu with the x32 bit is a call\n", number);
	for (unsigned long number = 337; number < 424; number++)
		if (call(number, -1UL, -1UL, -1UL) != -ENOSYS)
			printf("%lu is a call\n", number);
}

static void arguments(void)
{
	int ends[2];
	MUST(pipe(ends));
	unsigned long high = 0xabcdef0100000000;
	printf("write to a descriptor with garbage above: %ld\n", call(SYS_write, (unsigned long)ends[1] | high, (unsigned long)"abc", 3));
	printf("close with garbage above: %ld\n", call(SYS_close, (unsigned long)ends[0] | high, high, high));
	printf("dup2 with garbage above: %ld\n", call(SYS_dup2, (unsigned long)ends[1] | high, 40 | high, high));
	printf("kill with garbage above: %ld\n", call(SYS_kill, (unsigned int)getpid() | high, high, 0));
	printf("lseek by a negative number of 64 bits: %ld\n", call(SYS_lseek, (unsigned long)ends[1], -1UL, SEEK_SET));
	printf("mmap of length 0 above 32 bits: %d\n", call(SYS_mmap, 0, 0xffffffff00000000, PROT_READ) < 0);
}

/* Every register except RAX, RCX and R11 must survive a call. */
static void registers(unsigned long number, const char *name)
{
	static unsigned long in[12], out[12]; /* the stack pointer moves */
	for (int i = 0; i < 12; i++)
		in[i] = 0x0101010101010101UL * (unsigned long)(i + 1);
	in[0] = -1UL; /* a first argument that makes every call fail */
	__asm__ volatile(
		"pushq %%rbp; movq %[number], %%rax; leaq %[in], %%rcx; leaq %[out], %%r11; pushq %%r11\n"
		"movq 0(%%rcx), %%rdi; movq 8(%%rcx), %%rsi; movq 16(%%rcx), %%rdx; movq 24(%%rcx), %%r10; movq 32(%%rcx), %%r8\n"
		"movq 40(%%rcx), %%r9; movq 48(%%rcx), %%rbx; movq 56(%%rcx), %%rbp; movq 64(%%rcx), %%r12; movq 72(%%rcx), %%r13\n"
		"movq 80(%%rcx), %%r14; movq 88(%%rcx), %%r15\n"
		"syscall; popq %%rcx\n"
		"movq %%rdi, 0(%%rcx); movq %%rsi, 8(%%rcx); movq %%rdx, 16(%%rcx); movq %%r10, 24(%%rcx); movq %%r8, 32(%%rcx)\n"
		"movq %%r9, 40(%%rcx); movq %%rbx, 48(%%rcx); movq %%rbp, 56(%%rcx); movq %%r12, 64(%%rcx); movq %%r13, 72(%%rcx)\n"
		"movq %%r14, 80(%%rcx); movq %%r15, 88(%%rcx); popq %%rbp"
		: [out] "=m"(out)
		: [in] "m"(in), [number] "r"(number)
		: "rax", "rcx", "r11", "rdi", "rsi", "rdx", "r10", "r8", "r9", "rbx", "r12", "r13", "r14", "r15", "memory");
	printf("registers over %s: %s\n", name, memcmp(in, out, sizeof in) ? "changed" : "kept");
}

/* A call with an invalid stack pointer must work and preserve it. */
static void stack_pointers(void)
{
	static const unsigned long pointers[] = {0, 8, 0x800000000000, 0xffffffff81000000, ~0UL};
	for (size_t i = 0; i < sizeof pointers / sizeof *pointers; i++) {
		unsigned long old, after, result;
		__asm__ volatile("movq %%rsp, %[old]; movq %[pointer], %%rsp; movl $110, %%eax; syscall; movq %%rsp, %[after]; movq %[old], %%rsp"
				 : [old] "=&r"(old), [after] "=&r"(after), "=&a"(result)
				 : [pointer] "r"(pointers[i])
				 : "rcx", "r11", "memory");
		printf("RSP %lx over getppid: %lx, %d\n", pointers[i], after, result == (unsigned long)getppid());
	}
}

/* A signal with a handler for a program whose stack pointer is invalid. */
static void no_stack_for_a_signal(void)
{
	int status;
	pid_t pid = MUST(fork());
	if (pid == 0) {
		stack_t none = {.ss_flags = SS_DISABLE};
		MUST(sigaltstack(&none, NULL));
		__asm__ volatile("movq $0xffffffff81000000, %%rsp; ud2" : : : "memory");
	}
	MUST(waitpid(pid, &status, 0));
	printf("no stack for a handler: signal %d\n", WTERMSIG(status));
}

int main(void)
{
	setbuf(stdout, NULL);
	keep_faults();
	numbers();
	arguments();
	registers(SYS_getppid, "getppid");
	registers(SYS_read, "read");
	registers(SYS_sched_yield, "sched_yield");
	registers(SYS_futex, "futex");
	registers(999, "no such call");
	stack_pointers();
	no_stack_for_a_signal();
	return 8;
}
