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
