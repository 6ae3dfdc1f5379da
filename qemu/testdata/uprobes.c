/* Puts probes on its own instructions, and does to them what programs, signals, tracers and
 * the memory calls can do. It prints the same as on Linux, but for the lines of ours(), which
 * Linux gets wrong. */
#include "report.h"
#include "uprobe.h"
#include <pthread.h>
#include <setjmp.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/user.h>
#include <ucontext.h>

#define CODE(name, body) extern char name[]; __asm__(".pushsection .text\n.type " #name ",@function\n" #name ":\n" body "\nret\n.size " #name ",.-" #name "\n.popsection")

/* Instructions that only the CPU can execute: a multiplication, one relative to RIP, one
 * with memory, a string instruction, one of vectors. */
CODE(times, "imul %rsi, %rdi\n mov %rdi, %rax");
CODE(variable, "imul factor(%rip), %edi\n mov %edi, %eax");
CODE(load, "imul (%rdi), %esi\n mov %esi, %eax");
CODE(copy, "mov %rdx, %rcx\ncopying: rep movsb");
CODE(vector, "movq %rdi, %xmm0\nadding: paddq %xmm0, %xmm0\n movq %xmm0, %rax");
CODE(divide, "mov %rdi, %rax\n cqo\ndividing: idiv %rsi");
CODE(nothing, "nop");
CODE(parent, "mov $110, %eax\ncalling: syscall");
CODE(any_call, "mov %rdi, %rax\n mov %rsi, %rdi\n mov %rdx, %rsi\n mov %rcx, %rdx\nany_calling: syscall");
CODE(mixed, "nop\n push %rbx\n imul %rdi, %rdi\n pushfq\n pop %rbx\n mov $110, %eax\nmixed_call: syscall\n mov $3, %ecx\n lea buffer(%rip), %rsi\n lea buffer(%rip), %rdi\nmixed_rep: rep movsb\n pushfq\n popfq\n pop %rbx\n jmp 1f\n nop\n1: lea 1(%rdi), %rax");
extern char copying[], adding[], dividing[], calling[], any_calling[], mixed_call[], mixed_rep[];
static char buffer[1 << 20] __attribute__((aligned(4096))), target[1 << 20] __attribute__((aligned(4096)));
int factor = 7;

typedef long (*function)(long, long, long, long);
#define CALL(name, ...) ((function)name)(__VA_ARGS__)

static long counted(int event)
{
	long n = count_of(event);
	close(event);
	return n;
}

static void instructions(void)
{
	int e[] = {MUST(probe(times, ENTRY)), MUST(probe(variable, ENTRY)), MUST(probe(load, ENTRY)), MUST(probe(copying, ENTRY)), MUST(probe(adding, ENTRY)), MUST(probe(dividing, ENTRY))};
	int value = 6;
	for (int i = 0; i < 200; i++)
		if (CALL(times, i, 3, 0, 0) != 3 * i || CALL(variable, i, 0, 0, 0) != 7 * i || CALL(load, (long)&value, i, 0, 0) != 6 * i || CALL(vector, i, 0, 0, 0) != 2 * i || CALL(divide, i, 3, 0, 0) != i / 3)
			printf("instruction %d is wrong\n", i);
	memset(buffer, 'x', sizeof buffer);
	CALL(copy, (long)target, (long)buffer, sizeof buffer, 0);
	HOLDS(memcmp(buffer, target, sizeof buffer) == 0);
	for (int i = 0; i < 6; i++)
		printf("%ld ", counted(e[i]));
	printf("hits\n");
}

static volatile long faults, wrong;
static volatile unsigned long fault_at, expected_rip;
static void *page;

