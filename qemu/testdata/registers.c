/* Reads and writes the registers of a traced child. */
#include "tracee.h"

static void wait_here(void) { pause(); }

static pid_t child;

static long get_set(unsigned type, void *buffer, size_t *length)
{
	struct iovec v = {buffer, *length};
	long result = trace(PTRACE_GETREGSET, child, type, (unsigned long)&v);
	*length = v.iov_len;
	return result;
}

static long put_set(unsigned type, void *buffer, size_t *length)
{
	struct iovec v = {buffer, *length};
	long result = trace(PTRACE_SETREGSET, child, type, (unsigned long)&v);
	*length = v.iov_len;
	return result;
}

static void general(void)
{
	struct user_regs_struct r, again;
	MUST(trace(PTRACE_GETREGS, child, 0, (unsigned long)&r));
	printf("cs %llx ss %llx ds %llx es %llx fs %llx gs %llx\n", r.cs, r.ss, r.ds, r.es, r.fs, r.gs);
	printf("orig_rax %lld rax %lld, flags %llx\n", r.orig_rax, r.rax, r.eflags & 0x100);
	HOLDS(r.fs_base != 0);
	HOLDS(r.rcx == r.rip && (r.r11 & ~0x8d5ul) == (r.eflags & ~0x8d5ul));
	struct user_regs_struct changed = r;
	changed.r15 = 15, changed.rbx = 3, changed.rax = -1, changed.gs_base = 0x12345000;
	changed.eflags = ~0ul & ~0x100ul;
	MUST(trace(PTRACE_SETREGS, child, 0, (unsigned long)&changed));
	MUST(trace(PTRACE_GETREGS, child, 0, (unsigned long)&again));
	printf("r15 %llu rbx %llu rax %lld gs_base %llx flags %llx\n", again.r15, again.rbx, again.rax, again.gs_base, again.eflags);
	changed = r;
	changed.r15 = 99, changed.cs = 0;
	SHOW(trace(PTRACE_SETREGS, child, 0, (unsigned long)&changed));
	MUST(trace(PTRACE_GETREGS, child, 0, (unsigned long)&again));
	printf("r15 %llu, a word before the bad one\n", again.r15);
	MUST(trace(PTRACE_SETREGS, child, 0, (unsigned long)&r));
	SHOW(trace(PTRACE_GETREGS, child, 0, 8));
	SHOW(trace(PTRACE_SETREGS, child, 0, 8));
}

static void user_area(void)
{
	unsigned long word;
	static const unsigned long offsets[] = {
		0, 8, 1, 8 * CS, 8 * EFLAGS, 8 * GS, 8 * (GS + 1), offsetof(struct user, u_debugreg[0]), offsetof(struct user, u_debugreg[4]),
		offsetof(struct user, u_debugreg[6]), offsetof(struct user, u_debugreg[7]), sizeof(struct user) - 8, sizeof(struct user), -8ul,
	};
	for (unsigned i = 0; i < sizeof offsets / sizeof *offsets; i++) {
		word = 0;
		errno = 0;
		long result = trace(PTRACE_PEEKUSER, child, offsets[i], (unsigned long)&word);
		printf("PEEKUSER %ld: %ld %s, %lx\n", (long)offsets[i], result, strerror(errno), i < 2 || offsets[i] == 8 * EFLAGS ? 0 : word);
	}
	SHOW(trace(PTRACE_PEEKUSER, child, 0, 8));
	static const struct {
		unsigned long offset, value;
	} writes[] = {
		{8 * DS, 0x2b}, {8 * DS, 0x28}, {8 * DS, 3}, {8 * ES, 0}, {8 * FS, 0x10}, {8 * GS, 0x2b}, {8 * SS, 0}, {8 * CS, 0x10},
		{8 * FS_BASE, 0x800000000000}, {8 * FS_BASE, 0x7ffffffff000}, {8 * GS_BASE, -1ul}, {8 * GS_BASE, 0x7fffffffe000},
		{8 * EFLAGS, 0x200}, {8 * EFLAGS, 0x3000}, {8 * ORIG_RAX, 1ul << 40}, {8 * R15, -1ul}, {8 * 27, 1}, {3, 1},
		{offsetof(struct user, u_debugreg[4]), 0}, {offsetof(struct user, u_debugreg[6]), 0xf}, {offsetof(struct user, start_code), 1},
	};
	unsigned long base;
	MUST(trace(PTRACE_PEEKUSER, child, 8 * FS_BASE, (unsigned long)&base));
	for (unsigned i = 0; i < sizeof writes / sizeof *writes; i++) {
		errno = 0;
		long result = trace(PTRACE_POKEUSER, child, writes[i].offset, writes[i].value);
		printf("POKEUSER %lu %lx: %ld %s", writes[i].offset, writes[i].value, result, strerror(errno));
		word = 0;
		trace(PTRACE_PEEKUSER, child, writes[i].offset, (unsigned long)&word);
		printf(", %lx\n", writes[i].offset == 8 * FS_BASE && result != 0 ? 0 : word);
	}
	MUST(trace(PTRACE_POKEUSER, child, 8 * FS_BASE, base));
}

