/* Checks how CPU time is charged: to the task that runs, in user mode or in the kernel,
 * and the same by every interface. */
#include "report.h"
#include <sched.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/time.h>
#include <sys/times.h>

static double seconds(clockid_t clock)
{
	struct timespec t;
	MUST(clock_gettime(clock, &t));
	return t.tv_sec + t.tv_nsec / 1e9;
}

static double now(void) { return seconds(CLOCK_MONOTONIC); }

/* Spins in user mode. */
static void work(double duration)
{
	for (double end = now() + duration; now() < end;)
		;
}

static double of(struct timeval t) { return t.tv_sec + t.tv_usec / 1e6; }

static int within(double value, double least, double most, double tolerance)
{
	return value > least - tolerance && value < most + tolerance;
}

/* Runs a function in a child and returns what wait4 says of its CPU time. */
static struct rusage child(void (*f)(void))
{
	struct rusage usage;
	pid_t pid = fork();
	if (pid == 0) {
		f();
		_exit(0);
	}
	MUST(wait4(pid, NULL, 0, &usage));
	return usage;
}

static char buffer[1 << 20];

static void random_bytes(void)
{
	for (double end = now() + 0.2; now() < end;)
		for (size_t done = 0; done < sizeof buffer;)
			done += MUST(getrandom(buffer + done, sizeof buffer - done, 0));
}

static void naps(void)
{
	for (int i = 0; i < 60; i++) {
		struct timespec pause = {0, 3000000};
		work(0.001);
		nanosleep(&pause, NULL);
	}
}

static void spin(void) { work(0.2); }

/* The kernel's time of a writer that makes the bytes and of a reader that copies
 * them. */
static void through_pipe(double *writer, double *reader)
{
	int ends[2], source = MUST(open("/dev/urandom", O_RDONLY));
	struct rusage usage;
	MUST(pipe(ends));
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[0]);
		for (long left = 16 << 20; left > 0;)
			left -= MUST(sendfile(ends[1], source, NULL, left));
		_exit(0);
	}
	close(ends[1]);
	MUST(getrusage(RUSAGE_SELF, &usage));
	double before = of(usage.ru_stime) + of(usage.ru_utime);
	while (MUST(read(ends[0], buffer, sizeof buffer)) > 0)
		;
	MUST(getrusage(RUSAGE_SELF, &usage));
	*reader = of(usage.ru_stime) + of(usage.ru_utime) - before;
	MUST(wait4(pid, NULL, 0, &usage));
	*writer = of(usage.ru_stime) + of(usage.ru_utime);
}

/* All interfaces to the time of this process: each result is between those of two calls of
 * getrusage, because the host may interrupt the machine at any time. */
static void interfaces(void)
{
	struct rusage self, thread, after;
	struct tms ticks;
	clockid_t clock;
	unsigned long user, system;
	char text[1024] = {0};
	random_bytes();
	work(0.1);
	MUST(getrusage(RUSAGE_SELF, &self));
	MUST(getrusage(RUSAGE_THREAD, &thread));
	times(&ticks);
	double process = seconds(CLOCK_PROCESS_CPUTIME_ID), own = seconds(CLOCK_THREAD_CPUTIME_ID);
	clock_getcpuclockid(getpid(), &clock);
	double other = seconds(clock);
	int fd = MUST(open("/proc/self/stat", O_RDONLY));
	MUST(read(fd, text, sizeof text - 1));
	sscanf(strrchr(text, ')') + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
	MUST(getrusage(RUSAGE_SELF, &after));
	double least = of(self.ru_utime) + of(self.ru_stime), most = of(after.ru_utime) + of(after.ru_stime);
	double tick = 1.0 / sysconf(_SC_CLK_TCK);
	HOLDS(within(of(thread.ru_utime) + of(thread.ru_stime), least, most, 0.001));
	HOLDS(within(process, least, most, 0.001));
	HOLDS(within(own, least, most, 0.001));
	HOLDS(within(other, least, most, 0.001));
	HOLDS(within(ticks.tms_utime * tick, of(self.ru_utime), of(after.ru_utime), tick));
	HOLDS(within(ticks.tms_stime * tick, of(self.ru_stime), of(after.ru_stime), tick));
	HOLDS(within(user * tick, of(self.ru_utime), of(after.ru_utime), tick));
	HOLDS(within(system * tick, of(self.ru_stime), of(after.ru_stime), tick));
}

/* Two busy processes on one CPU: their time is that of the clock. */
static void busy(void)
{
	struct rusage usage;
	cpu_set_t first;
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	MUST(sched_setaffinity(0, sizeof first, &first));
	double start = now(), sum = 0;
	for (int i = 0; i < 2; i++)
		if (fork() == 0) {
			(i ? spin : random_bytes)();
			work(0.1);
			_exit(0);
		}
	for (int i = 0; i < 2; i++) {
		MUST(wait4(-1, NULL, 0, &usage));
		sum += of(usage.ru_utime) + of(usage.ru_stime);
	}
	double wall = now() - start;
	fprintf(stderr, "busy: %.3f s of %.3f\n", sum, wall);
	HOLDS(sum > 0.9 * wall && sum < 1.01 * wall);
}

/* A sleeper gets the CPU at its deadline, although another process spins. */
static void latency(void)
{
	double least = 1;
	pid_t pid = fork();
	if (pid == 0)
		work(30);
	for (int i = 0; i < 20; i++) {
		struct timespec pause = {0, 1000000};
		double start = now();
		nanosleep(&pause, NULL);
		double slept = now() - start;
		least = slept < least ? slept : least;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	HOLDS(least < 0.003);
}

/* RLIMIT_CPU and ITIMER_PROF count time in the kernel too. */
static volatile sig_atomic_t expiries;
static void count(int signal) { (void)signal, expiries++; }

static void in_kernel(void)
{
	struct itimerval timer = {{0, 20000}, {0, 20000}};
	signal(SIGPROF, count);
	MUST(setitimer(ITIMER_PROF, &timer, NULL));
	random_bytes();
	_exit(expiries > 4 ? 0 : 1);
}

int main(int argc, char **argv)
{
	struct rusage usage = child(random_bytes);
	double total = of(usage.ru_utime) + of(usage.ru_stime), writer, reader;
	setbuf(stdout, NULL);
	int one = argc > 1 && !strcmp(argv[1], "one"); /* of two, the host may suspend the one that the other waits for */
	if (one)
		HOLDS(of(usage.ru_stime) > 0.8 * total);
	usage = child(spin);
	fprintf(stderr, "spin: user %.3f system %.3f\n", of(usage.ru_utime), of(usage.ru_stime));
	if (one)
		HOLDS(of(usage.ru_utime) > 0.18 && of(usage.ru_stime) < 0.05);
	usage = child(naps);
	total = of(usage.ru_utime) + of(usage.ru_stime);
	if (one)
		HOLDS(total > 0.055 && total < 0.12);
	through_pipe(&writer, &reader);
	fprintf(stderr, "pipe: writer %.3f reader %.3f\n", writer, reader);
	if (one)
		HOLDS(writer > 2 * reader);
	interfaces();
	latency();
	int status;
	pid_t pid = fork();
	if (pid == 0)
		in_kernel();
	MUST(waitpid(pid, &status, 0));
	HOLDS(status == 0);
	if (one) /* an affinity does not confine the kernel's part of a call */
		busy();
	return 8;
}
