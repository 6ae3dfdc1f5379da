/* Makes random system calls, the same for the same seed: torture SEED ROUNDS CALLS
 * [nobody]. In each round, child processes make random calls with arguments that are
 * likely to cause errors. They are root in every other round, or never with
 * "nobody". Then all processes are killed and must end. Run it only in a disposable
 * machine. */
#include "report.h"
#include "torture.h"

#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>

enum { CHILDREN = 6, PAGE = 4096, SCRATCH = 16 * PAGE, LIMIT_MS = 3000, NOBODY = 65534 };
#define PLACE "/tmp/torture"
#define COUNT(a) (sizeof(a) / sizeof *(a))

static __thread uint64_t state; /* of the random number generator */

static uint64_t any(void)
{
	state ^= state << 13, state ^= state >> 7, state ^= state << 17;
	return state * 0x2545f4914f6cdd1d;
}

static uint64_t below(uint64_t n) { return (any() >> 20) % n; }

static void seed(uint64_t a, uint64_t b, uint64_t c)
{
	state = (a * 1000003 + b) * 1000003 + c + 0x9e3779b97f4a7c15;
	for (int i = 0; i < 8; i++)
		any();
}

static char *buffer, *readonly, *tail, *nothing;
static long *done; /* the number of calls by all processes */
static char longname[300], longpath[2 * PATH_MAX];
static const char *const paths[] = {
	"f", "d", "d/f", "l", "loop", "fifo", "s", "missing", "missing/f", "f/", "d/", "d/..", ".", "..", "", "/", "//", "/tmp", "t",
	"/proc", "/proc/self/maps", "/proc/self/fd/3", "/proc/self/fd", "/proc/self/mem", "/proc/self/exe", "/proc/self/task",
	"/proc/self/status", "/proc/self/comm", "/proc/self/environ", "/proc/self/oom_score_adj", "/proc/meminfo", "/proc/mounts",
	"/proc/sys/kernel/hostname", "/sys", "/dev", "/dev/zero", "/dev/null", "/dev/full", "/dev/random", "/dev/ptmx",
	"/dev/pts", "/dev/pts/0", "/dev/tty", "/dev/shm", "user.a", "trusted.b", "tmpfs", "proc", longname, longpath,
};

static const uint64_t numbers[] = {
	0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 16, 17, 24, 31, 32, 63, 64, 65, 100, 127, 128, 255, 256, 511, 512, 1000, 1023, 1024, 4095, 4096,
	4097, 8192, 65535, 65536, 1 << 20, 1 << 24, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 1UL << 40, 1UL << 47,
	0x7ffffffffffff000, 0x7fffffffffffffff, 0x8000000000000000, -1UL, -2UL, -100UL, -4095UL, -4096UL,
};

static uint64_t number(void)
{
	switch (below(8)) {
	case 0: return 1UL << below(64);
	case 1: return any() >> below(64);
	case 2: return below(64);
	default: return numbers[below(COUNT(numbers))];
	}
}

static uint64_t address(void)
{
	static const uint64_t wrong[] = {
		0, 1, 4095, 4096, 0x7fffffffe000, 0x7ffffffff000, 0x7fffffffffff, 0x800000000000, 0x8000000000000000,
		0xffff7fffffffffff, 0xffff800000000000, 0xffff888000000000, 0xffffffff80200000, 0xffffffffff600000, -1UL, -4096UL,
	};
	switch (below(16)) {
	case 0: return wrong[below(COUNT(wrong))];
	case 1: return (uint64_t)tail + PAGE - below(64);
	case 2: return (uint64_t)readonly + below(PAGE);
	case 3: return (uint64_t)nothing;
	case 4: return 0;
	case 5: return (uint64_t)buffer + below(SCRATCH);
	default: return (uint64_t)buffer + 8 * below(SCRATCH / 8);
	}
}

static uint64_t path(void) { return below(12) ? (uint64_t)paths[below(COUNT(paths))] : address(); }

/* Returns a process id that does not reach processes outside of the test. */
static uint64_t process(void)
{
	const int64_t some[] = {0, getpid(), getppid(), getpid() + 1, getpid() - 1, -getpid(), gettid(), INT_MAX, 30000, -30000};
	int64_t pid = some[below(COUNT(some))];
	return pid == 1 || pid == 2 || pid == -1 ? 0 : pid;
}

