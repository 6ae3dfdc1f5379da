/* Executes single instructions twice, without and with a probe on each, and compares what they
 * leave: registers, flags, extended state, memory, and the signal.
 *
 * Standard input has the contents of the page of data, and then the cases. A case is the
 * length of the instruction, its bytes, 16 registers in the order of their numbers, and
 * RFLAGS. Each instruction has a slot in a file of code, between INT3 instructions. So every
 * case ends with a signal, and its handler records the state, and loads the state of the
 * next case into the frame that it returns to.
 *
 * Arguments, to find a case that the machine does not survive: the first case, the number of
 * cases. With the argument "invalid" it prints the numbers of the cases that this CPU refuses,
 * without probes. */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include "uprobe.h"

/* The test that makes the cases knows these numbers. */
#define CODE 0x10000000ul
#define DATA 0x20000000ul
enum { DATA_SIZE = 4096, SLOT = 64, PLACE = 24, FS_BASE = 0x100, GS_BASE = 0x200 };

enum { MAX_CASES = 20000, MAX_XSTATE = 2816, SHOWN = 40, INT3 = 0xcc };
static const char code_file[] = "/tmp/probediff.code";

struct test {
	uint8_t length, code[15];
	uint64_t registers[16], flags;
};

/* What an instruction leaves. */
struct state {
	uint64_t registers[NGREG], signal, code, address, fs_base, gs_base;
	uint8_t data[DATA_SIZE], xstate[MAX_XSTATE];
};

static struct test *tests;
static struct state *plain;          /* without probes, by the number of the case */
static struct state different[SHOWN]; /* with probes, those that differ */
static int different_case[SHOWN], differences;
static int *events, refused;
static uint8_t data_before[DATA_SIZE], xstate_before[MAX_XSTATE];
static size_t xstate_size;
static int count, current, first;
static enum { WITHOUT_PROBES, WITH_PROBES } phase;
static sigjmp_buf finished;
static uint64_t own_fs;

/* FS is not that of the C library while cases are executed: nothing that uses errno or other
 * thread-local data may be called. */
static void set_base(int which, uint64_t base)
{
	syscall(SYS_arch_prctl, which, base);
}

static uint64_t get_base(int which)
{
	uint64_t base;
	syscall(SYS_arch_prctl, which, &base);
	return base;
}

static void clear_flags(uint64_t flags)
{
	__asm__ volatile("pushf; notq %0; andq %0, (%%rsp); popf" : "+r"(flags) : : "cc", "memory");
}

static uint64_t slot_of(int n) { return CODE + (uint64_t)n * SLOT + PLACE; }

/* The kernel's words about the extended state are in bytes that XSAVE leaves (Linux:
 * struct _fpx_sw_bytes). */
static size_t size_in(const uint8_t *fpstate)
{
	uint32_t magic, size;
	memcpy(&magic, fpstate + 464, 4);
	memcpy(&size, fpstate + 464 + 16, 4);
	return magic == 0x46505853 && size <= MAX_XSTATE ? size : 512;
}

/* Puts values into XMM and, if the CPU has it, the upper half of YMM. */
static void make_xstate(const uint8_t *fpstate)
{
	xstate_size = size_in(fpstate);
	memcpy(xstate_before, fpstate, xstate_size);
	for (int n = 160; n < 416; n++)
		xstate_before[n] = n * 73 + (n >> 4);
	if (xstate_size >= 832) {
		xstate_before[512] |= 7;
		for (int n = 576; n < 832; n++)
			xstate_before[n] = n * 41 + (n >> 3);
	} else if (xstate_size > 512)
		xstate_before[512] |= 3;
}

