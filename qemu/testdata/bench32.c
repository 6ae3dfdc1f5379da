/* Counts the instructions of 32-bit system calls as bench.c does: by the vDSO, which uses
 * SYSCALL on this CPU, and by INT 0x80. It has no C library. */
typedef unsigned uint;

static inline unsigned long long ticks(void)
{
	uint low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (unsigned long long)high << 32 | low;
}

static long call(int number, long a, long b, long c)
{
	long result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
	return result;
}

static void print(const char *name, uint value)
{
	char line[80];
	int n = 0, digits = 1;
	while (*name)
		line[n++] = *name++;
	line[n++] = ' ';
	for (uint rest = value; rest >= 10; rest /= 10)
		digits++;
	for (int i = digits - 1; i >= 0; i--, value /= 10)
		line[n + i] = '0' + value % 10;
	n += digits;
	line[n++] = '\n';
	call(4, 1, (long)line, n);
}

enum { CALLS = 1000, ROUNDS = 31 };

/* Defines a function that returns the median of the instructions of a call, of several
 * rounds. The loop has four instructions with the call. */
#define MEDIAN_OF(name, text)                                                                   \
	static uint name(int number, void *entry)                                               \
	{                                                                                       \
		uint sorted[ROUNDS];                                                            \
		for (int n = 0; n < ROUNDS; n++) {                                              \
			int left = CALLS, at = n;                                               \
			uint start = ticks();                                                   \
			__asm__ volatile("1: movl %1, %%eax; " text "; decl %0; jnz 1b"          \
					 : "+&D"(left) : "S"(number), "b"(entry) : "eax", "memory"); \
			uint value = ((uint)ticks() - start) / CALLS;                           \
			for (; at > 0 && sorted[at - 1] > value; at--)                          \
				sorted[at] = sorted[at - 1];                                    \
			sorted[at] = value;                                                     \
		}                                                                               \
		return sorted[ROUNDS / 2];                                                      \
	}

MEDIAN_OF(by_vdso, "call *%%ebx")
MEDIAN_OF(by_int80, "int $0x80")

/* Installs a seccomp filter that allows every call. */
static void allow_all(void)
{
	enum { PRCTL = 172, PR_SET_SECCOMP_ = 22, FILTER = 2, PR_SET_NO_NEW_PRIVS_ = 38 };
	static const struct { unsigned short code; unsigned char jt, jf; uint k; } allow = {6, 0, 0, 0x7fff0000};
	static const struct { unsigned short length; const void *filter; } program = {1, &allow};
	call(PRCTL, PR_SET_NO_NEW_PRIVS_, 1, 0);
	call(PRCTL, PR_SET_SECCOMP_, FILTER, (long)&program);
}

__attribute__((used)) static void begin(uint *stack)
{
	uint *vector = stack + 1 + stack[0] + 1;
	void *entry = 0;
	while (*vector++)
		;
	for (; vector[0]; vector += 2)
		if (vector[0] == 32) /* AT_SYSINFO */
			entry = (void *)vector[1];
	print("getppid_vdso32", by_vdso(64, entry));
	print("getppid_int80", by_int80(64, entry));
	print("unknown_vdso32", by_vdso(1000, entry));
	allow_all();
	print("seccomp_vdso32", by_vdso(64, entry));
	print("seccomp_int80", by_int80(64, entry));
	call(252, 0, 0, 0);
}

__asm__(".globl _start\n_start: movl %esp, %eax; pushl %eax; call begin");
