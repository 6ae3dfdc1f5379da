// launch PROGRAM [ARGUMENT...] resets what a process inherits from its parent
// and then executes PROGRAM, which it looks up in PATH. The environment is the
// launcher's own. It exits with 126 if it cannot reset something and with 127 if
// PROGRAM cannot be executed.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// The soft limits with which Slowpath starts a program. A hard limit stays as it
// is, and a soft limit is at most the hard limit.
static const struct {
	int resource;
	rlim_t soft;
} limits[] = {
	{RLIMIT_CPU, RLIM_INFINITY}, {RLIMIT_FSIZE, RLIM_INFINITY}, {RLIMIT_DATA, RLIM_INFINITY},
	{RLIMIT_STACK, 8 << 20},     {RLIMIT_CORE, 0},              {RLIMIT_RSS, RLIM_INFINITY},
	{RLIMIT_NOFILE, 1024},       {RLIMIT_MEMLOCK, 8 << 20},     {RLIMIT_AS, RLIM_INFINITY},
	{RLIMIT_LOCKS, RLIM_INFINITY},
};

// The kernel's struct sigaction. glibc's function refuses signals 32 and 33.
struct kernel_sigaction {
	void *handler;
	unsigned long flags;
	void *restorer;
	unsigned long mask;
};

static int reset_signals(void)
{
	const struct kernel_sigaction by_default = {0}; // SIG_DFL is 0
	const unsigned long none = 0;
	for (int signal = 1; signal <= 64; signal++)
		if (signal != SIGKILL && signal != SIGSTOP &&
		    syscall(SYS_rt_sigaction, signal, &by_default, NULL, sizeof by_default.mask) != 0)
			return -1;
	return syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
}

static int reset_limits(void)
{
	for (unsigned i = 0; i < sizeof limits / sizeof limits[0]; i++) {
		struct rlimit limit;
		if (getrlimit(limits[i].resource, &limit) != 0)
			return -1;
		limit.rlim_cur = limits[i].soft < limit.rlim_max ? limits[i].soft : limit.rlim_max;
		if (setrlimit(limits[i].resource, &limit) != 0)
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: launch PROGRAM [ARGUMENT...]\n");
		return 126;
	}
	if (reset_signals() != 0 || reset_limits() != 0 || personality(PER_LINUX) == -1) {
		perror("launch: cannot reset what was inherited");
		return 126;
	}
	umask(022);
	closefrom(3);
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 127;
}
