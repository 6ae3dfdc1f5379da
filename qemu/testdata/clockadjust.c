/* Sets, slews and steps the clocks by adjtimex and clock_adjtime, and sets the timer slack. Its
 * output is the same on Linux 6.1. It changes the time of day, so it is not run on the host. */
#include "report.h"
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <time.h>

#ifndef CLOCK_TAI
#define CLOCK_TAI 11
#endif

static const long long second = 1000000000;

static long long read_by(int (*gettime)(clockid_t, struct timespec *), int clock)
{
	struct timespec t;
	MUST(gettime(clock, &t));
	return t.tv_sec * second + t.tv_nsec;
}

static int by_call(clockid_t clock, struct timespec *t) { return syscall(SYS_clock_gettime, clock, t); }

static long long now(int clock) { return read_by(clock_gettime, clock); }

static long result(long value) { return value < 0 ? -errno : value; }

/* Calls adjtimex and prints what it returns. */
static struct timex adjust(const char *what, struct timex x)
{
	x.maxerror = x.modes & ADJ_MAXERROR ? x.maxerror : 0;
	long state = result(syscall(SYS_adjtimex, &x));
	printf("%s: %ld, status %#x, offset %ld, freq %ld, tick %ld, constant %ld, tai %d, precision %ld, tolerance %ld\n", what, state,
	       x.status, (long)x.offset, (long)x.freq, (long)x.tick, (long)x.constant, x.tai, (long)x.precision, (long)x.tolerance);
	return x;
}

/* Reads MONOTONIC and MONOTONIC_RAW at nearly the same moment. */
static void both(int (*gettime)(clockid_t, struct timespec *), long long *mono, long long *raw)
{
	long long least = 1LL << 60;
	for (int i = 0; i < 200; i++) {
		long long before = read_by(gettime, CLOCK_MONOTONIC_RAW), m = read_by(gettime, CLOCK_MONOTONIC);
		long long after = read_by(gettime, CLOCK_MONOTONIC_RAW);
		if (after - before < least) {
			least = after - before;
			*mono = m;
			*raw = before + (after - before) / 2;
		}
	}
}

/* Prints by how much MONOTONIC is faster than MONOTONIC_RAW, in ppm, rounded. */
static void rate(const char *what, int (*gettime)(clockid_t, struct timespec *), long long unit)
{
	long long mono, raw, mono_end, raw_end;
	both(gettime, &mono, &raw);
	usleep(300000);
	both(gettime, &mono_end, &raw_end);
	long long ppm = ((mono_end - mono) - (raw_end - raw)) * 1000000 / (raw_end - raw);
	printf("%s: %lld ppm\n", what, (ppm + (ppm < 0 ? -unit : unit) / 2) / unit * unit);
}

/* Counts how often the clock goes back, read by system calls and by the vDSO in turn. */
static void agreement(int clock)
{
	int back = 0;
	long long last = 0;
	for (int i = 0; i < 20000; i++) {
		long long next = i & 1 ? read_by(by_call, clock) : now(clock);
		back += next < last;
		last = next;
	}
	printf("clock %d went back %d times\n", clock, back);
}

static void errors(void)
{
	for (int clock = -6; clock <= 12; clock++) {
		struct timex x = {0};
		long state = result(syscall(SYS_clock_adjtime, clock, &x));
		if (clock != CLOCK_REALTIME_ALARM && clock != CLOCK_BOOTTIME_ALARM)
			printf("clock_adjtime of %d: %ld\n", clock, state);
	}
	static const struct timex bad[] = {
		{.modes = ADJ_TICK, .tick = 8999},
		{.modes = ADJ_TICK, .tick = 11001},
		{.modes = 0x8000},
		{.modes = ADJ_SETOFFSET, .time = {0, 1000000}},
		{.modes = ADJ_SETOFFSET, .time = {0, -1}},
		{.modes = ADJ_SETOFFSET, .time = {-2000000000, 0}},
		{.modes = ADJ_SETOFFSET | ADJ_NANO, .time = {0, 1000000000}},
	};
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct timex x = bad[i];
		printf("bad %u: %ld\n", i, result(syscall(SYS_adjtimex, &x)));
	}
	printf("adjtimex of a bad pointer: %ld\n", result(syscall(SYS_adjtimex, 1)));
	struct timespec t = {0, 0};
	printf("clock_settime: %ld", result(syscall(SYS_clock_settime, CLOCK_REALTIME, &t)));
	t.tv_sec = 1700000000;
	printf(" %ld", result(syscall(SYS_clock_settime, CLOCK_TAI, &t)));
	printf(" %ld\n", result(syscall(SYS_clock_settime, CLOCK_MONOTONIC, &t)));
}

