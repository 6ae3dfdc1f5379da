/* Counts the instructions of sched_yield with the switch to another of 2 and of 1,000 tasks that
 * can run on the CPU. Then it prints the memory in bytes that each of 1,000 sleeping
 * tasks takes. */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <stdio.h>
#include "bench.h"

enum { ROUNDS = 15, MANY = 1000, SLEEPERS = 1000, STACK = 16384, PAGE = 4096 };

static int gate; /* a futex: 1 when it is open */

/* Waits until all tasks exist. The task that starts them has run for longer than they: after a
 * yield it would get the CPU again when all of them have caught up. */
static void await_gate(void)
{
	while (__atomic_load_n(&gate, __ATOMIC_ACQUIRE) == 0)
		syscall(SYS_futex, &gate, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static int yield_always(void *unused)
{
	await_gate();
	for (;;)
		sched_yield();
	return unused != NULL;
}

/* Returns the number after a name at the beginning of a line of a file. */
static long number(const char *path, const char *format)
{
	char line[4096];
	long value = 0;
	FILE *f = fopen(path, "r");
	if (!f)
		abort();
	while (fgets(line, sizeof line, f))
		if (sscanf(line, format, &value) == 1)
			break;
	fclose(f);
	return value;
}

/* The tasks of one measurement. */
struct crowd {
	const char *name;
	int tasks, rounds, calls;
};

/* Prints the instructions of a switch. How many others run during one call depends on their
 * virtual times, so the switches are counted. */
static int measure_yield(void *argument)
{
	const struct crowd *c = argument;
	ulong sorted[ROUNDS];
	await_gate();
	sched_yield(); /* until all have begun */
	for (int n = 0; n < c->rounds; n++) {
		long switches = number("/proc/stat", "ctxt %ld");
		ulong begin = ticks();
		for (int i = 0; i < c->calls; i++)
			sched_yield();
		ulong end = ticks();
		insert(sorted, n, (end - begin) / (number("/proc/stat", "ctxt %ld") - switches));
	}
	printf("%s %lu\n", c->name, sorted[c->rounds / 2]);
	exit(0);
}

static int sleep_always(void *unused)
{
	for (;;)
		pause();
	return unused != NULL;
}

/* Starts threads that share one mapping for their stacks, so the kernel's memory and a page of that is all
 * that they take. */
static void start(int count, int (*function)(void *), void *argument)
{
	const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	char *stacks = mmap(NULL, (size_t)count * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stacks == MAP_FAILED)
		abort();
	for (int i = 0; i < count; i++)
		if (clone(function, stacks + (size_t)(i + 1) * STACK, flags, argument) < 0)
			abort();
}

static long available(void) { return 1024 * number("/proc/meminfo", "MemFree: %ld"); }

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

static void run(struct crowd *c)
{
	start(1, measure_yield, c);
	start(c->tasks - 1, yield_always, NULL);
	__atomic_store_n(&gate, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &gate, FUTEX_WAKE_PRIVATE, c->tasks, NULL, NULL, 0);
	for (;;)
		pause();
}

static void two(void) { run(&(struct crowd){"yield_2", 2, ROUNDS, 100}); }
static void many(void) { run(&(struct crowd){"yield_1000", MANY, 3, 2}); }

static void sleepers(void)
{
	long before = available();
	start(SLEEPERS, sleep_always, NULL);
	for (int i = 0; i < 3; i++)
		sched_yield();
	printf("sleeping_task_bytes %ld\n", (before - available()) / SLEEPERS - PAGE);
	fflush(stdout);
}

int main(void)
{
	apart(two);
	apart(many);
	apart(sleepers);
	return 0;
}
