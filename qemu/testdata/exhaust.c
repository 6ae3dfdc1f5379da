/* Exhausts a resource: memory, processes or descriptors. The kernel must return an
 * error or kill this program, and must survive. */
#include "report.h"

static void memory(void)
{
	for (;;) {
		char *p = malloc(1 << 20);
		if (!p)
			exit(3);
		memset(p, 1, 1 << 20);
	}
}

/* The kernel must kill the child, which uses the memory, and not the parent. */
static void child_memory(void)
{
	int status;
	pid_t pid = MUST(fork());
	if (pid == 0)
		memory();
	MUST(waitpid(pid, &status, 0));
	printf("the child ended by signal %d\n", WTERMSIG(status));
}

static void processes(void)
{
	int count = 0;
	for (; count < 20000; count++) {
		pid_t pid = fork();
		if (pid == -1)
			break;
		if (pid == 0) {
			pause();
			_exit(0);
		}
	}
	printf("%s\n", count == 20000 ? "no end" : strerror(errno));
	signal(SIGTERM, SIG_IGN);
	MUST(kill(0, SIGTERM));
	int reaped = 0;
	while (wait(NULL) > 0)
		reaped++;
	printf("all reaped: %d\n", reaped == count);
}

static void descriptors(void)
{
	int count = 0;
	while (dup(0) >= 0)
		count++;
	printf("%d: %s\n", count > 200, strerror(errno));
}

int main(int argc, char **argv)
{
	setbuf(stdout, NULL);
	const char *what = argc > 1 ? argv[1] : "";
	if (!strcmp(what, "memory"))
		memory();
	if (!strcmp(what, "child-memory"))
		child_memory();
	if (!strcmp(what, "processes"))
		processes();
	if (!strcmp(what, "descriptors"))
		descriptors();
	return 9;
}