static uint64_t argument(char kind)
{
	switch (below(12) ? kind : "fdsplixmPn"[below(10)]) {
	case 'f': return below(10) ? 3 + below(24) : number();
	case 'd': return below(3) ? (uint64_t)AT_FDCWD : below(2) ? 4 : number();
	case 's': return path();
	case 'p': return address();
	case 'l': return below(2) ? below(5000) : number();
	case 'x': return below(4) ? (1UL << below(32)) | (below(2) ? 1UL << below(16) : 0) | below(4) : number();
	case 'm': return below(010000);
	case 'P': return process();
	case 'n': return below(66);
	default: return number();
	}
}

/* Fills a part of the buffer with plausible fields of structures. */
static void fill(void)
{
	uint64_t *word = (uint64_t *)buffer + below(SCRATCH / 8 - 64);
	uint64_t mode = below(4);
	for (int i = 0; i < 64; i++)
		word[i] = below(3) == mode ? address() : mode == 3 ? below(3) | below(40) << 32 : below(6) ? number() : path();
}

/* Returns whether a call must not be made because it affects processes outside of the
 * test. */
static int forbidden(long call, const uint64_t *a)
{
	static const int never[] = {SYS_reboot, SYS_exit_group, SYS_rt_sigreturn, SYS_syslog};
	for (size_t i = 0; i < COUNT(never); i++)
		if (call == never[i])
			return 1;
	int toProcess = call == SYS_kill || call == SYS_tkill || call == SYS_tgkill || call == SYS_rt_sigqueueinfo ||
		call == SYS_rt_tgsigqueueinfo || call == SYS_pidfd_open || call == SYS_prlimit64;
	for (int i = 0; toProcess && i < 2; i++)
		if ((int)a[i] >= -2 && (int)a[i] <= 2 && a[i] != 0)
			return 1;
	return call == SYS_fcntl && ((int)a[1] == F_SETOWN || (int)a[1] == F_SETOWN_EX);
}

/* Makes sure that an interval timer interrupts calls that block: earlier random calls
 * may have blocked signals or stopped the timer. */
static void interruptible(void)
{
	uint64_t none = 0;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
	struct itimerval soon = {{0, 20000}, {0, 20000}};
	syscall(SYS_setitimer, ITIMER_REAL, &soon, 0);
}

static void nap(int signal) { (void)signal; }

static void torture(long calls)
{
	while (calls-- > 0) {
		interruptible();
		fill();
		long call = below(50) ? (long)below(CALLS) : (long)number();
		const char *kind = call >= 0 && call < CALLS && kinds[call] ? kinds[call] : "??????";
		uint64_t a[6] = {0};
		for (int i = 0; i < 6; i++)
			a[i] = argument(*kind ? *kind++ : 'i');
		if (forbidden(call, a))
			continue;
		__atomic_add_fetch(done, 1, __ATOMIC_RELAXED);
		pid_t before = getpid();
		syscall(call, a[0], a[1], a[2], a[3], a[4], a[5]);
		if (getpid() != before) /* a child of a random fork makes fewer and other calls */
			seed(state, getpid(), 0), calls /= 4;
	}
}

/* Opens one descriptor of each kind, starting at 3. */
static void descriptors(void)
{
	int two[2];
	sigset_t set;
	sigemptyset(&set), sigaddset(&set, SIGUSR1);
	open("f", O_RDWR | O_CREAT, 0666), open(".", O_RDONLY);
	(void)!pipe(two), socketpair(AF_UNIX, SOCK_STREAM, 0, two), socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, two);
	socket(AF_UNIX, SOCK_STREAM, 0), epoll_create1(0), eventfd(1, EFD_NONBLOCK), timerfd_create(CLOCK_MONOTONIC, 0);
	signalfd(-1, &set, SFD_NONBLOCK), memfd_create("torture", MFD_ALLOW_SEALING);
	int terminal = open("/dev/ptmx", O_RDWR | O_NONBLOCK | O_NOCTTY);
	int zero = 0;
	syscall(SYS_ioctl, terminal, 0x40045431 /* TIOCSPTLCK */, &zero);
	syscall(SYS_ioctl, terminal, 0x5441 /* TIOCGPTPEER */, O_RDWR | O_NOCTTY);
	open("/dev/zero", O_RDWR), open("/proc/self/maps", O_RDONLY), open("/proc/self", O_RDONLY), open("fifo", O_RDWR);
	syscall(SYS_pidfd_open, getpid(), 0), open("f", O_PATH), open("/proc/self/mem", O_RDWR), pipe2(two, O_NONBLOCK);
}

