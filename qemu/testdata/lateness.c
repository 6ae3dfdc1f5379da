/* Measures how late waits with a timeout end. For each kind of wait and each length it
 * prints the kind, the length in microseconds, the number of waits, how many ended too early,
 * and how late the others ended in microseconds: the median, the 99 % quantile and the
 * maximum. The argument is how many milliseconds each line takes; it is 200 by default. The
 * exit status is 1 if a wait ended too early. */
#include "report.h"
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>

enum { MOST = 2000, LEAST = 5 };

static const long second = 1000000000;
static int poller, timer_file;
static timer_t timer;
static sigset_t alarms;

static long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * second + t.tv_nsec;
}

static struct timespec spec(long ns) { return (struct timespec){ns / second, ns % second}; }

static void by_nanosleep(long ns)
{
	struct timespec t = spec(ns);
	nanosleep(&t, NULL);
}

static void by_clock_nanosleep(long ns)
{
	struct timespec t = spec(ns);
	clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

static void by_clock_nanosleep_absolute(long ns)
{
	struct timespec t = spec(now() + ns);
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void by_clock_nanosleep_realtime(long ns)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	t = spec(t.tv_sec * second + t.tv_nsec + ns);
	clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL);
}

static void by_select(long ns)
{
	struct timeval t = {ns / second, ns % second / 1000};
	select(0, NULL, NULL, NULL, &t);
}

static void by_pselect(long ns)
{
	struct timespec t = spec(ns);
	pselect(0, NULL, NULL, NULL, &t, NULL);
}

static void by_poll(long ns) { poll(NULL, 0, ns / 1000000); }

static void by_ppoll(long ns)
{
	struct timespec t = spec(ns);
	ppoll(NULL, 0, &t, NULL);
}

static void by_epoll_wait(long ns)
{
	struct epoll_event event;
	epoll_wait(poller, &event, 1, ns / 1000000);
}

static void by_epoll_pwait2(long ns)
{
	struct timespec t = spec(ns);
	struct epoll_event event;
	syscall(441, poller, &event, 1, &t, NULL, 0);
}

static void by_futex(long ns)
{
	static int word;
	struct timespec t = spec(ns);
	syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &t, NULL, 0);
}

static void by_futex_absolute(long ns)
{
	static int word;
	struct timespec t = spec(now() + ns);
	syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 0, &t, NULL, FUTEX_BITSET_MATCH_ANY);
}

static void by_timerfd(long ns)
{
	struct itimerspec t = {.it_value = spec(ns)};
	uint64_t count;
	timerfd_settime(timer_file, 0, &t, NULL);
	if (read(timer_file, &count, sizeof count) != sizeof count)
		exit(2);
}

static void by_sigtimedwait(long ns)
{
	struct timespec t = spec(ns);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigtimedwait(&set, NULL, &t);
}

static void by_timer(long ns)
{
	struct itimerspec t = {.it_value = spec(ns)};
	timer_settime(timer, 0, &t, NULL);
	sigwaitinfo(&alarms, NULL);
}

static void by_setitimer(long ns)
{
	struct itimerval t = {.it_value = {ns / second, ns % second / 1000}};
	setitimer(ITIMER_REAL, &t, NULL);
	sigwaitinfo(&alarms, NULL);
}

static const struct {
	const char *name;
	void (*wait)(long ns);
	int milliseconds; /* the unit of the timeout */
} kinds[] = {
	{"nanosleep", by_nanosleep, 0},
	{"clock_nanosleep", by_clock_nanosleep, 0},
	{"clock_nanosleep_absolute", by_clock_nanosleep_absolute, 0},
	{"clock_nanosleep_realtime", by_clock_nanosleep_realtime, 0},
	{"select", by_select, 0},
	{"pselect", by_pselect, 0},
	{"poll", by_poll, 1},
	{"ppoll", by_ppoll, 0},
	{"epoll_wait", by_epoll_wait, 1},
	{"epoll_pwait2", by_epoll_pwait2, 0},
	{"futex", by_futex, 0},
	{"futex_absolute", by_futex_absolute, 0},
	{"timerfd", by_timerfd, 0},
	{"sigtimedwait", by_sigtimedwait, 0},
	{"timer_settime", by_timer, 0},
	{"setitimer", by_setitimer, 0},
};

static int by_size(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;
	return (x > y) - (x < y);
}

/* Measures waits of one kind and length, and returns how many ended too early. */
static int measure(int kind, long ns, long budget)
{
	static long late[MOST];
	long count = budget / ns;
	int early = 0;
	if (count > MOST)
		count = MOST;
	if (count < LEAST)
		count = LEAST;
	for (int i = 0; i < count; i++) {
		long start = now();
		kinds[kind].wait(ns);
		late[i] = now() - start - ns;
		early += late[i] < 0;
	}
	qsort(late, count, sizeof late[0], by_size);
	printf("%s %ld %ld %d %.1f %.1f %.1f\n", kinds[kind].name, ns / 1000, count, early, late[count / 2] / 1e3,
	       late[count - 1 - count / 100] / 1e3, late[count - 1] / 1e3);
	fflush(stdout);
	return early;
}

int main(int argc, char **argv)
{
	static const long lengths[] = {100000, 1000000, 10000000, 100000000};
	long budget = (argc > 1 ? atol(argv[1]) : 200) * 1000000;
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
	int early = 0;
	poller = epoll_create1(0);
	timer_file = timerfd_create(CLOCK_MONOTONIC, 0);
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	sigprocmask(SIG_BLOCK, &alarms, NULL);
	for (unsigned kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++)
		for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
			if (!kinds[kind].milliseconds || lengths[i] >= 1000000)
				early += measure(kind, lengths[i], budget);
	return early != 0;
}
