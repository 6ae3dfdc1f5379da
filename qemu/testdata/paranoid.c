/* The program that runs while a test injects events at chosen instructions of the
 * kernel. It enters the kernel in every way with a distinct value in each register,
 * and reports registers that changed. Its GS base and stack pointer are invalid or
 * point into the kernel, so that a kernel that trusts them crashes. */
#include "report.h"
#include <poll.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <ucontext.h>

enum { RAX, RBX, RCX, RDX, RSI, RDI, RBP, RSP, R8, R9, R10, R11, R12, R13, R14, R15, FLAGS, GS_BASE, WORDS };

static const char *const names[WORDS] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9",
					 "r10", "r11", "r12", "r13", "r14", "r15", "flags", "gs base"};

enum {
	CF = 1, PF = 1 << 2, AF = 1 << 4, ZF = 1 << 6, SF = 1 << 7, TF = 1 << 8, IF = 1 << 9, DF = 1 << 10, OF = 1 << 11, ID = 1 << 21,
};

/* The registers before an event, or after it. The assembly knows the layout. */
struct state {
	unsigned long word[WORDS];
	unsigned char vector[16][32]; /* at 144 */
	unsigned char x87[16];	      /* at 656 */
	unsigned int mxcsr;	      /* at 672 */
};

/* The assembly code addresses these relative to FS, because every other register has
 * a test value. */
__thread struct state before, after;
__thread unsigned long stack_kept;

#define VECTORS(of, op)                                                        \
	of(op, 0) of(op, 1) of(op, 2) of(op, 3) of(op, 4) of(op, 5) of(op, 6)  \
	of(op, 7) of(op, 8) of(op, 9) of(op, 10) of(op, 11) of(op, 12)         \
	of(op, 13) of(op, 14) of(op, 15)
#define LOAD_VECTOR(op, n) "vmovups %fs:before@tpoff+144+32*" #n ", %ymm" #n "\n"
#define STORE_VECTOR(op, n) "vmovups %ymm" #n ", %fs:after@tpoff+144+32*" #n "\n"
#define WORDS_BUT_RSP(of)                                                      \
	of(rax, 0) of(rbx, 1) of(rcx, 2) of(rdx, 3) of(rsi, 4) of(rdi, 5)      \
	of(rbp, 6) of(r8, 8) of(r9, 9) of(r10, 10) of(r11, 11) of(r12, 12)     \
	of(r13, 13) of(r14, 14) of(r15, 15)
#define LOAD_WORD(name, n) "movq %fs:before@tpoff+8*" #n ", %" #name "\n"
#define STORE_WORD(name, n) "movq %" #name ", %fs:after@tpoff+8*" #n "\n"

/* Defines a function that loads the registers from before, executes the given code,
 * and stores the registers to after. The label name_end is after the code. */
#define AROUND(name, text)                                                     \
	void name(void);                                                       \
	extern const char name##_end[];                                        \
	__asm__(".globl " #name ", " #name "_end\n" #name ":\n"                \
		"pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n" \
		"movq %rsp, %fs:stack_kept@tpoff\n"                            \
		"movq %fs:before@tpoff+8*17, %rax; wrgsbase %rax\n"            \
		VECTORS(LOAD_VECTOR, )                                         \
		"fldt %fs:before@tpoff+656; ldmxcsr %fs:before@tpoff+672\n"    \
		"pushq %fs:before@tpoff+8*16; popfq\n"                         \
		WORDS_BUT_RSP(LOAD_WORD)                                       \
		"movq %fs:before@tpoff+8*7, %rsp\n"                            \
		text "\n" #name "_end:\n"                                      \
		WORDS_BUT_RSP(STORE_WORD)                                      \
		"movq %rsp, %fs:after@tpoff+8*7; movq %fs:stack_kept@tpoff, %rsp\n" \
		"pushfq; popq %fs:after@tpoff+8*16; cld\n"                     \
		VECTORS(STORE_VECTOR, )                                        \
		"fstpt %fs:after@tpoff+656; stmxcsr %fs:after@tpoff+672\n"     \
		"rdgsbase %rax; movq %rax, %fs:after@tpoff+8*17\n"             \
		"vzeroupper\n"                                                 \
		"popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx; ret\n")

