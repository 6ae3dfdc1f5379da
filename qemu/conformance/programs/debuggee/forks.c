// forks is a program for debuggers that forks a child, which executes itself, and
// then a child by vfork.
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int child_work(int n)
{
	return n + 1;
}

static int wait_for(pid_t pid)
{
	int status = 0;
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "child") == 0)
		return child_work(6);
	pid_t pid = fork();
	if (pid == 0) {
		child_work(1);
		execl(argv[0], argv[0], "child", NULL);
		_exit(127);
	}
	int first = wait_for(pid);
	pid = vfork();
	if (pid == 0)
		_exit(9);
	int second = wait_for(pid);
	printf("children %d %d\n", first, second);
	return 0;
}
