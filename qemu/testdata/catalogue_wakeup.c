/* The window between the kernel's last look and user mode: a signal that is
 * sent right then must not wait for the next entry. One thread spins, without
 * a call, until the signal's handler has run; another sends it at a different
 * moment of the first one's return each time. The argument is the number of
 * tries. A lost wake-up shows as a wait until the timer's next tick at best:
 * with the tick as the only help, the tries would take minutes. */
#include "report.h"
#include <pthread.h>

static volatile long seen_count, ready;
static long tries;
static pid_t target;

static void arrived(int signal)
{
	(void)signal;
	seen_count++;
}

static unsigned long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long)t.tv_sec * 1000000000UL + (unsigned long)t.tv_nsec;
}

static void *receive(void *unused)
{
	(void)unused;
	target = (pid_t)syscall(SYS_gettid);
	for (long i = 0; i < tries; i++) {
		__atomic_store_n(&ready, i + 1, __ATOMIC_SEQ_CST);
		for (long j = 0; j < i % 7; j++)
			syscall(SYS_getppid); /* on its way back when the signal comes */
		while (seen_count <= i)
			__builtin_ia32_pause();
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	unsigned long longest = 0;
	tries = argc > 1 ? atol(argv[1]) : 1000;
	signal(SIGUSR1, arrived);
	pthread_create(&thread, NULL, receive, NULL);
	for (long i = 0; i < tries; i++) {
		while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) <= i)
			__builtin_ia32_pause();
		for (volatile long j = 0; j < i % 97 * 8; j++)
			;
		unsigned long begin = now();
		MUST(syscall(SYS_tgkill, getpid(), target, SIGUSR1));
		while (seen_count <= i)
			__builtin_ia32_pause();
		if (now() - begin > longest)
			longest = now() - begin;
	}
	pthread_join(thread, NULL);
	printf("%ld signals arrived\n", seen_count);
	fprintf(stderr, "the longest took %lu microseconds\n", longest / 1000);
	return 8;
}