AROUND(call, "syscall");
AROUND(touch, "movb $1, (%rdx)");
AROUND(spin, "1: leaq -1(%rcx), %rcx; jrcxz 2f; jmp 1b; 2:");
AROUND(trap, "int3");
AROUND(undefined, "ud2");

AROUND(int80, "int $0x80");

/* SYSCALL and SYSENTER in 32-bit code, which a far jump enters. They continue at the landing
 * pad of the 32-bit vDSO. This program has none, so that is address 0, and the handler of
 * SIGSEGV returns to 64-bit code. */
__asm__(".data\n.balign 8\ncompat_in: .long 1f, 0x23\nsysenter_in: .long 2f, 0x23\n.text\n");
AROUND(compat, "ljmpl *compat_in(%rip)\n.code32\n1: syscall\nud2\n.code64");
AROUND(sysenter, "ljmpl *sysenter_in(%rip)\n.code32\n2: sysenter\nud2\n.code64");
static __thread const char *compat_resume;

/* The stack of 32-bit code, and the word on it, which the kernel loads into EBP. */
static unsigned compat_stack[] = {0x5a5a5a5a};

/* Values of GS base, including the address of the kernel's per-CPU block, and stack
 * pointers to which nothing can be pushed. */
static const unsigned long gs_bases[] = {0, 0xffff800000000000, 0xffffffff80109180, ~0UL, 0x7fffffffffff};
static const unsigned long stacks[] = {0, 8, 0xffffffff80109180, 0x8000000000000000, 0xffff800000001001};

static volatile int *stop; /* shared with the child process */
static int ends[2];
static int ends_silent[2]; /* nobody writes to this pipe */
static pid_t parent;
static long stray; /* unexpected signals */

static void on_signal(int signal, siginfo_t *info, void *context)
{
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	(void)info;
	if (signal == SIGILL)
		r[REG_RIP] = (greg_t)undefined_end;
	if (signal == SIGTRAP && (unsigned long)(r[REG_RIP] - (greg_t)call_end) < 64) /* after the step over the call */
		r[REG_EFL] &= ~(greg_t)TF;
	if (signal == SIGSEGV && r[REG_RIP] == 0 && compat_resume) {
		r[REG_RIP] = (greg_t)compat_resume;
		r[REG_CSGSFS] = (r[REG_CSGSFS] & ~0xffffL) | 0x33;
		r[REG_EFL] &= ~(greg_t)TF;
		return;
	}
	if (signal == SIGSEGV || signal == SIGBUS)
		stray++, _exit(128 + signal);
}

/* A way to enter the kernel. */
struct way {
	const char *name;
	void (*go)(void);
	long number, first, second, third; /* the number and the arguments of a call */
	long result;
	unsigned long flags; /* additional bits of RFLAGS */
};

static void fill(const struct way *w, long round)
{
	struct state *s = &before;
	for (int i = 0; i < 16; i++)
		s->word[i] = 0x0101010101010101UL * (unsigned long)(i + 1) + (unsigned long)round;
	for (int i = 0; i < 16; i++)
		memset(s->vector[i], i * 7 + (int)round, 32);
	memcpy(s->x87, "\x21\x43\x65\x87\xa9\xcb\xed\x8f\x02\x40", 10);
	s->mxcsr = round & 1 ? 0x1f80 : 0x7f80;
	s->word[RAX] = (unsigned long)w->number;
	s->word[RDI] = (unsigned long)w->first;
	s->word[RSI] = (unsigned long)w->second;
	s->word[RDX] = (unsigned long)w->third;
	s->word[RSP] = stacks[round % 5];
	compat_resume = NULL;
	if (w->go == compat)
		s->word[RSP] = round % 2 ? (unsigned long)compat_stack : stacks[round / 2 % 2], compat_resume = compat_end;
	if (w->go == sysenter)
		s->word[RBP] = round % 2 ? (unsigned long)compat_stack : stacks[round / 2 % 2], compat_resume = sysenter_end;
	s->word[FLAGS] = (round & 1 ? CF | SF | DF | ID : PF | AF | ZF | OF) | IF | 2 | w->flags;
	s->word[GS_BASE] = gs_bases[round % 5];
	if (w->go == spin)
		s->word[RCX] = 2000;
}

