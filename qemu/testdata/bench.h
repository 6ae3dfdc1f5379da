/* Shared code of the programs that count instructions: with -icount shift=0, one tick of
 * the time-stamp counter is one instruction. It needs no C library. */
typedef unsigned long ulong;

static inline ulong ticks(void)
{
	unsigned low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (ulong)high << 32 | low;
}

/* Adds a value to a sorted list of n. */
static inline void insert(ulong *sorted, int n, ulong value)
{
	for (; n > 0 && sorted[n - 1] > value; n--)
		sorted[n] = sorted[n - 1];
	sorted[n] = value;
}

/* Returns the instructions of a system call without arguments: of rounds with a number of
 * calls each, the median, because some rounds include other work of the kernel: a tick, or
 * the Go runtime's monitor, which runs for a millisecond after each preemption. The loop has
 * five instructions with the system call. */
static inline ulong median_of_calls(long number, int calls)
{
	enum { ROUNDS_OF_CALLS = 31 };
	ulong sorted[ROUNDS_OF_CALLS];
	for (int n = 0; n < ROUNDS_OF_CALLS; n++) {
		long left = calls;
		ulong start = ticks();
		__asm__ volatile("1: movq %1, %%rax; xorl %%edi, %%edi; syscall; decq %0; jnz 1b"
				 : "+&r"(left)
				 : "r"(number)
				 : "rax", "rcx", "rdi", "r11", "memory");
		insert(sorted, n, (ticks() - start) / calls);
	}
	return sorted[ROUNDS_OF_CALLS / 2];
}
