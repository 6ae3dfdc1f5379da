/* Counts the instructions of an operation: of rounds with a number of calls each, the median. */
#include "bench.h"
#include <stdio.h>

enum { CALLS = 100, ROUNDS = 15 };

/* Prints the instructions of a call, divided by the number of parts that it has. */
static void measure_parts(const char *name, void (*operation)(void), int calls, int parts)
{
	ulong sorted[ROUNDS];
	for (int n = 0; n < ROUNDS; n++) {
		ulong start = ticks();
		for (int c = 0; c < calls; c++)
			operation();
		insert(sorted, n, (ticks() - start) / calls / parts);
	}
	printf("%s %lu\n", name, sorted[ROUNDS / 2]);
	fflush(stdout);
}

static inline void measure(const char *name, void (*operation)(void)) { measure_parts(name, operation, CALLS, 1); }