static void on_fault(int s, siginfo_t *info, void *context)
{
	ucontext_t *c = context;
	faults++;
	fault_at = (unsigned long)info->si_addr;
	if (c->uc_mcontext.gregs[REG_RIP] != (greg_t)expected_rip)
		wrong++;
	if (s == SIGFPE)
		c->uc_mcontext.gregs[REG_RSI] = 5;
	else
		mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

static void handle(int s, void (*f)(int, siginfo_t *, void *), int flags)
{
	struct sigaction a = {.sa_sigaction = f, .sa_flags = SA_SIGINFO | flags};
	MUST(sigaction(s, &a, NULL));
}

static void faulting(void)
{
	handle(SIGSEGV, on_fault, 0), handle(SIGFPE, on_fault, 0);
	page = (void *)MUST(mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	int e = MUST(probe(load, ENTRY));
	expected_rip = (unsigned long)load;
	long result = CALL(load, (long)page, 3, 0, 0);
	printf("load %ld, faults %ld, si_addr right %d, RIP wrong %ld, hits %lld\n", result, faults, fault_at == (unsigned long)page, wrong, count_of(e));
	void *fresh = (void *)MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	long long before = count_of(e);
	CALL(load, (long)fresh, 3, 0, 0);
	printf("a page that is faulted in counts %lld\n", count_of(e) - before);
	close(e);
	e = MUST(probe(dividing, ENTRY));
	expected_rip = (unsigned long)dividing;
	faults = wrong = 0;
	result = CALL(divide, 10, 0, 0, 0);
	printf("divide %ld, faults %ld, RIP wrong %ld, hits %ld\n", result, faults, wrong, counted(e));
}

static volatile long ticks_seen, in_slot;
static void on_tick(int s, siginfo_t *info, void *context)
{
	unsigned long rip = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	(void)s, (void)info;
	ticks_seen++;
	if (rip >= 0x7ffffffff000 - 4096 * 16) /* [uprobes] is at the top */
		in_slot++;
}

static void interrupted(void)
{
	handle(SIGALRM, on_tick, SA_RESTART);
	int e[] = {MUST(probe(copying, ENTRY)), MUST(probe(times, ENTRY)), MUST(probe(nothing, ENTRY)), MUST(probe(calling, ENTRY))};
	int in_handler[] = {MUST(probe(on_tick, ENTRY)), MUST(probe(on_tick, RETURN))};
	struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
	MUST(setitimer(ITIMER_REAL, &often, NULL));
	long rounds = 0;
	for (; ticks_seen < 50; rounds++) {
		CALL(copy, (long)target, (long)buffer, 200000, 0);
		if (CALL(times, rounds, 2, 0, 0) != 2 * rounds || CALL(parent, 0, 0, 0, 0) != getppid())
			wrong++;
		CALL(nothing, 0, 0, 0, 0);
	}
	MUST(setitimer(ITIMER_REAL, &never, NULL));
	long n[4], missed = ticks_seen - counted(in_handler[0]), unreturned = ticks_seen - counted(in_handler[1]);
	for (int i = 0; i < 4; i++)
		n[i] = counted(e[i]) - rounds;
	printf("signals during steps: too many hits %ld %ld %ld %ld, in a slot %ld, missed in the handler %ld %ld\n", n[0], n[1], n[2], n[3], in_slot, missed, unreturned);
}

static void syscalls(void)
{
	int e = MUST(probe(any_calling, ENTRY));
	HOLDS(CALL(any_call, SYS_getppid, 0, 0, 0) == getppid());
	HOLDS(CALL(any_call, 1000, 0, 0, 0) == -ENOSYS);
	int status = -1, p[2];
	pid_t child = CALL(any_call, SYS_fork, 0, 0, 0);
	if (child == 0)
		CALL(any_call, SYS_exit_group, 5, 0, 0);
	MUST(waitpid(child, &status, 0));
	printf("a child of a probed fork ended with %x\n", status);
	child = MUST(fork());
	if (child == 0) {
		char *arguments[] = {"uprobes", "executed", NULL};
		fflush(stdout);
		CALL(any_call, SYS_execve, (long)"/proc/self/exe", (long)arguments, (long)(arguments + 2));
		_exit(98);
	}
	MUST(waitpid(child, &status, 0));
	printf("a probed execve ended with %x\n", status);
	MUST(pipe(p));
	handle(SIGALRM, on_tick, SA_RESTART);
	ticks_seen = 0;
	struct itimerval often = {{0, 20000}, {0, 20000}}, never = {{0, 0}, {0, 0}};
	if ((child = MUST(fork())) == 0) {
		usleep(200000);
		MUST(write(p[1], "x", 1));
		_exit(0);
	}
	MUST(setitimer(ITIMER_REAL, &often, NULL));
	char c = 0;
	long result = CALL(any_call, SYS_read, p[0], (long)&c, 1);
	MUST(setitimer(ITIMER_REAL, &never, NULL));
	MUST(waitpid(child, &status, 0));
	printf("a restarted read: %ld %c, interrupted %d\n", result, c, ticks_seen > 2);
	close(e), close(p[0]), close(p[1]);
}

static volatile long traps;
static unsigned long trap_at[64];
static void on_trap(int s, siginfo_t *info, void *context)
{
	(void)s, (void)info;
	if (traps < 64)
		trap_at[traps] = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	traps++;
}

/* Runs mixed with TF, and returns a checksum of the addresses of its traps. */
static unsigned long own_steps(void)
{
	traps = 0;
	long result;
	__asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; call mixed; pushfq; andl $~0x100, (%%rsp); popfq" : "=a"(result) : : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
	unsigned long sum = traps;
	for (int i = 0; i < traps && i < 64; i++)
		if (trap_at[i] >= (unsigned long)mixed && trap_at[i] < (unsigned long)mixed + 100)
			sum = sum * 31 + trap_at[i] - (unsigned long)mixed;
	return sum;
}

enum { MIXED_MAX = 100 };

/* Puts probes on all instructions of mixed. Returns their number. */
static int probe_mixed(int *events)
{
	static const int offsets[] = {0, 1, 2, 6, 7, 8};
	int n = 0;
	for (unsigned i = 0; i < sizeof offsets / sizeof *offsets; i++)
		events[n++] = MUST(probe(mixed + offsets[i], ENTRY));
	events[n++] = MUST(probe(mixed_call, ENTRY));
	events[n++] = MUST(probe(mixed_call + 2, ENTRY));
	events[n++] = MUST(probe(mixed_rep, ENTRY));
	events[n++] = MUST(probe(mixed_rep + 2, ENTRY));
	events[n++] = MUST(probe(mixed_rep + 3, ENTRY));
	events[n++] = MUST(probe(mixed_rep + 4, ENTRY));
	events[n++] = MUST(probe(mixed_rep + 5, ENTRY));
	return n;
}

static void close_all(int *events, int n)
{
	while (n > 0)
		close(events[--n]);
}

static void own_trap_flag(void)
{
	int events[MIXED_MAX];
	handle(SIGTRAP, on_trap, 0);
	unsigned long plain = own_steps();
	int n = probe_mixed(events);
	unsigned long probed = own_steps();
	close_all(events, n);
	HOLDS(plain == probed);
	signal(SIGTRAP, SIG_DFL);
}

/* A traced child calls mixed; the tracer steps through it and sums up the addresses. */
static unsigned long traced_steps(int probed)
{
	pid_t child = MUST(fork());
	int status;
	if (child == 0) {
		int events[MIXED_MAX];
		if (probed)
			probe_mixed(events);
		MUST(ptrace(PTRACE_TRACEME, 0, 0, 0));
		raise(SIGSTOP);
		CALL(mixed, 3, 0, 0, 0);
		_exit(3);
	}
	MUST(waitpid(child, &status, 0));
	unsigned long sum = 0, inside = 0;
	for (int i = 0; i < 3000; i++) {
		struct user_regs_struct r;
		MUST(ptrace(PTRACE_SINGLESTEP, child, 0, 0));
		MUST(waitpid(child, &status, 0));
		if (!WIFSTOPPED(status))
			break;
		MUST(ptrace(PTRACE_GETREGS, child, 0, &r));
		if (r.rip >= (unsigned long)mixed && r.rip < (unsigned long)mixed + 100) {
			inside++;
			sum = sum * 31 + r.rip - (unsigned long)mixed + WSTOPSIG(status) * 1000;
		}
	}
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	return sum * 100 + inside;
}

static void tracer(void)
{
	unsigned long plain = traced_steps(0), probed = traced_steps(1);
	printf("steps of a tracer: %lu and %lu, equal %d\n", plain % 100, probed % 100, plain == probed);
}

/* A debugger's breakpoint on a probed instruction. */
static void debugger(void)
{
	pid_t child = MUST(fork());
	int status;
	if (child == 0) {
		MUST(ptrace(PTRACE_TRACEME, 0, 0, 0));
		raise(SIGSTOP);
		for (;;)
			CALL(nothing, 0, 0, 0, 0);
	}
	MUST(waitpid(child, &status, 0));
	struct perf_event_attr attr = probe_attributes("/proc/self/exe", file_offset(nothing), ENTRY);
	long plain = MUST(ptrace(PTRACE_PEEKTEXT, child, nothing, 0));
	int e = MUST(perf_open(&attr, child, -1, -1, 0));
	long shown = MUST(ptrace(PTRACE_PEEKTEXT, child, nothing, 0));
	printf("PEEK shows %lx, then %lx\n", plain & 0xff, shown & 0xff);
	close(e);
	printf("afterwards %d\n", plain == MUST(ptrace(PTRACE_PEEKTEXT, child, nothing, 0)));
	MUST(ptrace(PTRACE_POKETEXT, child, nothing, (plain & ~0xffL) | 0xcc));
	e = MUST(perf_open(&attr, child, -1, -1, 0));
	MUST(ptrace(PTRACE_CONT, child, 0, 0));
	MUST(waitpid(child, &status, 0));
	struct user_regs_struct r;
	MUST(ptrace(PTRACE_GETREGS, child, 0, &r));
	printf("ours: the debugger's breakpoint stops with %d at %ld\n", WSTOPSIG(status), (long)r.rip - (long)nothing);
	MUST(ptrace(PTRACE_POKETEXT, child, nothing, plain));
	r.rip--;
	MUST(ptrace(PTRACE_SETREGS, child, 0, &r));
	long long before = count_of(e);
	MUST(ptrace(PTRACE_SINGLESTEP, child, 0, 0));
	MUST(waitpid(child, &status, 0));
	MUST(ptrace(PTRACE_GETREGS, child, 0, &r));
	printf("ours: a step over it stops with %d at %ld, hits %lld\n", WSTOPSIG(status), (long)r.rip - (long)nothing, count_of(e) - before);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	close(e);
}

static void *copier(void *p)
{
	for (;;)
		CALL(copy, (long)target, (long)buffer, sizeof buffer, 0);
	return p;
}

static void dying(void)
{
	for (int round = 0; round < 20; round++) {
		int status = IN_A_CHILD({
			pthread_t t[4];
			probe(copying, ENTRY);
			struct perf_event_attr attr = probe_attributes("/proc/self/exe", file_offset(copying), ENTRY);
			attr.inherit = 1;
			perf_open(&attr, 0, -1, -1, 0);
			for (int i = 0; i < 4; i++)
				pthread_create(&t[i], NULL, copier, NULL);
			usleep(2000);
			if (round % 2)
				kill(getpid(), SIGKILL);
		});
		if (status != (round % 2 ? SIGKILL : 7 << 8))
			printf("round %d ended with %x\n", round, status);
	}
	printf("threads died in their steps\n");
}

static void memory(void)
{
	int e = MUST(probe(times, ENTRY));
	void *start = (void *)((unsigned long)times & -4096);
	MUST(mprotect(start, 8192, PROT_READ | PROT_WRITE | PROT_EXEC));
	CALL(times, 2, 3, 0, 0);
	MUST(mprotect(start, 8192, PROT_READ | PROT_EXEC));
	CALL(times, 2, 3, 0, 0);
	printf("after mprotect %lld\n", count_of(e));
	char path[] = "/tmp/uprobes.XXXXXX";
	int fd = MUST(mkstemp(path));
	unsigned char code[4096] = {0x0f, 0xaf, 0xfe, 0x89, 0xf8, 0xc3}; /* imul %esi, %edi; mov %edi, %eax; ret */
	MUST(write(fd, code, sizeof code));
	char *a = (char *)MUST(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0));
	struct perf_event_attr attr = probe_attributes(path, 0, ENTRY);
	int f = MUST(perf_open(&attr, 0, -1, -1, 0));
	HOLDS(CALL(a, 6, 7, 0, 0) == 42);
	char *b = (char *)MUST(mremap(a, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, a + (1 << 24)));
	HOLDS(CALL(b, 6, 7, 0, 0) == 42);
	MUST(madvise(b, 4096, MADV_DONTNEED));
	HOLDS(CALL(b, 6, 7, 0, 0) == 42);
	MUST(munmap(b, 4096));
	a = (char *)MUST(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0));
	char *s = (char *)MUST(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0));
	HOLDS(CALL(a, 6, 7, 0, 0) == 42);
	HOLDS(CALL(s, 6, 7, 0, 0) == 42);
	printf("a file of its own: %lld hits, shared byte %x, private byte %x\n", count_of(f), (unsigned char)*s, (unsigned char)*a);
	MUST(ftruncate(fd, 0));
	handle(SIGBUS, on_fault, SA_RESETHAND);
	close(f);
	printf("after the truncation status %x\n", IN_A_CHILD(signal(SIGBUS, SIG_DFL); CALL(a, 6, 7, 0, 0)));
	close(fd), unlink(path), close(e);
}