/* A thread that races with the child's first thread for memory and descriptors. */
static void *rival(void *calls)
{
	seed(getpid(), (uint64_t)calls, 1);
	torture((long)calls);
	return NULL;
}

static void child(uint64_t first, uint64_t round, uint64_t index, long calls, int root)
{
	setsid();
	mkdir(PLACE, 0777), chmod(PLACE, 0777);
	(void)!chdir(PLACE);
	mkdir("d", 0777), chmod("d", 0777), mknod("fifo", S_IFIFO | 0666, 0), symlink("f", "l"), symlink("loop", "loop");
	close(open("d/f", O_RDWR | O_CREAT, 0666));
	struct sigaction action = {.sa_handler = nap};
	sigaction(SIGALRM, &action, NULL), sigaction(SIGPIPE, &action, NULL);
	if (!root)
		MUST(setgid(NOBODY)), MUST(setuid(NOBODY));
	descriptors();
	pthread_t thread;
	if (index % 3 == 0)
		pthread_create(&thread, NULL, rival, (void *)calls);
	seed(first, round, index);
	torture(calls);
	_exit(0);
}

static void pages(void)
{
	buffer = (char *)MUST(mmap(NULL, SCRATCH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	done = (long *)MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	readonly = (char *)MUST(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	tail = (char *)MUST(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	MUST(munmap(tail + PAGE, PAGE));
	nothing = (char *)MUST(mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	memset(longname, 'n', sizeof longname - 1), memset(longpath, '/', sizeof longpath - 1);
}

static long milliseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until there are no children, at most limit milliseconds. Returns whether there
 * are none. */
static int reaped(long limit)
{
	for (long end = milliseconds() + limit; milliseconds() < end;) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);
		if (pid == -1 && errno == ECHILD)
			return 1;
		if (pid == 0)
			usleep(2000);
	}
	return 0;
}

static int discard(const char *name, const struct stat *s, int type, struct FTW *w)
{
	(void)s, (void)type, (void)w;
	remove(name);
	return 0;
}

static long freeMemory(void)
{
	char text[256] = "";
	int fd = open("/proc/meminfo", O_RDONLY);
	(void)!read(fd, text, sizeof text - 1);
	close(fd);
	char *line = strstr(text, "MemFree:");
	return line ? atol(line + 8) : -1;
}

int main(int argc, char **argv)
{
	if (argc < 4 || getpid() > 2) {
		fprintf(stderr, "usage: torture SEED ROUNDS CALLS [nobody], as the first process of a disposable machine\n");
		return 2;
	}
	uint64_t first = strtoul(argv[1], NULL, 0);
	long rounds = atol(argv[2]), calls = atol(argv[3]);
	MUST(prctl(PR_SET_CHILD_SUBREAPER, 1));
	pages();
	int null = MUST(open("/dev/null", O_RDWR));
	for (long round = 0; round < rounds; round++) {
		for (int i = 0; i < CHILDREN; i++)
			if (MUST(fork()) == 0) {
				dup2(null, 0), dup2(null, 1), dup2(null, 2), close(null);
				child(first, round, i, calls, argc == 4 && round % 2 == 0);
			}
		reaped(LIMIT_MS);
		kill(-1, SIGKILL);
		if (!reaped(20000)) {
			printf("round %ld: SIGKILL does not end some processes\n", round);
			return 1;
		}
		nftw(PLACE, discard, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
		fprintf(stderr, "round %ld: %ld calls so far, %ld kB free\n", round, *done, freeMemory());
	}
	printf("alive\n");
	return 0;
}