static void breakpoint_registers(void)
{
	static const struct {
		unsigned reg;
		unsigned long value;
	} writes[] = {
		{0, 0x401000}, {7, 1}, {7, 0}, {7, 0x20001}, {7, 0x40001}, {1, 0x401002}, {7, 0xd00004}, {7, 0x100004}, {7, 0x900004},
		{1, 0x401008}, {7, 0x900004}, {2, 0x7ffffffff000}, {2, 0x7fffffffefff}, {7, 0xffff}, {7, 0x1000000 | 0x10}, {7, 0x300},
		{7, 0xffffffff00000000}, {3, 1}, {7, 0x30000000}, {7, 0xf0000080}, {3, 4}, {7, 0xf0000080}, {0, 0}, {7, 0},
	};
	for (unsigned i = 0; i < sizeof writes / sizeof *writes; i++) {
		errno = 0;
		unsigned long offset = offsetof(struct user, u_debugreg) + 8 * writes[i].reg, word = 0;
		long result = trace(PTRACE_POKEUSER, child, offset, writes[i].value);
		MUST(trace(PTRACE_PEEKUSER, child, offset, (unsigned long)&word));
		printf("DR%u = %lx: %ld %s, is %lx\n", writes[i].reg, writes[i].value, result, strerror(errno), word);
	}
}

static void floating_point(void)
{
	struct user_fpregs_struct f, again;
	MUST(trace(PTRACE_GETFPREGS, child, 0, (unsigned long)&f));
	printf("cwd %x mxcsr %x\n", f.cwd, f.mxcsr);
	memset(f.xmm_space, 0x5a, sizeof f.xmm_space);
	f.cwd = 0x27f, f.mxcsr = 0x1fa0;
	MUST(trace(PTRACE_SETFPREGS, child, 0, (unsigned long)&f));
	MUST(trace(PTRACE_GETFPREGS, child, 0, (unsigned long)&again));
	printf("cwd %x mxcsr %x xmm15 %x\n", again.cwd, again.mxcsr, again.xmm_space[63]);
	f.mxcsr = 0x10000;
	SHOW(trace(PTRACE_SETFPREGS, child, 0, (unsigned long)&f));
	SHOW(trace(PTRACE_GETFPREGS, child, 0, 8));
}

static void sets(void)
{
	static char b[65536] __attribute__((aligned(64)));
	static const size_t lengths[] = {0, 8, 7, 27 * 8, 28 * 8, 512, 520, 65536};
	static const unsigned types[] = {1, 2, 0x201, 0x200, 3, 0x10001};
	for (unsigned t = 0; t < sizeof types / sizeof *types; t++)
		for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
			size_t n = lengths[i];
			errno = 0;
			long result = get_set(types[t], b, &n);
			printf("GETREGSET %x %zu: %ld %s, %zu\n", types[t], lengths[i], result, strerror(errno), n);
		}
	size_t n = 27 * 8;
	MUST(get_set(1, b, &n));
	for (unsigned i = 0; i < 5; i++) {
		n = lengths[i];
		errno = 0;
		long result = put_set(1, b, &n);
		printf("SETREGSET 1 %zu: %ld %s, %zu\n", lengths[i], result, strerror(errno), n);
	}
	n = 512;
	MUST(get_set(2, b, &n));
	for (unsigned i = 0; i < 7; i++) {
		n = lengths[i];
		errno = 0;
		long result = put_set(2, b, &n);
		printf("SETREGSET 2 %zu: %ld %s, %zu\n", lengths[i], result, strerror(errno), n);
	}
	n = 8192;
	SHOW(put_set(0x201, b, &n));
	SHOW(trace(PTRACE_GETREGSET, child, 1, 8));
}

static void extended(void)
{
	static char b[65536] __attribute__((aligned(64)));
	size_t n = sizeof b, all;
	if (get_set(0x202, b, &n) != 0) {
		printf("no XSAVE\n");
		return;
	}
	all = n;
	HOLDS((*(unsigned long *)(b + 464) & 3) == 3);
	HOLDS(all >= 576);
	HOLDS(*(unsigned long *)(b + 520) == 0);
	n = all - 8;
	SHOW(put_set(0x202, b, &n));
	n = all;
	SHOW(put_set(0x202, b, &n));
	static const struct {
		const char *what;
		unsigned offset;
		unsigned long bit;
	} bad[] = {
		{"a component that does not exist", 512, 1ul << 62}, {"the compacted format", 520, 1ul << 63},
		{"a reserved word", 568, 1}, {"a bit of MXCSR", 24, 1ul << 30},
	};
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		unsigned long *word = (unsigned long *)(b + bad[i].offset), old = *word;
		*word |= bad[i].bit;
		errno = 0;
		n = all;
		long result = put_set(0x202, b, &n);
		printf("%s: %ld %s\n", bad[i].what, result, strerror(errno));
		*word = old;
	}
	*(unsigned long *)(b + 512) |= 3;
	memset(b + 160, 0x66, 256);
	*(unsigned *)(b + 24) = 0x1f80;
	n = all;
	MUST(put_set(0x202, b, &n));
	*(unsigned long *)(b + 512) &= ~2ul;
	n = all;
	MUST(put_set(0x202, b, &n));
	memset(b, 1, sizeof b);
	n = all;
	MUST(get_set(0x202, b, &n));
	printf("xmm3 after a set without SSE: %lx\n", *(unsigned long *)(b + 160 + 48));
	n = 256;
	MUST(get_set(0x202, b, &n));
	printf("a short buffer gets %zu bytes\n", n);
}

