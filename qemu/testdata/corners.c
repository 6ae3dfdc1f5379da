/* Checks calls whose result is easy to get wrong: clone that fails late, memory areas of
 * a child, words at unaligned addresses, timers whose signal is not taken, and files of
 * /proc that outlive their opener. */
#include "report.h"
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/timerfd.h>

static void run_child(void (*body)(void))
{
	int status;
	fflush(stdout);
	pid_t pid = MUST(fork());
	if (pid == 0) {
		body();
		fflush(stdout);
		_exit(0);
	}
	MUST(waitpid(pid, &status, 0));
	if (status != 0)
		printf("the child ended with status %#x\n", status);
}

static void failed_clone(void)
{
	struct rlimit none = {0, 0}, old;
	int fd;
	SHOW(syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, 8, 0, 0));
	MUST(getrlimit(RLIMIT_NOFILE, &old));
	none.rlim_max = old.rlim_max;
	MUST(setrlimit(RLIMIT_NOFILE, &none));
	SHOW(syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, &fd, 0, 0));
	MUST(setrlimit(RLIMIT_NOFILE, &old));
	SHOW(waitpid(-1, NULL, WNOHANG));
	SHOW(waitpid(-1, NULL, WNOHANG | __WALL));
}

static void null_results(void)
{
	SHOW(syscall(SYS_getrlimit, RLIMIT_NOFILE, NULL));
	SHOW(syscall(SYS_getrusage, RUSAGE_SELF, NULL));
	SHOW(syscall(SYS_getitimer, ITIMER_REAL, NULL));
	SHOW(syscall(SYS_sched_getparam, 0, NULL));
	SHOW(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, NULL));
	SHOW(syscall(SYS_settimeofday, NULL, 8));
}

static void unaligned_words(void)
{
	static char area[64];
	int word;
	fflush(stdout);
	pid_t pid = MUST(syscall(SYS_clone, CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, 0, area + 1, area + 9, 0));
	if (pid == 0) {
		memcpy(&word, area + 9, 4);
		_exit(word == getpid() ? 7 : 8);
	}
	memcpy(&word, area + 1, 4);
	HOLDS(word == pid);
	int status;
	MUST(waitpid(pid, &status, 0));
	printf("the child found its id: %d\n", WEXITSTATUS(status));
	SHOW(syscall(SYS_futex, area + 1, 1, 1, NULL, NULL, 0));
	memset(area, 0, sizeof area);
	SHOW(syscall(SYS_sched_setparam, 0, area + 3));
}

#define PAGE 4096
#define BASE ((char *)(sizeof(long) == 8 ? 0x200000000 : 0x50000000))

static void show_areas(const char *when)
{
	char line[512];
	unsigned long from, to;
	FILE *maps = fopen("/proc/self/maps", "r");
	printf("%s:", when);
	while (fgets(line, sizeof line, maps)) {
		char rights[8];
		sscanf(line, "%lx-%lx %7s", &from, &to, rights);
		if (from >= (unsigned long)BASE && from < (unsigned long)BASE + 64 * PAGE)
			printf(" %lu-%lu%s", (from - (unsigned long)BASE) / PAGE, (to - (unsigned long)BASE) / PAGE, rights);
	}
	printf("\n");
	fclose(maps);
}