/* Return probes. */
static jmp_buf away;
static __attribute__((noipa)) long recursive(long n)
{
	long below = n == 0 ? -1 : recursive(n - 1);
	__asm__ volatile("" : "+r"(below));
	return below + 1;
}

static __attribute__((noipa)) long jumps(long n)
{
	__asm__ volatile("" ::: "memory");
	if (n == 0)
		longjmp(away, 1);
	long below = jumps(n - 1);
	__asm__ volatile("" : "+r"(below));
	return below + 1;
}

static __attribute__((noipa)) long leaf(long n)
{
	__asm__ volatile("" ::: "memory");
	return n + 1;
}

static __attribute__((noipa)) long tail(long n)
{
	__asm__ volatile("" ::: "memory");
	return leaf(n);
}

/* A function without a symbol's type and extent. Its return address is replaced. */
extern char unknown[], unknown_tail[], unknown_deep[];
__asm__(".pushsection .text\nunknown: imul %rdi, %rdi\n mov %rdi, %rax\n ret\nunknown_tail: inc %rdi\n jmp unknown\nunknown_deep: test %rdi, %rdi\n jz 1f\n dec %rdi\n sub $8, %rsp\n call unknown_deep\n add $8, %rsp\n1: mov %rdi, %rax\n ret\n.popsection");