static void record(struct state *s, int signal, siginfo_t *info, ucontext_t *context)
{
	memcpy(s->registers, context->uc_mcontext.gregs, sizeof s->registers);
	s->signal = signal;
	s->code = info->si_code;
	s->address = signal == SIGTRAP ? 0 : (uint64_t)info->si_addr;
	s->fs_base = get_base(ARCH_GET_FS);
	s->gs_base = get_base(ARCH_GET_GS);
	s->registers[REG_OLDMASK] = 0;
	if (s->registers[REG_TRAPNO] != 14)
		s->registers[REG_CR2] = 0;
	memcpy(s->data, (void *)DATA, DATA_SIZE);
	memcpy(s->xstate, context->uc_mcontext.fpregs, xstate_size);
	/* The addresses of the last x87 instruction and its operand: that of a slot. */
	memset(s->xstate + 6, 0, 18);
}

/* QEMU jumps to an address that is not canonical, and then faults. A CPU faults at the branch
 * (SDM vol. 2A, CALL, JMP), as the emulation of a probed branch does. */
static bool jumped_nowhere(const struct state *s)
{
	int64_t rip = s->registers[REG_RIP];
	return rip << 16 >> 16 != rip;
}

static void record_case(int signal, siginfo_t *info, ucontext_t *context)
{
	static struct state with;
	if (phase == WITHOUT_PROBES) {
		record(&plain[current], signal, info, context);
		return;
	}
	record(&with, signal, info, context);
	if (memcmp(&with, &plain[current], sizeof with) == 0 || jumped_nowhere(&plain[current]))
		return;
	if (differences < SHOWN) {
		different[differences] = with;
		different_case[differences] = current;
	}
	differences++;
}

