/* Checks signal handlers, masks, alternate stacks, interrupted and restarted calls, and
 * timers. */
#include "report.h"
#include <sys/time.h>

static volatile sig_atomic_t caught, caught_code, caught_value, depth, deepest;

static void count(int signal) { (void)signal; caught++; }

static void describe(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)context;
	caught_code = info->si_code;
	caught_value = info->si_value.sival_int;
}

static void nested(int signal)
{
	(void)signal;
	if (++depth > deepest)
		deepest = depth;
	if (depth < 4)
		raise(SIGUSR1);
	depth--;
}

static void install(int signal, void (*handler)(int), int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
	MUST(sigaction(signal, &action, NULL));
}

static void masks(void)
{
	sigset_t set, old, pending;
	install(SIGUSR1, count, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	MUST(sigprocmask(SIG_BLOCK, &set, &old));
	raise(SIGUSR1);
	raise(SIGUSR1);
	MUST(sigpending(&pending));
	printf("blocked: caught %d pending %d\n", (int)caught, sigismember(&pending, SIGUSR1));
	sigsuspend(&old);
	printf("suspended: caught %d\n", (int)caught);
	MUST(sigprocmask(SIG_SETMASK, &old, NULL));
	install(SIGUSR1, nested, SA_NODEFER);
	raise(SIGUSR1);
	printf("nested: deepest %d\n", (int)deepest);
	SHOW(signal(SIGKILL, count) == SIG_ERR);
}

static void queued(void)
{
	struct sigaction action = {.sa_sigaction = describe, .sa_flags = SA_SIGINFO};
	MUST(sigaction(SIGRTMIN, &action, NULL));
	union sigval value = {.sival_int = 42};
	MUST(sigqueue(getpid(), SIGRTMIN, value));
	printf("queued: code %d value %d\n", (int)caught_code, (int)caught_value);
	sigset_t set;
	siginfo_t info;
	struct timespec limit = {0, 1000000};
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	MUST(sigprocmask(SIG_BLOCK, &set, NULL));
	MUST(sigqueue(getpid(), SIGRTMIN + 1, value));
	printf("waited: %d\n", sigwaitinfo(&set, &info) - SIGRTMIN);
	SHOW(sigtimedwait(&set, &info, &limit));
}

static void interrupted(void)
{
	char byte;
	int ends[2];
	struct itimerval soon = {.it_value = {0, 20000}};
	MUST(pipe(ends));
	install(SIGALRM, count, 0);
	caught = 0;
	MUST(setitimer(ITIMER_REAL, &soon, NULL));
	SHOW(read(ends[0], &byte, 1));
	install(SIGALRM, count, SA_RESTART);
	MUST(setitimer(ITIMER_REAL, &soon, NULL));
	pid_t pid = MUST(fork());
	if (pid == 0) {
		usleep(80000);
		write(ends[1], "x", 1);
		_exit(0);
	}
	SHOW(read(ends[0], &byte, 1));
	int status;
	MUST(waitpid(pid, &status, 0));
	printf("interrupted %d times\n", (int)caught);
	struct timespec rest, second = {1, 0};
	install(SIGALRM, count, 0);
	MUST(setitimer(ITIMER_REAL, &soon, NULL));
	SHOW(nanosleep(&second, &rest));
	HOLDS(rest.tv_sec == 0 && rest.tv_nsec > 0);
	alarm(0);
}

static void on_stack(int signal)
{
	stack_t now;
	(void)signal;
	sigaltstack(NULL, &now);
	caught_value = (char *)&now >= (char *)now.ss_sp && (char *)&now < (char *)now.ss_sp + now.ss_size && now.ss_flags == SS_ONSTACK;
}

static void alternate(void)
{
	static char space[32768];
	stack_t stack = {.ss_sp = space, .ss_size = sizeof space};
	MUST(sigaltstack(&stack, NULL));
	install(SIGUSR2, on_stack, SA_ONSTACK);
	raise(SIGUSR2);
	printf("on the alternate stack: %d\n", (int)caught_value);
	install(SIGUSR2, on_stack, 0);
	raise(SIGUSR2);
	printf("on the normal stack: %d\n", (int)caught_value);
}

static void floating_point(int signal)
{
	(void)signal;
	__asm__ volatile("pxor %%xmm6, %%xmm6; pxor %%xmm7, %%xmm7; fninit" : : : "xmm6", "xmm7");
}

static void registers(void)
{
	long double x87;
	double result;
	install(SIGUSR1, floating_point, 0);
	__asm__ volatile("movq %2, %%xmm6; fldpi\n movl $39, %%eax; syscall; movl %%eax, %%edi; movl $10, %%esi; movl $62, %%eax; syscall\n"
			 "fstpt %1; movsd %%xmm6, %0"
			 : "=m"(result), "=m"(x87)
			 : "r"(2.5)
			 : "rax", "rcx", "r11", "rdi", "rsi", "xmm6", "memory");
	printf("registers survive a handler: %.1f %.6Lf\n", result, x87);
}

static void ignored_children(void)
{
	signal(SIGCHLD, SIG_IGN);
	if (MUST(fork()) == 0)
		_exit(0);
	SHOW(wait(NULL));
	signal(SIGCHLD, SIG_DFL);
}

int main(void)
{
	setbuf(stdout, NULL);
	masks();
	queued();
	interrupted();
	alternate();
	registers();
	ignored_children();
	raise(SIGTERM);
	return 99;
}