static void returns(void)
{
	int e[] = {MUST(probe(recursive, RETURN)), MUST(probe(jumps, RETURN)), MUST(probe(leaf, RETURN)), MUST(probe(unknown, RETURN)), MUST(probe(unknown_tail, RETURN)), MUST(probe(unknown_deep, RETURN))};
	for (int i = 0; i < 100; i++) {
		if (recursive(20) != 20 || tail(i) != i + 1 || CALL(unknown, i, 0, 0, 0) != i * i || CALL(unknown_tail, i, 0, 0, 0) != (i + 1) * (i + 1))
			printf("return %d is wrong\n", i);
		if (setjmp(away) == 0)
			jumps(10);
	}
	CALL(unknown_deep, 50, 0, 0, 0);
	printf("child of replaced returns: %x\n", IN_A_CHILD(CALL(unknown, 2, 0, 0, 0)));
	for (int i = 0; i < 6; i++)
		printf("%ld ", counted(e[i]));
	printf("returns\n");
}

static ucontext_t main_context, other_context;
static char other_stack[65536];
static void other(void) { CALL(unknown, 5, 0, 0, 0); swapcontext(&other_context, &main_context); CALL(unknown, 6, 0, 0, 0); }

static void stacks(void)
{
	int e = MUST(probe(unknown, RETURN)), deep = MUST(probe(unknown_deep, RETURN));
	getcontext(&other_context);
	other_context.uc_stack.ss_sp = other_stack, other_context.uc_stack.ss_size = sizeof other_stack;
	other_context.uc_link = &main_context;
	makecontext(&other_context, other, 0);
	swapcontext(&main_context, &other_context);
	CALL(unknown, 7, 0, 0, 0);
	swapcontext(&main_context, &other_context);
	printf("%ld returns on two stacks\n", counted(e));
	CALL(unknown_deep, 100, 0, 0, 0);
	printf("%ld of 101 nested returns\n", counted(deep));
}

