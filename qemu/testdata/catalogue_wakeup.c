/* The window between the kernel's last look and user mode: a signal that is
 * sent right then must not wait for the next entry. One thread spins, without
 * a call, until the signal's handler has run; another sends it at a different
 * moment of the first one's return each time, for as many seconds as the
 * argument says. After a signal that is lost the program does not end. */
#include "report.h"
#include <pthread.h>

static volatile long seen_count, ready;
static volatile int finished;
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
	for (long i = 0; !finished; i++) {
		__atomic_store_n(&ready, i + 1, __ATOMIC_SEQ_CST);
		for (long j = 0; j < i % 7; j++)
			syscall(SYS_getppid); /* on its way back when the signal comes */
		while (seen_count <= i && !finished)
			__builtin_ia32_pause();
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	unsigned long longest = 0;
	unsigned long end = now() + (argc > 1 ? strtoul(argv[1], NULL, 10) : 1) * 1000000000UL;
	long sent = 0;
	signal(SIGUSR1, arrived);
	pthread_create(&thread, NULL, receive, NULL);
	for (long i = 0; now() < end; i++, sent++) {
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
	finished = 1;
	pthread_join(thread, NULL);
	printf("every signal arrived: %d\n", sent == seen_count && sent > 0);
	fprintf(stderr, "%ld signals, the longest took %lu microseconds\n", sent, longest / 1000);
	return 8;
}
