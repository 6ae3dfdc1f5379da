/* Checks the window between the kernel's last test of the thread flags and user
 * mode: a signal that is sent in this window must be delivered without another
 * kernel entry. In each try a receiver makes some calls and then spins until the
 * signal's handler has run. Meanwhile a sender on another CPU sends the signal:
 * during the entry into a call, during its exit, or during the loop.
 *
 * If a signal is lost, the program does not end. If it is delayed until the next
 * timer tick, the receiver notices that too: it counts the iterations of its loop
 * after the sender's call has returned. By that time the receiver's CPU has been
 * interrupted, so there are only a few iterations, even on a busy machine.
 *
 * Arguments: the number of tries; the number of tries in which the signal is sent
 * late on purpose. */
#include "report.h"
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>

/* With more iterations than this, the signal is late. Up to one was observed, on
 * Linux too; a timer tick is 100,000 iterations away. */
enum { LATE = 100 };

/* The number of the last try that has reached a point. Each variable has only one
 * writer. */
static int prepared; /* the receiver is ready for the signal */
static int sending;  /* the sender is about to send it */
static int returned; /* the sender's call has returned */
static int seen;     /* the handler has run */

static long tries = 1000, late_tries;
static pid_t target;
static int spinning;        /* the receiver has made the calls of its try */
static long in_spin;        /* signals that arrived after the calls */
static long late, most_turns;

#define GET(word) __atomic_load_n(&(word), __ATOMIC_SEQ_CST)
#define SET(word, value) __atomic_store_n(&(word), value, __ATOMIC_SEQ_CST)

/* Waits until *word is at least value. It spins for a short while and then sleeps, so
 * that it does not keep the CPU from the thread for which it waits. */
static void await(int *word, int value)
{
	for (int turns = 0; turns < 50000; turns++)
		if (GET(*word) >= value)
			return;
	for (int old; (old = GET(*word)) < value;)
		syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
}

static void announce(int *word, int value)
{
	SET(*word, value);
	MUST(syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0));
}

static void arrived(int signal)
{
	(void)signal;
	in_spin += GET(spinning);
	SET(seen, seen + 1);
}

static void *receive(void *unused)
{
	(void)unused;
	target = (pid_t)syscall(SYS_gettid);
	for (int try = 1; try <= tries; try++) {
		SET(spinning, 0);
		announce(&prepared, try);
		await(&sending, try);
		for (int calls = try % 2 * (try * 13 % 127); calls > 0; calls--)
			syscall(SYS_getppid);
		SET(spinning, 1);
		long turns = 0;
		while (GET(seen) < try)
			turns += GET(returned) >= try;
		late += turns > LATE;
		if (turns > most_turns)
			most_turns = turns;
		announce(&seen, try);
	}
	return NULL;
}

static void send(int try)
{
	await(&prepared, try);
	announce(&sending, try);
	if (try % 64 == 0)
		usleep(1000); /* gives the receiver time to reach its loop on a busy machine */
	if (try <= late_tries) {
		SET(returned, try); /* on purpose before the call */
		usleep(20000);
	}
	for (volatile int delay = try % 97 * 4; delay > 0; delay--)
		;
	MUST(syscall(SYS_tgkill, getpid(), target, SIGUSR1));
	SET(returned, try);
	await(&seen, try);
}

int main(int argc, char **argv)
{
	pthread_t receiver;
	if (argc > 1)
		tries = atol(argv[1]);
	if (argc > 2)
		late_tries = atol(argv[2]);
	signal(SIGUSR1, arrived);
	pthread_create(&receiver, NULL, receive, NULL);
	for (int try = 1; try <= tries; try++)
		send(try);
	pthread_join(receiver, NULL);
	printf("%d signals arrived; %ld came late\n", seen, late);
	printf("some arrived during calls: %d; some after: %d\n", in_spin < seen, in_spin > 0);
	fprintf(stderr, "%ld arrived after the calls; %ld turns at most after the sender's call\n", in_spin, most_turns);
	return 8;
}