static unsigned short semaphore __attribute__((section(".data"), aligned(2)));

static void counters(void)
{
	struct perf_event_attr attr = probe_attributes("/proc/self/exe", file_offset(nothing), ENTRY);
	unsigned long at = file_offset(&semaphore);
	attr.config |= at << 32;
	volatile unsigned short *s = &semaphore;
	int before = *s, e = MUST(perf_open(&attr, 0, -1, -1, 0)), with = *s;
	printf("a child has %x\n", IN_A_CHILD(_exit(*s)));
	close(e);
	printf("semaphore %d %d %d\n", before, with, *s);
}

static void *adder(void *p)
{
	for (int i = 0; i < 300; i++) {
		struct perf_event_attr attr = probe_attributes("/proc/self/exe", file_offset(i % 2 ? times : nothing), ENTRY);
		int e = perf_open(&attr, -1, 0, -1, 0);
		if (e >= 0)
			close(e);
	}
	return p;
}

static volatile int stop;
static void *caller(void *p)
{
	long n = 0;
	for (; !stop; n++) {
		if (CALL(times, n, 2, 0, 0) != 2 * n)
			wrong++;
		CALL(nothing, 0, 0, 0, 0);
	}
	return p;
}

static void add_and_remove(void)
{
	pthread_t t[4];
	unsigned char before[16], after[16];
	memcpy(before, times, 16);
	wrong = 0;
	for (int i = 0; i < 2; i++)
		MUST(-pthread_create(&t[i], NULL, adder, NULL));
	for (int i = 2; i < 4; i++)
		MUST(-pthread_create(&t[i], NULL, caller, NULL));
	pthread_join(t[0], NULL), pthread_join(t[1], NULL);
	stop = 1;
	pthread_join(t[2], NULL), pthread_join(t[3], NULL);
	memcpy(after, times, 16);
	printf("added and removed: wrong %ld, code equal %d\n", wrong, memcmp(before, after, 16) == 0);
}

