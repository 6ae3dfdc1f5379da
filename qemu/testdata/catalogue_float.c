/* Checks the x87, XMM, YMM and MXCSR state of a task. It must survive calls,
 * interrupts and context switches. A signal handler starts with the initial state
 * and its end restores the old state. fork copies the state. No task may see
 * another's (CVE-2018-3665). */
#include "catalogue.h"
#include <cpuid.h>
#include <pthread.h>
#include <sched.h>

static int have_avx;

/* The whole state. fill derives it from one byte. */
struct state {
	unsigned char vectors[16][32];
	unsigned char x87[8][10];
	unsigned int mxcsr;
	unsigned short control;
};

#define EACH_VECTOR(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define LOAD_YMM(n) "vmovdqu " #n "*32(%0), %%ymm" #n "\n"
#define STORE_YMM(n) "vmovdqu %%ymm" #n ", " #n "*32(%0)\n"
#define LOAD_XMM(n) "movdqu " #n "*32(%0), %%xmm" #n "\n"
#define STORE_XMM(n) "movdqu %%xmm" #n ", " #n "*32(%0)\n"
#define VECTORS "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

static void fill(struct state *s, int seed)
{
	memset(s, 0, sizeof *s);
	for (int i = 0; i < 16; i++)
		memset(s->vectors[i], seed + i, have_avx ? 32 : 16);
	for (int i = 0; i < 8; i++) {
		memset(s->x87[i], seed + i, 8);
		s->x87[i][7] |= 0x80;
		s->x87[i][8] = 0xff, s->x87[i][9] = 0x3f;
	}
	s->mxcsr = 0x1f80 | (unsigned)(seed & 3) << 13;
	s->control = 0x37f | (seed & 3) << 10;
}

static __attribute__((always_inline)) inline void load(struct state *s)
{
	if (have_avx)
		__asm__ volatile(EACH_VECTOR(LOAD_YMM) : : "r"(s) : VECTORS);
	else
		__asm__ volatile(EACH_VECTOR(LOAD_XMM) : : "r"(s) : VECTORS);
	__asm__ volatile("fninit; fldcw %1; ldmxcsr %2\n"
			 "fldt 0(%0); fldt 10(%0); fldt 20(%0); fldt 30(%0); fldt 40(%0); fldt 50(%0); fldt 60(%0); fldt 70(%0)"
			 : : "r"(s->x87), "m"(s->control), "m"(s->mxcsr));
}

static __attribute__((always_inline)) inline void store(struct state *s)
{
	if (have_avx)
		__asm__ volatile(EACH_VECTOR(STORE_YMM) : : "r"(s) : "memory");
	else
		__asm__ volatile(EACH_VECTOR(STORE_XMM) : : "r"(s) : "memory");
	__asm__ volatile("stmxcsr %1; fnstcw %0" : "=m"(s->control), "=m"(s->mxcsr));
	__asm__ volatile("fstpt 70(%0); fstpt 60(%0); fstpt 50(%0); fstpt 40(%0); fstpt 30(%0); fstpt 20(%0); fstpt 10(%0); fstpt 0(%0)\n"
			 "fninit" : : "r"(s->x87) : "memory");
	__asm__ volatile("ldmxcsr %0" : : "m"((unsigned){0x1f80}));
}

/* A system call without the C library, which might use vector registers. */
static __attribute__((always_inline)) inline long raw(long number, long a, long b)
{
	long result;
	__asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(a), "S"(b) : "rcx", "r11", "memory");
	return result;
}

static void over_calls(void)
{
	static const struct { const char *name; long number; } calls[] = {
		{"getppid", SYS_getppid}, {"sched_yield", SYS_sched_yield}, {"no call", 1000}, {"read", SYS_read},
	};
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		struct state in, out;
		fill(&in, 16 * (int)i + 17);
		memset(&out, 0, sizeof out);
		load(&in);
		raw(calls[i].number, -1, 0);
		store(&out);
		printf("over %s: %s\n", calls[i].name, memcmp(&in, &out, sizeof in) ? "changed" : "kept");
	}
}

