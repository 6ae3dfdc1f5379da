/* Counts the instructions of switches between two tasks on one CPU, and of a thread's life,
 * as bench.c does for system calls. Each line has the median of several rounds. */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "bench_measure.h"

static void start(void *(*function)(void *))
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, function, NULL))
		abort();
}

/* Each task waits for its own word and sets that of the other. */
static volatile int words[2];

static void await(int own)
{
	while (words[own] == 0)
		syscall(SYS_futex, &words[own], FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	words[own] = 0;
}

static void pass(int other)
{
	words[other] = 1;
	syscall(SYS_futex, &words[other], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *answer_futex(void *unused)
{
	for (;;) {
		await(1);
		pass(0);
	}
	return unused;
}

static void futex_round(void)
{
	pass(1);
	await(0);
}

static int there[2], back[2];

static void move(int from, int to)
{
	char c;
	if (read(from, &c, 1) != 1 || write(to, &c, 1) != 1)
		abort();
}

static void *answer_pipe(void *unused)
{
	for (;;)
		move(there[0], back[1]);
	return unused;
}

static void pipe_round(void)
{
	char c = 0;
	if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
		abort();
}

static void *nothing(void *unused) { return unused; }

static void create_and_join(void)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL))
		abort();
}

int main(void)
{
	if (pipe(there) || pipe(back))
		return 1;
	start(answer_futex);
	measure("futex_pingpong", futex_round);
	start(answer_pipe);
	measure("pipe_pingpong", pipe_round);
	measure("thread_create_join", create_and_join);
	return 0;
}
