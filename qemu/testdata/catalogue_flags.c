/* Checks RFLAGS, RCX and R11 before and after system calls, exceptions and signal
 * handlers, and single steps over every instruction that enters the kernel. */
#include "catalogue.h"

/* The bits of RFLAGS that are neither reserved nor set by arithmetic. */
#define CONTROL(flags) ((flags) & ~(unsigned long)(ARITHMETIC | IF | 2))

static volatile unsigned long in_handler;

static void record_flags(int signal)
{
	(void)signal;
	in_handler = read_flags();
	__asm__ volatile("cld");
	clear_flags(AC | NT);
}

/* A flag that the program has set must survive a call and must not change what the
 * call does: NT must not make the kernel's IRET fail, DF must not reverse the
 * direction of its copies, and AC must not disable SMAP. */
static void over_calls(void)
{
	unsigned long choices[] = {0, DF, AC, NT, ID, DF | AC | NT};
	for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
		char buffer[64] = {0};
		int fd = MUST(open("/proc/self/comm", O_RDONLY));
		unsigned long before, after, result;
		set_flags(choices[i]);
		before = read_flags();
		__asm__ volatile("syscall" : "=a"(result) : "0"(SYS_read), "D"(fd), "S"(buffer), "d"(63L) : "rcx", "r11", "memory");
		after = read_flags();
		clear_flags(DF | AC | NT | ID);
		close(fd);
		printf("%lx over read: %lx, then %lx, %ld bytes\n", choices[i], CONTROL(before), CONTROL(after), result);
	}
}

static void over_handlers(void)
{
	unsigned long choices[] = {0, DF, AC, NT, ID};
	signal(SIGUSR1, record_flags);
	pid_t pid = getpid();
	for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
		unsigned long after;
		long result;
		set_flags(choices[i]);
		__asm__ volatile("syscall" : "=a"(result) : "0"(SYS_kill), "D"((long)pid), "S"((long)SIGUSR1) : "rcx", "r11", "memory");
		after = read_flags();
		clear_flags(DF | AC | NT | ID);
		printf("%lx into a handler: %lx there, %lx after\n", choices[i], CONTROL(in_handler), CONTROL(after));
	}
}

unsigned long chosen; /* named in the assembly text */
volatile char *fresh_page;

static void over_faults(void)
{
	unsigned long choices[] = {0, DF, AC, NT, ID};
	for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
		volatile char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		unsigned long after;
		set_flags(choices[i]);
		page[0] = 1; /* resolved */
		after = read_flags();
		clear_flags(DF | AC | NT | ID);
		printf("%lx over a page fault: %lx\n", choices[i], CONTROL(after));
		chosen = choices[i];
		ATTEMPT("movq chosen(%%rip), %%rcx; subq $128, %%rsp; pushfq; orq %%rcx, (%%rsp); popfq; ud2", "rcx");
		clear_flags(DF | AC | NT | ID);
		/* Hardware sets RF in the frame of a fault; QEMU does not. */
		printf("%lx over UD2: signal %d, %lx in the frame\n", choices[i], seen.signal, CONTROL(seen.flags) & ~(unsigned long)RF);
	}
}

static void io_privilege(void)
{
	set_flags(IOPL | IF);
	unsigned long after = read_flags();
	clear_flags(IOPL);
	printf("IOPL by POPF: %lx\n", after & IOPL);
	__asm__ volatile("pushfq; andq $~0x200, (%%rsp); popfq" : : : "memory", "cc");
	printf("IF cleared by POPF: %d\n", !(read_flags() & IF));
}

/* AC must not disable SMAP in the kernel: with AC set, a bad pointer gives EFAULT
 * and a good one works. */
static void smap(void)
{
	long result, good;
	int ends[2];
	MUST(pipe(ends));
	set_flags(AC);
	__asm__ volatile("syscall" : "=a"(result) : "0"(SYS_write), "D"((long)ends[1]), "S"(0xffffffff81000000), "d"(8L) : "rcx", "r11", "memory");
	__asm__ volatile("syscall" : "=a"(good) : "0"(SYS_write), "D"((long)ends[1]), "S"(&result), "d"(8L) : "rcx", "r11", "memory");
	clear_flags(AC);
	printf("write with AC: %ld from the kernel, %ld from the program\n", result, good);
	close(ends[0]), close(ends[1]);
}

static void one_call(long number, const char *name, long first, long second)
{
	unsigned long rcx, r11, here;
	__asm__ volatile("leaq 1f(%%rip), %2; movq $-1, %%r11; syscall; 1: movq %%r11, %1"
			 : "=c"(rcx), "=&r"(r11), "=&r"(here), "+a"(number)
			 : "D"(first), "S"(second)
			 : "r11", "memory");
	printf("%s: RCX is RIP %d, R11 is RFLAGS %d\n", name, rcx == here, (r11 & ~(unsigned long)ARITHMETIC) == 0x202);
}

/* After a call, RCX and R11 must have the documented values, whether the kernel
 * returns with SYSRET or with IRET. */
static void clobbered(void)
{
	struct timespec nap = {0, 2000000};
	one_call(SYS_getppid, "getppid", 0, 0);
	one_call(SYS_sched_yield, "sched_yield", 0, 0);
	one_call(SYS_nanosleep, "nanosleep", (long)&nap, 0);
	one_call(SYS_kill, "kill with a handler", getpid(), SIGUSR1);
	one_call(100000, "no such call", 0, 0);
	one_call(SYS_read, "read of a bad pointer", 0, -1);
}

