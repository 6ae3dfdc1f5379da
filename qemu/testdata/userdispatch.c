/* Checks syscall user dispatch: the rules of prctl(2), the range, the selector, SIGSYS,
 * the return from its handler, and what fork(2), threads and execve(2) inherit. */
#include "report.h"
#include <linux/audit.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <ucontext.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif
#ifndef SYS_USER_DISPATCH
#define SYS_USER_DISPATCH 2
#endif

static volatile char selector;
static volatile int caught, number, code, error, same_address, result_register;
static volatile unsigned arch;

/* The handler itself may call only after it has opened the selector. */
static void on_sigsys(int signal, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	(void)signal;
	selector = 0;
	caught++, number = info->si_syscall, code = info->si_code, error = info->si_errno, arch = info->si_arch;
	same_address = REGISTER(uc, IP) == (long)info->si_call_addr;
	result_register = REGISTER(uc, AX);
	REGISTER(uc, AX) = 4321;
}

static long dispatch(unsigned long mode, unsigned long offset, unsigned long length, volatile void *byte)
{
	return prctl(PR_SET_SYSCALL_USER_DISPATCH, mode, offset, length, byte);
}

static void show(const char *what, long result)
{
	selector = 0;
	printf("%s: result %ld, caught %d, call %d, code %d, errno %d, arch %x, rip is si_call_addr %d, rax %d\n", what, result, caught, number,
	       code, error, arch, same_address, result_register);
	caught = number = code = error = arch = same_address = result_register = 0;
}

static volatile int may_call, has_called;

/* The main thread, which is dispatched, must make no call while the selector is 1. */
static void *thread(void *argument)
{
	(void)argument;
	while (!may_call)
		;
	selector = 1;
	long result = syscall(SYS_getpgid, 1 << 30);
	selector = 0;
	has_called = 1;
	return (void *)result;
}

/* Ends a child, and prints how. */
#define IN_CHILD(part) printf("%s: %x\n", #part, IN_A_CHILD(part; selector = 0) & 0xff7f)

static void bad_selector(char value)
{
	MUST(dispatch(1, 0, 0, &selector));
	selector = value;
	syscall(SYS_getppid);
}

static void unmapped_selector(void)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(dispatch(1, 0, 0, page));
	munmap(page, 4096);
	syscall(SYS_getppid);
}

static void blocked_signal(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	sigprocmask(SIG_BLOCK, &set, NULL);
	MUST(dispatch(1, 0, 0, &selector));
	selector = 1;
	syscall(SYS_getppid);
}

static void inherited(void)
{
	selector = 1;
	long result = syscall(SYS_getpgid, 1 << 30);
	show("a child is not dispatched", result);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "x")) {
		printf("executed: %d\n", (int)syscall(SYS_getppid) > 0);
		return 9;
	}
	struct sigaction action = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
	MUST(sigaction(SIGSYS, &action, NULL));
	SHOW(dispatch(2, 0, 0, NULL));
	SHOW(dispatch(0, 1, 0, NULL));
	SHOW(dispatch(0, 0, 1, NULL));
	SHOW(dispatch(0, 0, 0, &selector));
	SHOW(dispatch(1, 1, 0, &selector));
	SHOW(dispatch(1, -1ul, 2, &selector));
	SHOW(dispatch(1, 1, -1ul, &selector));
#ifdef __x86_64__ /* every address of a 32-bit program is one of user memory */
	SHOW(dispatch(1, 0, 0, (void *)(1ul << 63)));
#endif
	SHOW(dispatch(0, 0, 0, NULL));

	MUST(dispatch(1, 0, 0, &selector));
	show("open", syscall(SYS_getpgid, 1 << 30));
	selector = 1;
	long result = syscall(SYS_getpgid, 1 << 30);
	show("closed", result);
	selector = 1;
	result = syscall(5000, 1, 2);
	show("an unused number", result);
	IN_CHILD(inherited());
	pthread_t t;
	void *from_thread;
	MUST(dispatch(1, 0, 0, &selector));
	pthread_create(&t, NULL, thread, NULL);
	may_call = 1;
	while (!has_called)
		;
	pthread_join(t, &from_thread);
	show("a thread is not dispatched", (long)from_thread);

	MUST(dispatch(1, 0, -1ul, NULL));
	show("everything is in the range", syscall(SYS_getpgid, 1 << 30));
	MUST(dispatch(0, 0, 0, NULL));
	IN_CHILD(bad_selector(2));
	IN_CHILD(bad_selector(-1));
	IN_CHILD(unmapped_selector());
	IN_CHILD(blocked_signal());
	fflush(stdout);
	MUST(dispatch(1, 0, 0, &selector));
	execl("/proc/self/exe", "userdispatch", "x", NULL);
	return 99;
}
