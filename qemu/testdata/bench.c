/* Counts the instructions of system calls: with -icount shift=0, one tick of the
 * time-stamp counter is one instruction. It has no C library, so that its first
 * instruction is the first one in user mode. */
#include "bench.h"

static inline long call(long number, long a, long b, long c)
{
	long result;
	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return result;
}

static void print(const char *name, ulong value)
{
	char line[80];
	int n = 0, digits = 1;
	while (*name)
		line[n++] = *name++;
	line[n++] = ' ';
	for (ulong rest = value; rest >= 10; rest /= 10)
		digits++;
	for (int i = digits - 1; i >= 0; i--, value /= 10)
		line[n + i] = '0' + value % 10;
	n += digits;
	line[n++] = '\n';
	call(1, 1, (long)line, n);
}

enum { CALLS = 1000 };

void _start(void)
{
	ulong boot = ticks();
	print("boot", boot);
	print("getppid", median_of_calls(110, CALLS));
	print("unknown", median_of_calls(1000, CALLS));
	call(60, 0, 0, 0);
}
