// Counts the interrupts of a CPU of nohz_full= while one program spins there and another one
// loads the other CPU. Arguments: the CPU, and the seconds.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct shared {
	volatile unsigned long turns[2];
	volatile int ready, stop;
};

static struct shared *shared;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

// pin moves the caller to a CPU.
static void pin(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set) != 0) {
		perror("sched_setaffinity");
		exit(1);
	}
}

// interrupts returns the sum of a CPU's column of /proc/interrupts.
static unsigned long interrupts(int cpu)
{
	char line[4096];
	unsigned long sum = 0;
	FILE *f = fopen("/proc/interrupts", "r");
	if (f == NULL) {
		perror("/proc/interrupts");
		exit(1);
	}
	while (fgets(line, sizeof line, f)) {
		char *p = strchr(line, ':');
		if (p == NULL)
			continue;
		p++;
		for (int i = 0; i < cpu; i++)
			strtoul(p, &p, 10);
		sum += strtoul(p, &p, 10);
	}
	fclose(f);
	return sum;
}

static pid_t spinner(int cpu, int slot)
{
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	pin(cpu);
	shared->ready++;
	while (!shared->stop)
		shared->turns[slot]++;
	_exit(0);
}

// load makes objects of the kernel and drops them, so that its heap is collected.
static void load(double seconds)
{
	static char buffer[65536];
	for (double end = now() + seconds; now() < end;) {
		int pairs[32][2];
		for (int i = 0; i < 32; i++) {
			socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]);
			write(pairs[i][0], buffer, sizeof buffer / 2);
		}
		for (int i = 0; i < 32; i++) {
			close(pairs[i][0]);
			close(pairs[i][1]);
		}
		int f = open("/proc/self/smaps", O_RDONLY);
		while (read(f, buffer, sizeof buffer) > 0)
			;
		close(f);
		char *m = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		memset(m, 1, 1 << 20);
		munmap(m, 1 << 20);
		if (fork() == 0)
			_exit(0);
		wait(NULL);
	}
}

// userTime returns the time of user mode of a process, in ticks of 10 ms.
static long userTime(pid_t pid, long *system)
{
	char path[64], text[1024];
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *f = fopen(path, "r");
	size_t n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = 0;
	long user = 0;
	sscanf(strrchr(text, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, system);
	return user;
}

int main(int argc, char **argv)
{
	int cpu = atoi(argv[1]);
	double seconds = atof(argv[2]);
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pin(0);
	pid_t first = spinner(cpu, 0);
	while (!shared->ready)
		usleep(1000);
	load(0.5);
	long system0, system1;
	long user0 = userTime(first, &system0);
	double begin = now();
	unsigned long before = interrupts(cpu), turns = shared->turns[0];
	load(seconds);
	unsigned long alone = interrupts(cpu) - before;
	long user1 = userTime(first, &system1);
	double took = now() - begin;
	printf("interrupts of a single task: %lu\n", alone);
	printf("it ran: %s\n", shared->turns[0] - turns > 1000000 ? "yes" : "no");
	double share = (user1 - user0) / 100.0 / took;
	printf("its time is user time: %s\n", share > 0.97 && share < 1.03 && system1 - system0 <= 1 ? "yes" : "no");
	if (share <= 0.97 || share >= 1.03 || system1 - system0 > 1)
		fprintf(stderr, "user %ld system %ld of %.3f s\n", user1 - user0, system1 - system0, took);

	pid_t second = spinner(cpu, 1);
	while (shared->ready < 2)
		usleep(1000);
	unsigned long at[2] = {shared->turns[0], shared->turns[1]};
	before = interrupts(cpu);
	load(1);
	double ratio = (double)(shared->turns[0] - at[0]) / (double)(shared->turns[1] - at[1] + 1);
	printf("two tasks are interrupted: %s\n", interrupts(cpu) - before > 50 ? "yes" : "no");
	printf("two tasks share: %s\n", ratio > 0.3 && ratio < 3 ? "yes" : "no");
	if (ratio <= 0.3 || ratio >= 3)
		fprintf(stderr, "ratio %.3f\n", ratio);
	kill(second, SIGKILL);
	waitpid(second, NULL, 0);

	load(0.2);
	before = interrupts(cpu);
	load(0.5);
	printf("interrupts of a single task again: %lu\n", interrupts(cpu) - before);
	shared->stop = 1;
	int status;
	struct rusage u;
	wait4(first, &status, 0, &u);
	printf("exit status %d\n", status);
	return 0;
}