static void map(int at, int pages)
{
	MUST(mmap(BASE + at * PAGE, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
}

static void child_maps(void)
{
	map(2, 1);
	show_areas("the child maps next to a touched area");
	map(3, 1);
	show_areas("the child maps next to an untouched area");
}

static void child_joins(void)
{
	MUST(mprotect(BASE + PAGE, PAGE, PROT_READ | PROT_WRITE));
	show_areas("the child joins what the parent has split");
}

static void areas(void)
{
	map(0, 2);
	BASE[0] = 1;
	run_child(child_maps);
	map(2, 1);
	show_areas("the parent maps next to a touched area");
	BASE[PAGE] = 1;
	MUST(mprotect(BASE + PAGE, PAGE, PROT_READ));
	run_child(child_joins);
	MUST(mprotect(BASE + PAGE, PAGE, PROT_READ | PROT_WRITE));
	show_areas("the parent joins what it has split");
	MUST(mremap(BASE + PAGE, PAGE, PAGE, 0) == MAP_FAILED ? -1 : 0);
	show_areas("after a shrink of nothing");
	MUST(munmap(BASE, 3 * PAGE));
}

static void ignored_children(void)
{
	struct rusage before, after;
	MUST(getrusage(RUSAGE_CHILDREN, &before));
	signal(SIGCHLD, SIG_IGN);
	pid_t pid = MUST(fork());
	if (pid == 0) {
		struct timespec start, now;
		MUST(clock_gettime(CLOCK_MONOTONIC, &start));
		do
			clock_gettime(CLOCK_MONOTONIC, &now);
		while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < 30);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	signal(SIGCHLD, SIG_DFL);
	MUST(getrusage(RUSAGE_CHILDREN, &after));
	printf("a child that was ignored counts: %s\n", memcmp(&before.ru_utime, &after.ru_utime, 2 * sizeof after.ru_utime) ? "YES" : "no");
}

static void slack_of_child(void)
{
	printf("slack %d", prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0));
	prctl(PR_SET_TIMERSLACK, 99, 0, 0, 0);
	prctl(PR_SET_TIMERSLACK, 0, 0, 0, 0);
	printf(", then %d\n", prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0));
}

static void *open_mounts(void *file)
{
	*(int *)file = open("/proc/self/mounts", O_RDONLY);
	return NULL;
}

static void file_of_a_thread(void)
{
	char text[4096];
	pthread_t thread;
	int file;
	MUST(-pthread_create(&thread, NULL, open_mounts, &file));
	MUST(-pthread_join(thread, NULL));
	usleep(20000);
	HOLDS(read(file, text, sizeof text) > 0);
	close(file);
}

static void timers(void)
{
	sigset_t set;
	struct itimerval often = {{0, 1}, {0, 1}}, off = {{0, 0}, {0, 0}}, left;
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigaddset(&set, SIGRTMIN);
	MUST(sigprocmask(SIG_BLOCK, &set, NULL));
	MUST(setitimer(ITIMER_REAL, &often, NULL));
	usleep(5000);
	MUST(getitimer(ITIMER_REAL, &left));
	printf("an expired timer whose signal was not taken has %ld.%06ld left\n", (long)left.it_value.tv_sec, (long)left.it_value.tv_usec);
	int number;
	MUST(sigwait(&set, &number));
	MUST(sigwait(&set, &number));
	printf("it expires again: signal %d\n", number);
	MUST(setitimer(ITIMER_REAL, &off, NULL));
	struct timespec now = {0, 0};
	sigtimedwait(&set, NULL, &now);

	struct sigevent event = {.sigev_notify = 2 /* SIGEV_THREAD */, .sigev_signo = SIGRTMIN};
	struct itimerspec each = {{0, 1000000}, {0, 1000000}};
	siginfo_t info;
	int timer;
	MUST(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer));
	struct rlimit none = {0, 0};
	MUST(setrlimit(RLIMIT_SIGPENDING, &none));
	MUST(kill(getpid(), SIGRTMIN));
	MUST(syscall(SYS_timer_settime, timer, 0, &each, NULL));
	for (int expired = 0; expired < 3;) {
		MUST(sigwaitinfo(&set, &info));
		expired += info.si_code == SI_TIMER;
	}
	printf("the timer expires with a full queue\n");
	MUST(syscall(SYS_timer_delete, timer));
}

static void populate_until_killed(void)
{
	struct itimerval soon = {{0, 0}, {0, 100000}};
	signal(SIGALRM, SIG_DFL);
	sigset_t none;
	sigemptyset(&none);
	MUST(sigprocmask(SIG_SETMASK, &none, NULL));
	MUST(setitimer(ITIMER_REAL, &soon, NULL));
	mmap(NULL, (size_t)(1ULL << 36), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_POPULATE, -1, 0);
	_exit(1);
}

int main(void)
{
	failed_clone();
	null_results();
	unaligned_words();
	areas();
	ignored_children();
	prctl(PR_SET_TIMERSLACK, 7, 0, 0, 0);
	run_child(slack_of_child);
	file_of_a_thread();
	timers();
	run_child(populate_until_killed);
	return 12;
}
