/* Makes system calls whose handlers panic, in child processes and their threads. It
 * needs a kernel that was built with -tags faultinject. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { call_nil = 510, call_panic = 511 };

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

int main(void)
{
	for (int i = 0; i < 3; i++) {
		report("nil", 0, call_nil);
		report("panic", 0, call_panic);
		report("panic in a thread", 1, call_panic);
	}
	puts("alive");
	return 5;
}