static void slewing(void)
{
	adjust("frequency", (struct timex){.modes = ADJ_FREQUENCY, .freq = 12345678});
	adjust("too high a frequency", (struct timex){.modes = ADJ_FREQUENCY, .freq = 99999999});
	rate("the highest frequency", clock_gettime, 500);
	adjust("tick", (struct timex){.modes = ADJ_FREQUENCY | ADJ_TICK, .tick = 10900});
	rate("a tick of 10900 by the vDSO", clock_gettime, 10000);
	rate("a tick of 10900 by system calls", by_call, 10000);
	agreement(CLOCK_MONOTONIC);
	agreement(CLOCK_REALTIME);
	agreement(CLOCK_MONOTONIC_RAW);
	long long raw = now(CLOCK_MONOTONIC_RAW), mono = now(CLOCK_MONOTONIC);
	struct timespec t = {0, 200000000};
	nanosleep(&t, NULL);
	mono = now(CLOCK_MONOTONIC) - mono;
	raw = now(CLOCK_MONOTONIC_RAW) - raw;
	printf("nanosleep counts MONOTONIC: %d, %d\n", mono >= 200000000, raw < mono);
	adjust("slow tick", (struct timex){.modes = ADJ_TICK, .tick = 9100});
	rate("a tick of 9100", clock_gettime, 10000);
	mono = now(CLOCK_MONOTONIC);
	nanosleep(&t, NULL);
	printf("nanosleep is not early: %d\n", now(CLOCK_MONOTONIC) - mono >= 200000000);
	adjust("normal", (struct timex){.modes = ADJ_FREQUENCY | ADJ_TICK, .tick = 10000});
}

static void discipline(void)
{
	adjust("PLL", (struct timex){.modes = ADJ_STATUS | ADJ_NANO | ADJ_TIMECONST, .status = STA_PLL, .constant = 3});
	struct timex x = adjust("errors", (struct timex){.modes = ADJ_MAXERROR | ADJ_ESTERROR, .maxerror = 1000, .esterror = 20});
	printf("maxerror %ld, esterror %ld\n", (long)x.maxerror, (long)x.esterror);
	adjust("offset", (struct timex){.modes = ADJ_OFFSET, .offset = 4000000});
	long long mono, raw, mono_end, raw_end;
	both(clock_gettime, &mono, &raw);
	usleep(2200000);
	both(clock_gettime, &mono_end, &raw_end);
	x = (struct timex){0};
	syscall(SYS_adjtimex, &x);
	long long slewed = (mono_end - mono) - (raw_end - raw);
	printf("the offset is slewed: %d, %d\n", x.offset < 4000000 && x.offset > 3000000, slewed > 100000 && slewed < 600000);
	printf("maxerror grows by 500 us in a second: %d\n", x.maxerror >= 2000 && x.maxerror <= 2500);
	x = (struct timex){.modes = ADJ_SETOFFSET}; /* ends the correction of the offset */
	syscall(SYS_adjtimex, &x);
	adjust("micro", (struct timex){.modes = ADJ_MICRO | ADJ_STATUS | ADJ_FREQUENCY, .status = STA_UNSYNC});
	adjust("constant in microseconds", (struct timex){.modes = ADJ_TIMECONST, .constant = 3});
	adjust("no PLL, no offset", (struct timex){.modes = ADJ_OFFSET, .offset = 100});
}

static void single_shot(void)
{
	long long mono, raw, mono_end, raw_end;
	both(clock_gettime, &mono, &raw);
	struct timex y = adjust("single shot", (struct timex){.modes = ADJ_OFFSET_SINGLESHOT, .offset = 1000});
	y = (struct timex){.modes = ADJ_OFFSET_SS_READ};
	syscall(SYS_adjtimex, &y);
	printf("left: %ld\n", (long)y.offset);
	usleep(3300000);
	y = (struct timex){.modes = ADJ_OFFSET_SS_READ};
	syscall(SYS_adjtimex, &y);
	both(clock_gettime, &mono_end, &raw_end);
	long long slewed = (mono_end - mono) - (raw_end - raw);
	printf("left: %ld, slewed: %d\n", (long)y.offset, slewed > 950000 && slewed < 1050000);
}

