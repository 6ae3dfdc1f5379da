/* membarrier(2): its errors, and that it orders the memory accesses of a thread
 * in user mode that has no barrier of its own. */
#include "report.h"
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>

enum { ROUNDS = 3000 };

static int membarrier(int command, unsigned flags) { return syscall(SYS_membarrier, command, flags, 0); }

/* The store-buffering litmus test. Each thread stores to its own variable and
 * reads the other's. One has only a compiler barrier in between, the other
 * membarrier. At least one must see the other's store. */
static volatile int mine, others, seen;
static volatile long started, finished;

static void wait_for(volatile long *counter, long value)
{
	for (int spins = 0; *counter < value; spins++)
		if (spins % 64 == 63)
			sched_yield();
}

static void *without_barrier(void *unused)
{
	for (long round = 1; round <= ROUNDS; round++) {
		wait_for(&started, round);
		others = 1;
		__asm__ volatile("" ::: "memory");
		seen = mine;
		finished = round;
	}
	return unused;
}

static long reordered(int command)
{
	pthread_t thread;
	long count = 0;
	started = finished = 0;
	MUST(pthread_create(&thread, NULL, without_barrier, NULL) ? -1 : 0);
	for (long round = 1; round <= ROUNDS; round++) {
		mine = others = 0;
		__atomic_store_n(&started, round, __ATOMIC_SEQ_CST);
		mine = 1;
		MUST(membarrier(command, 0));
		int theirs = others;
		wait_for(&finished, round);
		count += !theirs && !seen;
	}
	pthread_join(thread, NULL);
	return count;
}

int main(void)
{
	enum { GLOBAL_EXPEDITED = MEMBARRIER_CMD_GLOBAL_EXPEDITED, PRIVATE = MEMBARRIER_CMD_PRIVATE_EXPEDITED,
	       SYNC_CORE = MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE };
	int expected = GLOBAL_EXPEDITED | PRIVATE | SYNC_CORE;
	HOLDS((membarrier(MEMBARRIER_CMD_QUERY, 0) & expected) == expected);
	SHOW(membarrier(PRIVATE, 0));
	SHOW(membarrier(SYNC_CORE, 0));
	SHOW(membarrier(1 << 20, 0));
	SHOW(membarrier(MEMBARRIER_CMD_QUERY, 1 << 5));
	SHOW(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0));
	SHOW(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0));
	SHOW(membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0));
	printf("reordered: private %ld, core %ld, global %ld\n",
	       reordered(PRIVATE), reordered(SYNC_CORE), reordered(GLOBAL_EXPEDITED));
	return 65;
}