static void sequences(void)
{
	struct ptrace_rseq_configuration c;
	memset(&c, 0x11, sizeof c);
	SHOW(trace(PTRACE_GET_RSEQ_CONFIGURATION, child, sizeof c, (unsigned long)&c));
	printf("size %u signature %x flags %x\n", c.rseq_abi_size, c.signature, c.flags);
	SHOW(trace(PTRACE_GET_RSEQ_CONFIGURATION, child, 1000, (unsigned long)&c));
	SHOW(trace(PTRACE_GET_RSEQ_CONFIGURATION, child, 4, (unsigned long)&c));
	SHOW(trace(PTRACE_GET_RSEQ_CONFIGURATION, child, sizeof c, 8));
}

static void bases(void)
{
	unsigned long base = 0;
	SHOW(trace(PTRACE_ARCH_PRCTL, child, 0x700000, 0x1001));
	SHOW(trace(PTRACE_ARCH_PRCTL, child, (unsigned long)&base, 0x1004));
	printf("gs base %lx\n", base);
	SHOW(trace(PTRACE_ARCH_PRCTL, child, 1ul << 47, 0x1001));
	SHOW(trace(PTRACE_ARCH_PRCTL, child, 8, 0x1003));
	SHOW(trace(PTRACE_ARCH_PRCTL, child, 0, 0x9999));
}

/* A child whose registers cannot be loaded gets SIGSEGV. */
static void unloadable(const char *what, unsigned reg, unsigned long value)
{
	pid_t pid = start(wait_here);
	errno = 0;
	long result = trace(PTRACE_POKEUSER, pid, 8 * reg, value);
	printf("%s: %ld %s\n", what, result, strerror(errno));
	if (result == 0) {
		resume(what, PTRACE_CONT, pid, 0);
		resume("the signal suppressed", PTRACE_CONT, pid, 0);
	}
	finish(pid);
}

/* The tracer chooses another call and its result. */
static void calls(void)
{
	pid_t pid = start(wait_here);
	resume("entry", PTRACE_SYSCALL, pid, 0);
	struct user_regs_struct r;
	MUST(trace(PTRACE_GETREGS, pid, 0, (unsigned long)&r));
	printf("call %lld, rax %lld\n", r.orig_rax, r.rax);
	MUST(trace(PTRACE_POKEUSER, pid, 8 * ORIG_RAX, SYS_getppid));
	resume("exit", PTRACE_SYSCALL, pid, 0);
	MUST(trace(PTRACE_GETREGS, pid, 0, (unsigned long)&r));
	printf("call %lld returns the parent: %d\n", r.orig_rax, r.rax == (unsigned long)getpid());
	MUST(trace(PTRACE_POKEUSER, pid, 8 * RAX, 77));
	r.rip -= 2, r.rax = SYS_exit, r.rdi = 42;
	MUST(trace(PTRACE_SETREGS, pid, 0, (unsigned long)&r));
	resume("a call put in", PTRACE_CONT, pid, 0);
}

/* A call that a signal interrupts is restarted, unless the tracer says that there is no
 * call. */
static void restarts(unsigned long orig_rax)
{
	pid_t pid = start(wait_here);
	struct user_regs_struct r;
	MUST(trace(PTRACE_CONT, pid, 0, 0));
	usleep(50000);
	kill(pid, SIGWINCH);
	await("interrupted", pid);
	MUST(trace(PTRACE_GETREGS, pid, 0, (unsigned long)&r));
	printf("orig_rax %lld rax %lld\n", r.orig_rax, r.rax);
	MUST(trace(PTRACE_POKEUSER, pid, 8 * ORIG_RAX, orig_rax));
	resume("next call", PTRACE_SYSCALL, pid, 0);
	MUST(trace(PTRACE_GETREGS, pid, 0, (unsigned long)&r));
	printf("orig_rax %lld rax %lld\n", r.orig_rax, r.rax);
	finish(pid);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	child = start(wait_here);
	general();
	user_area();
	breakpoint_registers();
	floating_point();
	sets();
	extended();
	sequences();
	bases();
	finish(child);
	SHOW(trace(PTRACE_GETREGS, child, 0, 0));
	unloadable("rip of the kernel", RIP, 0xffffffff81000000);
	unloadable("rip not canonical", RIP, 0x800000000000);
	unloadable("rip in the last page", RIP, 0x7ffffffff000);
	unloadable("cs 3", CS, 3);
	unloadable("ss 3", SS, 3);
	unloadable("ss 33", SS, 0x33);
	calls();
	restarts(SYS_pause);
	restarts(-1);
	restarts(0xffffffff);
	return 7;
}