/* More threads than slots execute out of line at the same time. */
static void *crowd_member(void *p)
{
	char *from = malloc(65536), *to = malloc(65536);
	for (int i = 0; i < 20; i++) {
		memset(from, (int)(long)p + i, 65536);
		CALL(copy, (long)to, (long)from, 65536, 0);
		if (memcmp(from, to, 65536) != 0)
			__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
	}
	free(from), free(to);
	return p;
}

/* Unmaps the page of the slots. Returns 1 if there was one. */
static int unmap_slots(void)
{
	unsigned long start, end;
	char line[512];
	int found = 0;
	FILE *maps = fopen("/proc/self/maps", "r");
	while (maps && fgets(line, sizeof line, maps))
		if (strstr(line, "[uprobes]") && sscanf(line, "%lx-%lx --xp", &start, &end) == 2) {
			found = 1;
			munmap((void *)start, end - start);
		}
	if (maps)
		fclose(maps);
	return found;
}

static void crowd(void)
{
	pthread_t t[100];
	int e = MUST(probe(copying, ENTRY)), f = MUST(probe(times, ENTRY));
	wrong = 0;
	for (long i = 0; i < 100; i++)
		MUST(-pthread_create(&t[i], NULL, crowd_member, (void *)i));
	for (int i = 0; i < 100; i++)
		pthread_join(t[i], NULL);
	CALL(times, 1, 2, 0, 0);
	int found = unmap_slots();
	long result = CALL(times, 6, 7, 0, 0);
	printf("a crowd: wrong %ld; without the page of slots %ld, found %d, hits %ld\n", wrong, result, found, count_of(f));
	close(e), close(f);
}

static void refused(void)
{
	static const unsigned char code[][4] = {{0xcc}, {0xf4}, {0xcd, 0x80}, {0xf1}, {0x06}, {0xcf}};
	char path[] = "/tmp/uprobes.XXXXXX";
	int fd = MUST(mkstemp(path));
	for (unsigned i = 0; i < sizeof code / sizeof *code; i++) {
		char bytes[4096] = {0};
		memcpy(bytes, code[i], 4);
		MUST(pwrite(fd, bytes, sizeof bytes, i * 4096));
	}
	void *m = (void *)MUST(mmap(NULL, sizeof code / sizeof *code * 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0));
	for (unsigned i = 0; i < sizeof code / sizeof *code; i++) {
		struct perf_event_attr attr = probe_attributes(path, i * 4096, ENTRY);
		int e = perf_open(&attr, 0, -1, -1, 0);
		printf("byte %x: %d\n", code[i][0], e < 0 ? errno : 0);
		if (e >= 0)
			close(e);
	}
	(void)m;
	close(fd), unlink(path);
}

/* The long test: probes come and go on code that threads and children execute. */
static const struct { void *code; enum probe_kind kind; } places[] = {
	{times, ENTRY}, {nothing, ENTRY}, {calling, ENTRY}, {copying, ENTRY}, {adding, ENTRY},
	{recursive, RETURN}, {leaf, RETURN}, {unknown, RETURN}, {unknown_tail, RETURN}, {mixed_rep, ENTRY},
};