/* RCX and R11 must survive an exception and a signal handler. */
static void preserved(void)
{
	unsigned long rcx = 0x1111, r11 = 0x2222;
	volatile char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	__asm__ volatile("movq %1, %%r11; movb $1, (%2); movq %%r11, %1" : "+c"(rcx), "+r"(r11) : "r"(page) : "r11", "memory");
	printf("over a page fault: RCX %lx R11 %lx\n", rcx, r11);
	resume_at = 0;
	__asm__ volatile("movq %1, %%r11; int3; movq %%r11, %1" : "+c"(rcx), "+r"(r11) : : "r11", "memory");
	printf("over INT3 with a handler: RCX %lx R11 %lx, signal %d, CR2 %lx\n", rcx, r11, seen.signal, seen.cr2);
}

static volatile int steps;
static volatile unsigned long first_step, last_step;
static volatile int other;

static void count_step(int signal, siginfo_t *info, void *context)
{
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	if (signal != SIGTRAP || info->si_code != TRAP_TRACE) {
		other = signal;
		if (signal == SIGILL)
			r[REG_RIP] += 2;
		return;
	}
	if (!steps++)
		first_step = r[REG_RIP];
	last_step = r[REG_RIP];
}

/* Sets TF, runs the code, clears TF, and counts the steps. A step over SYSCALL must
 * end after it and never in the kernel. */
#define STEPS(name, text, ...)                                                 \
	do {                                                                   \
		unsigned long begin_, end_;                                    \
		steps = other = 0;                                             \
		__asm__ volatile("leaq 1f(%%rip), %0; leaq 2f(%%rip), %1;"     \
				 "subq $128, %%rsp;"                           \
				 "pushfq; orq $0x100, (%%rsp); popfq; 1:" text \
				 "pushfq; andq $~0x100, (%%rsp); popfq; 2:"    \
				 "addq $128, %%rsp"                            \
				 : "=&r"(begin_), "=&r"(end_)                  \
				 :                                             \
				 : "rax", "rcx", "r11", "rdi", "rsi", "memory", "cc", ##__VA_ARGS__); \
		printf("TF over %s: %d steps, first at +%ld, last at -%ld, other signal %d\n", name, steps, \
		       (long)(first_step - begin_), (long)(end_ - last_step), other); \
	} while (0)

static void single_steps(void)
{
	struct sigaction action = {.sa_sigaction = count_step, .sa_flags = SA_SIGINFO};
	MUST(sigaction(SIGTRAP, &action, NULL));
	MUST(sigaction(SIGILL, &action, NULL));
	fresh_page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	STEPS("nothing", "nop; nop;");
	STEPS("getppid", "movl $110, %%eax; syscall; nop;");
	STEPS("no such call", "movl $100000, %%eax; syscall; nop;");
	STEPS("sched_yield", "movl $24, %%eax; syscall; nop;");
	STEPS("INT3", "int3; nop;");
	STEPS("UD2", "ud2; nop;");
	STEPS("a page fault", "movq fresh_page(%%rip), %%rax; movb $1, (%%rax); nop;");
	MUST(sigaction(SIGTRAP, &(struct sigaction){.sa_handler = SIG_DFL}, NULL));
}

/* The causes of SIGTRAP are distinguished by si_code. INT1, a third cause, is not
 * emulated by QEMU 7.2. */
static void causes_of_traps(void)
{
	for (int i = 0; i < 2; i++) {
		ATTEMPT("subq $128, %%rsp; pushfq; orq $0x100, (%%rsp); popfq; nop");
		clear_flags(TF);
		printf("a step: signal %d, code %d, trap %lu, error %lu, at its address %d\n", seen.signal, seen.code, seen.trap,
		       seen.error, seen.address == seen.ip);
		ATTEMPT("int3; nop");
		printf("INT3: signal %d, code %d, trap %lu, error %lu, address %lx\n", seen.signal, seen.code, seen.trap, seen.error,
		       seen.address);
	}
}

/* The handler of INT3 returns to the INT3 many times. */
static volatile int traps;

static void again(int signal, siginfo_t *info, void *context)
{
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	(void)signal, (void)info;
	if (++traps < 20000)
		r[REG_RIP]--;
}

static void trap_loop(void)
{
	struct sigaction action = {.sa_sigaction = again, .sa_flags = SA_SIGINFO};
	MUST(sigaction(SIGTRAP, &action, NULL));
	__asm__ volatile("int3");
	printf("INT3 was executed %d times\n", traps);
}

/* MOV SS delays a debug exception by one instruction. If that instruction enters
 * the kernel, the exception must not be treated as the kernel's
 * (CVE-2018-8897). */
static void move_stack_segment(void)
{
	unsigned short ss;
	long result;
	__asm__ volatile("movw %%ss, %0" : "=r"(ss));
	traps = 20000;
	__asm__ volatile("movw %0, %%ss; int3" : : "r"(ss));
	printf("INT3 after MOV SS: %d\n", traps);
	__asm__ volatile("movl $110, %%eax; movw %1, %%ss; syscall" : "=&a"(result) : "r"(ss) : "rcx", "r11", "memory");
	printf("SYSCALL after MOV SS: %d\n", result == getppid());
}

int main(void)
{
	setbuf(stdout, NULL);
	keep_faults();
	over_calls();
	over_handlers();
	over_faults();
	io_privilege();
	smap();
	clobbered();
	preserved();
	single_steps();
	keep_faults();
	causes_of_traps();
	trap_loop();
	move_stack_segment();
	return 8;
}
