/* Counts the instructions of sched_yield with the switch to another of 2 and of 1,000 tasks that
 * can run on the CPU. Then it prints the memory in bytes that each of 1,000 sleeping
 * tasks takes. */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench_measure.h"

enum { MANY = 1000, SLEEPERS = 1000, STACK = 4096 };

static void yield_once(void) { sched_yield(); }

static int gate[2];

/* Waits until all tasks exist: otherwise they would take the CPU from the one that starts them. */
static int yield_always(void *unused)
{
	char c;
	if (read(gate[0], &c, 1) != 1)
		abort();
	for (;;)
		sched_yield();
	return unused != NULL;
}

static int sleep_always(void *unused)
{
	for (;;)
		pause();
	return unused != NULL;
}

/* Starts threads that share one mapping for their stacks, so the kernel's memory is nearly all
 * that they take. */
static void start(int count, int (*function)(void *))
{
	const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	char *stacks = mmap(NULL, (size_t)count * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stacks == MAP_FAILED)
		abort();
	for (int i = 0; i < count; i++)
		if (clone(function, stacks + (size_t)(i + 1) * STACK, flags, NULL) < 0)
			abort();
}

static long available(void)
{
	char line[128];
	long kilobytes = 0;
	FILE *f = fopen("/proc/meminfo", "r");
	if (!f)
		abort();
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "MemFree: %ld", &kilobytes) == 1)
			break;
	fclose(f);
	return kilobytes * 1024;
}

/* Runs a function in a process of its own, and ends that with its threads. */
static void apart(void (*function)(void))
{
	pid_t child = fork();
	if (child == 0) {
		function();
		_exit(0);
	}
	int status;
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		abort();
}

static void start_yielding(int count)
{
	char bytes[MANY] = {0};
	if (pipe(gate))
		abort();
	start(count, yield_always);
	if (write(gate[1], bytes, count) != count)
		abort();
	sched_yield(); /* until all have read */
}

static void two(void)
{
	start_yielding(1);
	measure_parts("yield_2", yield_once, CALLS, 2);
}

static void many(void)
{
	start_yielding(MANY - 1);
	measure_parts("yield_1000", yield_once, 1, MANY);
}

static void sleepers(void)
{
	long before = available();
	start(SLEEPERS, sleep_always);
	for (int i = 0; i < 3; i++)
		sched_yield();
	printf("sleeping_task_bytes %ld\n", (before - available()) / SLEEPERS - STACK);
	fflush(stdout);
}

int main(void)
{
	apart(two);
	apart(many);
	apart(sleepers);
	return 0;
}
