/* A thread stands in its ptrace stop at the entry of a system call while another thread
 * of its process installs a filter for both (SECCOMP_FILTER_FLAG_TSYNC). The filter must
 * decide about the call. Linux may have read the thread flags before the stop, and then
 * misses the filter. */
#include "report.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

static int stopped[2], installed[2];

static void *tracee(void *argument)
{
	(void)argument;
	MUST(ptrace(PTRACE_TRACEME, 0, 0, 0));
	pid_t self = syscall(SYS_gettid);
	MUST(write(installed[1], &self, sizeof self));
	syscall(SYS_tgkill, getpid(), self, SIGSTOP);
	errno = 0;
	syscall(SYS_getpgid, 1 << 30);
	return (void *)(long)errno;
}

static int install(unsigned flags, unsigned number, unsigned error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {4, code};
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static void child(int before)
{
	char byte;
	pthread_t thread;
	void *result;
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	if (before)
		MUST(install(0, SYS_getppid, EDOM)); /* SECCOMP is set before the stop */
	pthread_create(&thread, NULL, tracee, NULL);
	MUST(read(stopped[0], &byte, 1));
	MUST(install(SECCOMP_FILTER_FLAG_TSYNC, SYS_getpgid, EXDEV));
	MUST(write(installed[1], "x", 1));
	pthread_join(thread, &result);
	_exit((long)result);
}

int main(void)
{
	for (int before = 0; before < 2; before++) {
		int status;
		char byte;
		pid_t thread;
		MUST(pipe(stopped));
		MUST(pipe(installed));
		pid_t pid = MUST(fork());
		if (pid == 0)
			child(before);
		MUST(read(installed[0], &thread, sizeof thread));
		MUST(waitpid(thread, &status, __WALL));
		MUST(ptrace(PTRACE_SYSCALL, thread, 0, 0));
		MUST(waitpid(thread, &status, __WALL));
		while (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP || ptrace(PTRACE_PEEKUSER, thread, 15 * 8, 0) != SYS_getpgid) {
			MUST(ptrace(PTRACE_SYSCALL, thread, 0, 0));
			MUST(waitpid(thread, &status, __WALL));
		}
		MUST(write(stopped[1], "x", 1));
		MUST(read(installed[0], &byte, 1));
		MUST(ptrace(PTRACE_DETACH, thread, 0, 0));
		MUST(waitpid(pid, &status, 0));
		printf("%s filter before the stop: error %d, want %d\n", before ? "a" : "no", WEXITSTATUS(status), EXDEV);
	}
	return 0;
}
