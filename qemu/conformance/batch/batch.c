// batch LIST runs the programs that the file LIST names, one line each, and prints
// a line "RESULT name status" after each: the exit code, 128 plus the number of the
// signal that ended it, or "timeout". A line has the time limit in seconds, the
// name, and the program with its arguments, separated by spaces.
//
// A program runs in a session of its own, in which it is neither the session leader
// nor a process group leader, in a directory of its own, with /dev/null as its
// standard input. Everything that it leaves running is killed before the next
// program starts, so batch must be the only program of its system or of its pid
// namespace. What a program prints is printed too, without its terminal controls.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ARGUMENTS = 64, MAX_OUTPUT = 4096 };

static const char directory[] = "/tmp/batch", output[] = "/tmp/batch.out";

static int remove_entry(const char *path, const struct stat *s, int type, struct FTW *ftw)
{
	(void)s, (void)type, (void)ftw;
	return remove(path);
}

// The program's code as a shell reports it.
static int code(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// The session leader starts the program and exits with its code.
static void lead(char **arguments)
{
	setsid();
	pid_t program = fork();
	if (program == 0) {
		execv(arguments[0], arguments);
		perror(arguments[0]);
		_exit(127);
	}
	// A program may send signals to its process group.
	// SIGCHLD must not be ignored meanwhile: the code of a program that ends at once would be lost.
	for (int s = 1; s < NSIG; s++)
		if (s != SIGCHLD)
			signal(s, SIG_IGN);
	int status;
	while (waitpid(program, &status, 0) < 0)
		if (errno != EINTR) {
			perror("batch: waitpid");
			_exit(126);
		}
	_exit(code(status));
}

static void start(char **arguments)
{
	int in = open("/dev/null", O_RDONLY), out = open(output, O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0666);
	if (in < 0 || out < 0 || chdir(directory) != 0) {
		perror("batch");
		_exit(126);
	}
	dup2(in, 0);
	dup2(out, 1);
	dup2(out, 2);
	close(in);
	close(out);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	lead(arguments);
}

static void print_output(void)
{
	static char text[MAX_OUTPUT];
	int fd = open(output, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text);
	if (fd >= 0)
		close(fd);
	for (ssize_t i = 0; i < n; i++)
		putchar(text[i] == '\n' || (unsigned char)text[i] >= ' ' ? text[i] : '?');
	if (n > 0 && text[n - 1] != '\n')
		putchar('\n');
}

static void run(int seconds, const char *name, char **arguments)
{
	nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	mkdir(directory, 0777);
	chmod(directory, 0777);
	fflush(stdout);
	pid_t leader = fork();
	if (leader == 0)
		start(arguments);
	struct timespec deadline, left;
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += seconds;
	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	int status = 0, ended = 0;
	for (;;) {
		pid_t pid;
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == leader)
				goto done;
		clock_gettime(CLOCK_MONOTONIC, &left);
		if (left.tv_sec >= deadline.tv_sec)
			break;
		left = (struct timespec){.tv_sec = 1};
		sigtimedwait(&child, NULL, &left);
	}
	ended = 1;
done:
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	print_output();
	if (ended)
		printf("RESULT %s timeout\n", name);
	else
		printf("RESULT %s %d\n", name, code(status));
}

int main(int argc, char **argv)
{
	FILE *list = argc == 2 ? fopen(argv[1], "r") : NULL;
	if (list == NULL) {
		fprintf(stderr, "usage: batch LIST; LIST must be a readable file\n");
		return 2;
	}
	fcntl(fileno(list), F_SETFD, FD_CLOEXEC);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	static char line[4096];
	while (fgets(line, sizeof line, list)) {
		char *arguments[MAX_ARGUMENTS + 1], *rest = line;
		int seconds = atoi(strtok_r(rest, " \n", &rest));
		char *name = strtok_r(rest, " \n", &rest);
		int n = 0;
		while (n < MAX_ARGUMENTS && (arguments[n] = strtok_r(rest, " \n", &rest)))
			n++;
		arguments[n] = NULL;
		if (n > 0)
			run(seconds, name, arguments);
	}
	fflush(stdout);
	return 0;
}
