/* Counts the instructions of an operation: of rounds with a number of calls each, the median. A round
 * is so short that the runtime's monitor thread, which wakes up once in 1 ms, disturbs less than half
 * of them. */
#include "bench.h"
#include <stdio.h>

enum { CALLS = 50, ROUNDS = 31 };

static void measure(const char *name, void (*operation)(void))
{
	ulong sorted[ROUNDS];
	for (int n = 0; n < ROUNDS; n++) {
		ulong start = ticks();
		for (int c = 0; c < CALLS; c++)
			operation();
		insert(sorted, n, (ticks() - start) / CALLS);
	}
	printf("%s %lu\n", name, sorted[ROUNDS / 2]);
	fflush(stdout);
}
