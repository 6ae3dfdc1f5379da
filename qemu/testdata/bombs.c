/* Multiplies something without end as an unprivileged user: processes, memory, pipes
 * or sockets. After each bomb the program kills the user's processes and checks that
 * a shell still works. */
#include "report.h"
#include <grp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#define USER 1000

static char block[64 << 10];

/* A moment later there may be memory again. */
static void again(void)
{
	struct timespec t = { 0, 1000000 };
	nanosleep(&t, NULL);
}

static void fork_or_wait(void)
{
	if (fork() < 0)
		again();
}

static void forks(void)
{
	for (;;)
		fork_or_wait();
}

static void memory(void)
{
	for (;;) {
		char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			fork_or_wait();
		else
			memset(p, 1, 1 << 20);
	}
}

static void pipes(void)
{
	int fds[2];
	for (;;) {
		if (pipe2(fds, O_NONBLOCK)) {
			fork_or_wait();
			continue;
		}
		fcntl(fds[1], F_SETPIPE_SZ, 1 << 20);
		while (write(fds[1], block, sizeof block) > 0)
			;
	}
}

static void sockets(void)
{
	int fds[2];
	for (;;) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds)) {
			fork_or_wait();
			continue;
		}
		while (send(fds[0], block, sizeof block, 0) > 0)
			;
		while (send(fds[1], block, sizeof block, 0) > 0)
			;
	}
}

static void arguments(void)
{
	enum { count = 200000 };
	static char *list[count + 1];
	for (int i = 0; i < count; i++)
		list[i] = "";
	for (int i = 0; i < 20; i++)
		fork_or_wait();
	for (;;) {
		pid_t pid = fork();
		if (pid == 0) {
			execv("/bin/true", list);
			_exit(0);
		}
		if (pid < 0 || waitpid(pid, NULL, 0) < 0)
			again();
	}
}

static const struct bomb {
	const char *name;
	void (*explode)(void);
} bombs[] = {
	{ "fork", forks }, { "memory", memory }, { "pipe", pipes }, { "socket", sockets }, { "execve", arguments },
};

/* While the bomb holds all memory, setgroups may fail with ENOMEM. */
static void become_user(void)
{
	while (setgroups(0, NULL))
		again();
	MUST(setresgid(USER, USER, USER));
	MUST(setresuid(USER, USER, USER));
}

/* Starts f as the user, in a process. */
static pid_t start(void (*f)(void))
{
	pid_t pid;
	while ((pid = fork()) < 0)
		again();
	if (pid == 0) {
		become_user();
		f();
		_exit(0);
	}
	return pid;
}

static void kill_all(void)
{
	kill(-1, SIGKILL);
}

static void detonate(const struct bomb *bomb)
{
	struct rlimit files;
	MUST(getrlimit(RLIMIT_NOFILE, &files));
	files.rlim_cur = files.rlim_max;
	MUST(setrlimit(RLIMIT_NOFILE, &files));

	pid_t pid = start(bomb->explode);
	sleep(1);
	MUST(waitpid(start(kill_all), NULL, 0));
	MUST(waitpid(pid, NULL, 0));
	printf("%s: ", bomb->name);
	fflush(stdout);
	MUST(system("echo a shell works"));
}

int main(void)
{
	for (size_t i = 0; i < sizeof bombs / sizeof *bombs; i++)
		detonate(&bombs[i]);
	return 0;
}