static void steps(void)
{
	int file = MUST(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK));
	long long real = now(CLOCK_REALTIME), mono = now(CLOCK_MONOTONIC);
	struct itimerspec hour = {.it_value = {real / second + 3600, 0}};
	MUST(timerfd_settime(file, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &hour, NULL));
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	timer_t timer, tai;
	MUST(timer_create(CLOCK_REALTIME, NULL, &timer));
	MUST(timer_settime(timer, TIMER_ABSTIME, &hour, NULL));
	pid_t sleeper = MUST(fork());
	if (sleeper == 0)
		_exit(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &hour.it_value, NULL) == 0 ? 7 : 8);
	usleep(50000);
	struct timex x = adjust("step", (struct timex){.modes = ADJ_SETOFFSET, .time = {7200, 250000}});
	long long moved = now(CLOCK_REALTIME) - real - (now(CLOCK_MONOTONIC) - mono);
	printf("the clock has moved by %lld ms, and adjtimex returns the new time: %d\n", (moved + 500000) / 1000000,
	       x.time.tv_sec >= real / second + 7200);
	uint64_t count;
	SHOW(read(file, &count, sizeof count));
	struct timespec wait = {5, 0};
	printf("the timer expires: %d\n", sigtimedwait(&set, NULL, &wait) == SIGALRM);
	int status;
	waitpid(sleeper, &status, 0);
	printf("the sleep ends: %d\n", WEXITSTATUS(status));
	adjust("step back", (struct timex){.modes = ADJ_SETOFFSET | ADJ_NANO, .time = {-7201, 750000000}});

	adjust("TAI", (struct timex){.modes = ADJ_TAI, .constant = 37});
	adjust("TAI that is too large", (struct timex){.modes = ADJ_TAI, .constant = 100001});
	printf("TAI is ahead by %lld s\n", (now(CLOCK_TAI) - now(CLOCK_REALTIME) + 500000000) / second);
	agreement(CLOCK_TAI);
	long long end = now(CLOCK_TAI) + 100000000;
	struct itimerspec soon = {.it_value = {end / second, end % second}};
	MUST(timer_create(CLOCK_TAI, NULL, &tai));
	MUST(timer_settime(tai, TIMER_ABSTIME, &soon, NULL));
	printf("the timer of TAI expires: %d", sigtimedwait(&set, NULL, &wait) == SIGALRM);
	printf(", not early: %d\n", now(CLOCK_TAI) >= end);
	end += 200000000;
	soon.it_value = (struct timespec){end / second, end % second};
	clock_nanosleep(CLOCK_TAI, TIMER_ABSTIME, &soon.it_value, NULL);
	printf("a sleep on TAI is not early: %d, and not late: %d\n", now(CLOCK_TAI) >= end, now(CLOCK_TAI) < end + second);
	printf("timerfd_create of TAI: %ld\n", result(timerfd_create(CLOCK_TAI, 0)));
}

static char text[64];

static const char *contents(const char *name)
{
	int file = open(name, O_RDONLY);
	long n = file < 0 ? -1 : read(file, text, sizeof text - 1);
	if (n < 0)
		return strerror(errno);
	close(file);
	text[n - (n > 0)] = 0;
	return text;
}

static long put(const char *name, const char *value)
{
	int file = open(name, O_WRONLY);
	if (file < 0)
		return -errno;
	long n = result(write(file, value, strlen(value)));
	close(file);
	return n;
}

static void slack(void)
{
	printf("slack %d %s\n", prctl(PR_GET_TIMERSLACK), contents("/proc/self/timerslack_ns"));
	prctl(PR_SET_TIMERSLACK, 12345);
	printf("slack %d %s\n", prctl(PR_GET_TIMERSLACK), contents("/proc/self/timerslack_ns"));
	int pipes[2];
	char name[64];
	MUST(pipe(pipes));
	pid_t child = MUST(fork());
	if (child == 0) {
		printf("child %d", prctl(PR_GET_TIMERSLACK));
		prctl(PR_SET_TIMERSLACK, 1);
		prctl(PR_SET_TIMERSLACK, 0);
		printf(" %d\n", prctl(PR_GET_TIMERSLACK));
		fflush(stdout);
		close(pipes[1]);
		char c;
		_exit(read(pipes[0], &c, 1));
	}
	usleep(100000);
	snprintf(name, sizeof name, "/proc/%d/timerslack_ns", child);
	printf("written: %ld,", put(name, "32\n"));
	printf(" %s\n", contents(name));
	printf("refused: %ld %ld %ld %ld\n", put(name, "-1"), put(name, "a"), put(name, "0x20"), put(name, "18446744073709551616"));
	printf("reset: %ld,", put(name, "0"));
	printf(" %s\n", contents(name));
	MUST(setresuid(1000, 1000, 1000));
	printf("other user: %ld,", put(name, "7"));
	printf(" %s,", contents(name));
	printf(" own %ld,", put("/proc/self/timerslack_ns", "8"));
	printf(" %s\n", contents("/proc/self/timerslack_ns"));
	struct timex x = {0};
	printf("reading needs no privilege: %d", syscall(SYS_adjtimex, &x) >= 0);
	x = (struct timex){.modes = ADJ_OFFSET_SS_READ};
	printf(" %d\n", syscall(SYS_adjtimex, &x) >= 0);
	x = (struct timex){.modes = ADJ_OFFSET_SINGLESHOT};
	printf("without privilege: %ld", result(syscall(SYS_adjtimex, &x)));
	x = (struct timex){.modes = ADJ_TICK, .tick = 1};
	printf(" %ld", result(syscall(SYS_adjtimex, &x)));
	x = (struct timex){.modes = 0x8000};
	printf(" %ld\n", result(syscall(SYS_adjtimex, &x)));
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	struct timex x = {.modes = ADJ_STATUS | ADJ_FREQUENCY | ADJ_TICK | ADJ_MICRO | ADJ_TAI | ADJ_TIMECONST, .status = STA_UNSYNC, .tick = 10000};
	MUST(syscall(SYS_adjtimex, &x));
	errors();
	slewing();
	discipline();
	single_shot();
	steps();
	slack();
	return 0;
}