/* Prints the registers that are wrong after the event and returns their number. */
static int compare(const struct way *w)
{
	struct state want = before;
	int wrong = 0;
	want.word[FLAGS] &= ~(unsigned long)TF;
	if (w->go == call) {
		want.word[RAX] = (unsigned long)w->result;
		want.word[RCX] = (unsigned long)call_end;
		want.word[R11] = before.word[FLAGS];
	}
	if (w->go == int80)
		want.word[RAX] = (unsigned long)w->result;
	if (w->go == compat || w->go == sysenter) {
		unsigned long stack = before.word[w->go == compat ? RSP : RBP];
		int readable = stack == (unsigned long)compat_stack;
		want.word[RAX] = readable ? (unsigned long)w->result : -(unsigned long)EFAULT;
		want.word[RSP] = stack;
		if (w->go == sysenter)
			want.word[RBP] = (unsigned)before.word[RCX];
		if (readable)
			want.word[RBP] = compat_stack[0];
		want.word[RCX] = after.word[RCX]; /* the vDSO restores it */
		want.word[R11] = before.word[FLAGS] & ~(unsigned long)TF;
		after.word[R11] &= ~(unsigned long)TF;
	}
	if (w->go == spin)
		want.word[RCX] = 0;
	for (int i = 0; i < WORDS; i++)
		if (want.word[i] != after.word[i])
			wrong++, printf("%s changed %s: %lx, not %lx\n", w->name, names[i], after.word[i], want.word[i]);
	for (int i = 0; i < 16; i++)
		if (memcmp(want.vector[i], after.vector[i], 32))
			wrong++, printf("%s changed ymm%d\n", w->name, i);
	if (memcmp(want.x87, after.x87, 10))
		wrong++, printf("%s changed st0\n", w->name);
	if (want.mxcsr != after.mxcsr)
		wrong++, printf("%s changed mxcsr\n", w->name);
	return wrong;
}

static int go(const struct way *w, long round)
{
	fill(w, round);
	w->go();
	return compare(w);
}

/* Makes calls with the recorder on and with RDTSC forbidden: both are duties, so the
 * kernel leaves its fast path. */
static int with_duties(const struct way *w, long round)
{
	int record = (int)MUST(open("/proc/slowpath/record", O_WRONLY));
	MUST(write(record, "1\n", 2));
	int wrong = go(w, round);
	MUST(write(record, "0\n", 2));
	close(record);
	MUST(prctl(PR_SET_TSC, PR_TSC_SIGSEGV));
	wrong += go(w, round);
	MUST(sched_yield());
	wrong += go(w, round);
	MUST(prctl(PR_SET_TSC, PR_TSC_ENABLE));
	return wrong;
}