static void *soak_adder(void *seed)
{
	unsigned n = (unsigned)(long)seed;
	int open[8] = {-1, -1, -1, -1, -1, -1, -1, -1};
	while (!stop) {
		int slot = rand_r(&n) % 8, place = rand_r(&n) % (int)(sizeof places / sizeof *places);
		if (open[slot] >= 0)
			close(open[slot]);
		struct perf_event_attr attr = probe_attributes("/proc/self/exe", file_offset(places[place].code), places[place].kind);
		open[slot] = perf_open(&attr, -1, rand_r(&n) % 2, -1, 0);
	}
	for (int i = 0; i < 8; i++)
		if (open[i] >= 0)
			close(open[i]);
	return seed;
}

/* Calls every function once, and counts what is wrong. */
static void call_all(long n)
{
	char from[64], to[64];
	memset(from, (int)n, sizeof from);
	CALL(copy, (long)to, (long)from, sizeof from, 0);
	long bad = CALL(times, n, 2, 0, 0) != 2 * n;
	bad += CALL(parent, 0, 0, 0, 0) != getppid();
	bad += CALL(vector, n, 0, 0, 0) != 2 * n;
	bad += memcmp(from, to, sizeof from) != 0;
	bad += recursive(5) != 5;
	bad += tail(n) != n + 1;
	bad += CALL(unknown_tail, n % 1000, 0, 0, 0) != (n % 1000 + 1) * (n % 1000 + 1);
	CALL(nothing, 0, 0, 0, 0);
	CALL(mixed, 3, 0, 0, 0);
	if (bad)
		__atomic_add_fetch(&wrong, bad, __ATOMIC_RELAXED);
}

static void *soak_caller(void *p)
{
	for (long n = 0; !stop; n++)
		call_all(n);
	return p;
}

static void *soak_forker(void *p)
{
	while (!stop) {
		int status = 0;
		pid_t child = fork();
		if (child == 0) {
			for (int i = 0; i < 20; i++)
				call_all(i);
			_exit(wrong != 0);
		}
		if (child > 0 && waitpid(child, &status, 0) == child && status != 0) {
			printf("a child ended with %x\n", status);
			__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
		}
	}
	return p;
}

static void *soak_protector(void *p)
{
	void *page = (void *)((unsigned long)times & -4096);
	while (!stop) {
		mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
		mprotect(page, 4096, PROT_READ | PROT_EXEC);
		madvise(page, 4096, MADV_DONTNEED);
		usleep(1000);
	}
	return p;
}

static long free_kilobytes(void)
{
	long n = -1;
	char line[128];
	FILE *file = fopen("/proc/meminfo", "r");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "MemFree: %ld", &n) == 1)
			break;
	if (file)
		fclose(file);
	return n;
}

static void on_any_trap(int s) { (void)s; __atomic_add_fetch(&traps, 1, __ATOMIC_RELAXED); }

static void soak_round(int seconds)
{
	void *(*threads[])(void *) = {soak_adder, soak_adder, soak_caller, soak_caller, soak_forker, soak_protector};
	enum { THREADS = sizeof threads / sizeof *threads };
	pthread_t t[THREADS];
	stop = 0;
	for (int i = 0; i < THREADS; i++)
		MUST(-pthread_create(&t[i], NULL, threads[i], (void *)(long)(i + 1)));
	sleep(seconds);
	stop = 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
}

static int soak(int seconds)
{
	static unsigned char before[1024], after[1024];
	wrong = traps = 0;
	memcpy(before, times, sizeof before);
	signal(SIGTRAP, on_any_trap);
	soak_round(seconds / 4 + 1);
	long first = free_kilobytes();
	soak_round(seconds);
	long lost = first - free_kilobytes();
	memcpy(after, times, sizeof after);
	printf("wrong %ld, traps %ld, code equal %d, kilobytes lost > 8192: %d\n", wrong, traps, memcmp(before, after, sizeof before) == 0, lost > 8192);
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && strcmp(argv[1], "executed") == 0) {
		printf("executed\n");
		return 4;
	}
	if (argc > 2 && strcmp(argv[1], "soak") == 0)
		return soak(atoi(argv[2]));
	void (*tests[])(void) = {instructions, faulting, interrupted, syscalls, own_trap_flag, tracer, debugger, dying, memory, returns, stacks, counters, add_and_remove, crowd, refused};
	for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
		if (argc < 2 || atoi(argv[1]) == (int)i)
			tests[i]();
	return 0;
}
