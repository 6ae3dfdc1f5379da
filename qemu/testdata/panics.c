/* Makes system calls whose handlers panic, in child processes and their threads. It
 * needs a kernel that was built with -tags faultinject. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

enum { call_exit = 509, call_nil = 510, call_panic = 511 };

static void *in_thread(void *number)
{
	syscall((long)number);
	return 0;
}

static void report(const char *what, int threaded, long number)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		if (threaded) {
			pthread_t t;
			pthread_create(&t, 0, in_thread, (void *)number);
			pthread_join(t, 0);
		} else {
			syscall(number);
		}
		_exit(99); /* the call must not return */
	}
	waitpid(child, &status, 0);
	printf("%s: signal %d\n", what, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

static volatile long error_code;

static void keep_error(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info;
	error_code = ((ucontext_t *)context)->uc_mcontext.gregs[REG_ERR];
	((ucontext_t *)context)->uc_mcontext.gregs[REG_CSGSFS] = 0x2b000000000033L;
}

/* Makes the kernel's IRETQ fault on a stack segment. The program must get the fault. */
static void bad_exit(void)
{
	struct sigaction action = {.sa_sigaction = keep_error, .sa_flags = SA_SIGINFO};
	sigaction(SIGSEGV, &action, 0);
	for (int i = 0; i < 3; i++) {
		error_code = -1;
		long result = syscall(call_exit, 0x18);
		printf("exit: result %ld, error code %lx\n", result, error_code);
	}
	signal(SIGSEGV, SIG_DFL);
	report("exit without a handler", 0, call_exit);
}

int main(void)
{
	bad_exit();
	for (int i = 0; i < 3; i++) {
		report("nil", 0, call_nil);
		report("panic", 0, call_panic);
		report("panic in a thread", 1, call_panic);
	}
	puts("alive");
	return 5;
}