static void over_time(void)
{
	struct state in, out;
	struct timespec nap = {0, 3000000};
	fill(&in, 99);
	memset(&out, 0, sizeof out);
	load(&in);
	raw(SYS_nanosleep, (long)&nap, 0);
	for (volatile long i = 0; i < 5000000; i++) /* long enough for interrupts */
		;
	store(&out);
	printf("over a sleep and interrupts: %s\n", memcmp(&in, &out, sizeof in) ? "changed" : "kept");
}

static struct state in_handler;

static void change_state(int signal)
{
	(void)signal;
	__asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(in_handler.mxcsr), "=m"(in_handler.control));
	if (have_avx)
		__asm__ volatile("vzeroall");
	__asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm9, %%xmm9; fninit; fld1; fldz" : : : "memory");
	raw(SYS_sched_yield, 0, 0);
}

static void over_handlers(void)
{
	struct state in, out;
	signal(SIGUSR1, change_state);
	long pid = getpid();
	fill(&in, 51);
	memset(&out, 0, sizeof out);
	load(&in);
	raw(SYS_kill, pid, SIGUSR1);
	store(&out);
	printf("over a handler: %s; the handler began with MXCSR %x, control word %x\n",
	       memcmp(&in, &out, sizeof in) ? "changed" : "kept", in_handler.mxcsr, in_handler.control);
}

static void over_fork(void)
{
	static struct state in, out;
	int status;
	fill(&in, 73);
	load(&in);
	long pid = raw(SYS_fork, 0, 0);
	store(&out);
	if (pid == 0)
		_exit(memcmp(&in, &out, sizeof in) ? 1 : 0);
	MUST(waitpid((pid_t)pid, &status, 0));
	printf("over fork: %s, in the child %s\n", memcmp(&in, &out, sizeof in) ? "changed" : "kept", status ? "changed" : "the same");
}

static void *check_switches(void *argument)
{
	struct state in, out;
	long lost = 0;
	fill(&in, (int)(long)argument);
	for (int i = 0; i < 500; i++) {
		memset(&out, 0, sizeof out);
		load(&in);
		raw(SYS_sched_yield, 0, 0);
		store(&out);
		lost += memcmp(&in, &out, sizeof in) != 0;
	}
	return (void *)lost;
}

static void over_switches(void)
{
	pthread_t threads[6];
	long lost = 0;
	for (long i = 0; i < 6; i++)
		pthread_create(&threads[i], NULL, check_switches, (void *)(i * 37 + 1));
	for (int i = 0; i < 6; i++) {
		void *result;
		pthread_join(threads[i], &result);
		lost += (long)result;
	}
	printf("over switches: changed %ld times\n", lost);
}

/* A program must start with the initial state after execve. */
static void after_exec(char *self)
{
	int status;
	struct state in;
	fill(&in, 200);
	pid_t pid = MUST(fork());
	if (pid == 0) {
		char *arguments[] = {self, "fresh", NULL}, *environment[] = {NULL};
		load(&in);
		__asm__ volatile("syscall" : : "a"(SYS_execve), "D"(self), "S"(arguments), "d"(environment) : "rcx", "r11", "memory");
		_exit(99);
	}
	MUST(waitpid(pid, &status, 0));
	printf("after exec: %d\n", WEXITSTATUS(status));
}

/* An x87 exception becomes a signal. QEMU's emulation raises neither SSE exceptions
 * nor #GP for reserved bits of MXCSR. */
static void exceptions(void)
{
	ATTEMPT("fninit; pushq $0x37b; fldcw (%%rsp); addq $8, %%rsp; fld1; fldz; fdivrp; fwait");
	printf("x87: signal %d code %d\n", seen.signal, seen.code);
	__asm__ volatile("fninit");
}

int main(int argc, char **argv)
{
	unsigned a, b, c, d;
	setbuf(stdout, NULL);
	have_avx = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_AVX) && (c & bit_OSXSAVE);
	if (argc > 1) {
		struct state now;
		__asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(now.mxcsr), "=m"(now.control));
		return now.mxcsr == 0x1f80 && now.control == 0x37f ? 5 : 6;
	}
	keep_faults();
	over_calls();
	over_time();
	over_handlers();
	over_fork();
	over_switches();
	after_exec(argv[0]);
	exceptions();
	return 8;
}
