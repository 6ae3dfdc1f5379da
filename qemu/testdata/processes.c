/* Checks fork, vfork, exec, pipes, all forms of wait, process groups and sessions. */
#include "report.h"

static int child_exit(int code)
{
	pid_t pid = MUST(fork());
	if (pid == 0)
		_exit(code);
	int status;
	MUST(waitpid(pid, &status, 0));
	return status;
}

static int child_killed(int signal)
{
	int status;
	pid_t pid = MUST(fork());
	if (pid == 0)
		for (;;)
			pause();
	MUST(kill(pid, signal));
	MUST(waitpid(pid, &status, 0));
	return status;
}

static void stop_and_continue(void)
{
	int status, gate[2];
	char byte;
	MUST(pipe(gate));
	pid_t pid = MUST(fork());
	if (pid == 0) {
		raise(SIGSTOP);
		/* The child must not exit before its parent has seen that it continued. */
		close(gate[1]);
		_exit(read(gate[0], &byte, 1) == 0 ? 3 : 4);
	}
	MUST(waitpid(pid, &status, WUNTRACED));
	printf("stopped %d by %d\n", WIFSTOPPED(status), WSTOPSIG(status));
	MUST(kill(pid, SIGCONT));
	MUST(waitpid(pid, &status, WCONTINUED));
	printf("continued %d\n", WIFCONTINUED(status));
	close(gate[1]);
	MUST(waitpid(pid, &status, 0));
	printf("exited %d with %d\n", WIFEXITED(status), WEXITSTATUS(status));
	close(gate[0]);
}

static void waitid_forms(void)
{
	siginfo_t info = {0};
	pid_t pid = MUST(fork());
	if (pid == 0)
		_exit(21);
	MUST(waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
	printf("waitid with WNOWAIT: code %d status %d\n", info.si_code, info.si_status);
	MUST(waitid(P_ALL, 0, &info, WEXITED));
	printf("waitid: code %d status %d pid %d\n", info.si_code, info.si_status, info.si_pid == pid);
	SHOW(waitpid(-1, NULL, WNOHANG));
	SHOW(waitpid(pid, NULL, 0));
}

static void pipeline(char *self)
{
	int ends[2], status;
	char text[64] = {0};
	MUST(pipe(ends));
	pid_t pid = MUST(vfork());
	if (pid == 0) {
		dup2(ends[1], 1);
		execl(self, self, "child", "one argument", (char *)NULL);
		_exit(98);
	}
	close(ends[1]);
	ssize_t n, got = 0;
	while ((n = read(ends[0], text + got, sizeof text - 1 - got)) > 0)
		got += n;
	MUST(waitpid(pid, &status, 0));
	printf("the child printed '%s' and exited with %d\n", text, WEXITSTATUS(status));
	MUST(pipe(ends));
	close(ends[0]);
	signal(SIGPIPE, SIG_IGN);
	SHOW(write(ends[1], "x", 1));
	signal(SIGPIPE, SIG_DFL);
}

static void groups(void)
{
	int status;
	pid_t pid = MUST(fork());
	if (pid == 0) {
		MUST(setsid());
		printf("leader %d %d\n", getsid(0) == getpid(), getpgrp() == getpid());
		SHOW(setsid());
		fflush(stdout);
		_exit(0);
	}
	MUST(waitpid(pid, &status, 0));
	SHOW(setpgid(0, -5));
	SHOW(kill(0x7ffffff, 0));
	SHOW(execl("/nonexistent", "x", (char *)NULL));
	SHOW(execl("/", "x", (char *)NULL));
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		printf("%s: %s", argv[1], argv[2]);
		return 12;
	}
	setbuf(stdout, NULL);
	printf("exit %x\n", child_exit(7));
	printf("exit %x\n", child_exit(0x1ff));
	printf("killed %x\n", child_killed(SIGKILL));
	printf("killed %x\n", child_killed(SIGTERM));
	stop_and_continue();
	waitid_forms();
	pipeline("/proc/self/exe");
	groups();
	for (int i = 0; i < 100; i++)
		if (child_exit(i) != i << 8)
			printf("the exit code of child %d is wrong\n", i);
	return 5;
}