/* Order of the registers' numbers. */
static const int greg_of[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static void load_case(ucontext_t *context)
{
	const struct test *t = &tests[current];
	greg_t *registers = context->uc_mcontext.gregs;
	for (int n = 0; n < 16; n++)
		registers[greg_of[n]] = t->registers[n];
	registers[REG_RIP] = slot_of(current);
	registers[REG_EFL] = t->flags;
	memcpy((void *)DATA, data_before, DATA_SIZE);
	memcpy(context->uc_mcontext.fpregs, xstate_before, xstate_size);
	set_base(ARCH_SET_FS, DATA + FS_BASE);
	set_base(ARCH_SET_GS, DATA + GS_BASE);
}

static __attribute__((optimize("no-stack-protector"))) void handle(int signal, siginfo_t *info, void *frame)
{
	ucontext_t *context = frame;
	enum { NT = 1 << 14, AC = 1 << 18, ID = 1 << 21 };
	clear_flags(NT | AC | ID);
	if (current < first) {
		if (phase == WITHOUT_PROBES)
			make_xstate((uint8_t *)context->uc_mcontext.fpregs);
	} else
		record_case(signal, info, context);
	if (++current < count) {
		load_case(context);
		return;
	}
	set_base(ARCH_SET_FS, own_fs);
	siglongjmp(finished, 1);
}

static void execute_all(void)
{
	current = first - 1;
	own_fs = get_base(ARCH_GET_FS);
	if (sigsetjmp(finished, 1) == 0)
		__asm__ volatile("int3");
}

static void *allocate(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	return memory;
}

static void read_cases(void)
{
	tests = allocate(sizeof *tests * MAX_CASES);
	if (fread(data_before, sizeof data_before, 1, stdin) != 1) {
		fputs("standard input has no cases\n", stderr);
		exit(2);
	}
	count = fread(tests, sizeof *tests, MAX_CASES, stdin);
	plain = allocate(sizeof *plain * count);
	events = allocate(sizeof *events * count);
}

static void map_memory(void)
{
	size_t size = (size_t)count * SLOT;
	uint8_t *code = allocate(size);
	memset(code, INT3, size);
	for (int n = 0; n < count; n++)
		memcpy(code + n * SLOT + PLACE, tests[n].code, tests[n].length);
	int fd = open(code_file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	if (fd < 0 || write(fd, code, size) != (ssize_t)size ||
	    mmap((void *)CODE, size, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, 0) == MAP_FAILED ||
	    mmap((void *)DATA, DATA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED) {
		perror(code_file);
		exit(2);
	}
	close(fd);
}

static void catch_signals(void)
{
	static const int signals[] = {SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
	stack_t stack = {.ss_sp = allocate(1 << 16), .ss_size = 1 << 16};
	struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	sigfillset(&action.sa_mask);
	sigaltstack(&stack, NULL);
	for (unsigned n = 0; n < sizeof signals / sizeof *signals; n++)
		sigaction(signals[n], &action, NULL);
}

static void print_code(int n)
{
	for (int b = 0; b < tests[n].length; b++)
		printf("%02x ", tests[n].code[b]);
}

/* Puts a probe on each instruction. */
static void add_probes(void)
{
	struct rlimit limit = {count + 64, count + 64};
	setrlimit(RLIMIT_NOFILE, &limit);
	for (int n = first; n < count; n++) {
		struct perf_event_attr attr = probe_attributes(code_file, slot_of(n) - CODE, ENTRY);
		events[n] = perf_open(&attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
		if (events[n] < 0 && refused++ < SHOWN) {
			print_code(n);
			printf("cannot be probed: %m\n");
		}
	}
}

static int wrong_counts(void)
{
	int wrong = 0;
	for (int n = first; n < count; n++) {
		long long hits = events[n] < 0 ? 1 : count_of(events[n]);
		if (hits != 1 && wrong++ < SHOWN) {
			print_code(n);
			printf("has %lld hits\n", hits);
		}
	}
	return wrong;
}

static void print_number(const char *what, int index, uint64_t got, uint64_t want)
{
	if (got != want)
		printf("  %s %d is %#lx, not %#lx\n", what, index, got, want);
}

static void print_bytes(const char *what, const uint8_t *got, const uint8_t *want, int size)
{
	for (int n = 0; n < size; n++)
		if (got[n] != want[n]) {
			printf("  %s at %d is %#x, not %#x\n", what, n, got[n], want[n]);
			return;
		}
}

static void print_difference(int index)
{
	int n = different_case[index];
	const struct state *got = &different[index], *want = &plain[n];
	print_code(n);
	printf("at %#lx with a probe:\n", slot_of(n));
	for (int r = 0; r < NGREG; r++)
		print_number("register", r, got->registers[r], want->registers[r]);
	print_number("signal", 0, got->signal, want->signal);
	print_number("si_code", 0, got->code, want->code);
	print_number("si_addr", 0, got->address, want->address);
	print_number("FS base", 0, got->fs_base, want->fs_base);
	print_number("GS base", 0, got->gs_base, want->gs_base);
	print_bytes("memory", got->data, want->data, DATA_SIZE);
	print_bytes("extended state", got->xstate, want->xstate, xstate_size);
}

int main(int argc, char **argv)
{
	read_cases();
	map_memory();
	catch_signals();
	bool list = argc == 2 && strcmp(argv[1], "invalid") == 0;
	if (argc == 3) {
		first = atoi(argv[1]);
		count = first + atoi(argv[2]) < count ? first + atoi(argv[2]) : count;
	}
	execute_all();
	if (list) {
		for (int n = 0; n < count; n++)
			if (plain[n].signal == SIGILL)
				printf("%d\n", n);
		return 0;
	}
	add_probes();
	phase = WITH_PROBES;
	execute_all();
	for (int n = 0; n < differences && n < SHOWN; n++)
		print_difference(n);
	int wrong = wrong_counts(), executed = 0, faulted = 0;
	for (int n = first; n < count; n++) {
		executed += plain[n].signal == SIGTRAP;
		faulted += plain[n].signal != SIGTRAP && plain[n].signal != SIGILL;
	}
	printf("%d cases, %d executed, %d faulted, %d refused, %d differences, %d wrong counts\n",
	       count, executed, faulted, refused, differences, wrong);
	return refused != 0 || differences != 0 || wrong != 0;
}