static int all_ways(long round)
{
	char buffer[16] = {0};
	struct timespec nap = {0, 1000};
	struct pollfd silent = {ends_silent[0], POLLIN, -1};
	char *fresh = (char *)MUST(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	const struct way ways[] = {
		{"getppid", call, SYS_getppid, 0, 0, 0, parent, 0},
		{"no such call", call, 100000, 0, 0, 0, -ENOSYS, 0},
		{"sched_yield", call, SYS_sched_yield, 0, 0, 0, 0, 0},
		{"write", call, SYS_write, ends[1], (long)names, 11, 11, 0},
		{"read", call, SYS_read, ends[0], (long)buffer, 11, 11, 0},
		{"a bad pointer", call, SYS_write, ends[1], 0x10000, 11, -EFAULT, 0},
		{"nanosleep", call, SYS_nanosleep, (long)&nap, 0, 0, 0, 0},
		{"poll", call, SYS_poll, (long)&silent, 1, 1, 0, 0}, /* the other process runs before the result is stored */
		{"a signal", call, SYS_tgkill, getpid(), gettid(), SIGUSR1, 0, 0},
		{"a stepped call", call, SYS_getppid, 0, 0, 0, parent, TF},
		{"a page fault", touch, 0, 0, 0, (long)fresh, 0, 0},
		{"interrupts", spin, 0, 0, 0, 0, 0, 0},
		{"INT3", trap, 0, 0, 0, 0, 0, 0},
		{"UD2", undefined, 0, 0, 0, 0, 0, 0},
		{"INT 0x80", int80, 64, 0, 0, 0, parent, 0},
		{"INT 0x80 without a call", int80, 100000, 0, 0, 0, -ENOSYS, 0},
		{"SYSCALL in 32-bit code", compat, 64, 0, 0, 0, parent, 0},
		{"SYSENTER", sysenter, 64, 0, 0, 0, parent, 0},
		{"a stepped SYSENTER", sysenter, 64, 0, 0, 0, parent, TF},
	};
	int wrong = 0;
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
		wrong += go(&ways[i], round);
	wrong += with_duties(&ways[0], round);
	wrong += with_duties(&ways[15], round);
	wrong += with_duties(&ways[17], round);
	if (memcmp(buffer, names, 11) || silent.revents || fresh[0] != 1 || fresh[1])
		wrong++, puts("memory changed");
	MUST(munmap(fresh, 8192));
	return wrong;
}

/* Sleeps during the first 20 ms of each 100 ms. All threads sleep at the same time,
 * so that the CPUs become idle. */
static void rest(void)
{
	struct timespec now;
	MUST(clock_gettime(CLOCK_MONOTONIC, &now));
	if (now.tv_nsec % 100000000 > 20000000)
		return;
	now.tv_nsec += 20000000 - now.tv_nsec % 100000000;
	MUST(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &now, NULL));
}

/* Prints the kernel's counts of NMIs. */
static void count_nmis(void)
{
	char text[128];
	int fd = (int)MUST(open("/proc/slowpath/nmi", O_RDONLY));
	MUST(write(1, text, (size_t)MUST(read(fd, text, sizeof text))));
	close(fd);
}

/* Enters the kernel in all ways, at least once, until stop is set. The argument points
 * to the number of errors. */
static void *checks(void *argument)
{
	long *wrong = argument, rounds = 0;
	stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
	MUST(sigaltstack(&stack, NULL));
	do {
		rest();
		*wrong += all_ways(rounds++);
	} while (!*stop);
	return NULL;
}

static long of_threads(int count)
{
	pthread_t ids[8];
	long wrong[8] = {0}, all = 0;
	for (int i = 0; i < count; i++)
		pthread_create(&ids[i], NULL, checks, &wrong[i]);
	for (int i = 0; i < count; i++)
		pthread_join(ids[i], NULL), all += wrong[i];
	return all;
}

/* Reads until the end of standard input and then sets stop. */
static void *await_end(void *argument)
{
	char line[16];
	while (MUST(read(0, line, sizeof line)))
		;
	*stop = 1;
	return argument;
}

/* Runs the checks in two processes. The argument is the number of threads of each. */
int main(int argc, char **argv)
{
	int status, threads = argc > 1 ? atoi(argv[1]) : 1;
	int signals[] = {SIGUSR1, SIGTRAP, SIGILL, SIGSEGV, SIGBUS};
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	pthread_t reader;
	setbuf(stdout, NULL);
	stop = (int *)MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		MUST(sigaction(signals[i], &action, NULL));
	MUST(pipe(ends));
	MUST(pipe(ends_silent));
	pid_t child = (pid_t)MUST(fork());
	parent = getppid();
	if (child == 0)
		return of_threads(threads) != 0;
	pthread_create(&reader, NULL, await_end, NULL);
	puts("ready");
	long wrong = of_threads(threads);
	MUST(waitpid(child, &status, 0));
	printf("the other process: %d\n", status);
	count_nmis();
	puts(wrong || status ? "something changed" : "nothing changed");
	return wrong || status ? 1 : 8;
}
