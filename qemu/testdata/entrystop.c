/* Checks what a tracer changes while the tracee stands in the entry stop of a system call:
 * the number, the arguments and the result, and seccomp filters that are installed at that
 * moment. */
#include "report.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>

static long request(long number, pid_t pid, void *addr, void *data)
{
	errno = 0;
	return syscall(SYS_ptrace, number, pid, addr, data);
}

#define OPTION(bits) ((void *)(long)(bits))

/* The result of the tracee's call, where the tracer can see it. */
static volatile long *result;

/* Starts a tracee that makes one call and then exits with 7. */
static pid_t call_once(long number, long first)
{
	fflush(stdout);
	pid_t pid = MUST(fork());
	if (pid == 0) {
		request(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		errno = 0;
		*result = syscall(number, first, 0, 0, 0, 0, 0);
		if (*result == -1)
			*result = -errno;
		_exit(7);
	}
	int status;
	MUST(waitpid(pid, &status, 0));
	MUST(request(PTRACE_SETOPTIONS, pid, 0, OPTION(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP)));
	return pid;
}

/* Resumes the tracee and waits for its next stop. */
static int next(pid_t pid, long how)
{
	int status = 0;
	MUST(request(how, pid, 0, 0));
	MUST(waitpid(pid, &status, 0));
	return status;
}

static void change(pid_t pid, const char *what, void (*edit)(struct user_regs_struct *))
{
	struct user_regs_struct r;
	MUST(request(PTRACE_GETREGS, pid, 0, &r));
	if ((pid_t)r.rax == pid)
		r.rax = 1000000; /* getpid has succeeded; the number differs from run to run */
	printf("%s: stop in %lld, rax %lld\n", what, (long long)r.orig_rax, (long long)r.rax);
	edit(&r);
	MUST(request(PTRACE_SETREGS, pid, 0, &r));
}

static void to_umask(struct user_regs_struct *r) { r->orig_rax = SYS_umask, r->rdi = 0123; }
static void to_unused(struct user_regs_struct *r) { r->orig_rax = 5000; }
static void to_none(struct user_regs_struct *r) { r->orig_rax = -1; }
static void to_none_with_result(struct user_regs_struct *r) { r->orig_rax = -1, r->rax = 99; }
static void to_argument(struct user_regs_struct *r) { r->rdi = 1; }
static void to_result(struct user_regs_struct *r) { r->rax = 77; }
static void to_large(struct user_regs_struct *r) { r->orig_rax = 0x100000000ull | SYS_getpid; }

static void run(const char *what, long how, void (*at_entry)(struct user_regs_struct *), void (*at_exit)(struct user_regs_struct *))
{
	*result = -1000;
	pid_t pid = call_once(SYS_umask, 0077);
	int status = next(pid, how);
	change(pid, what, at_entry);
	if (at_exit) {
		status = next(pid, PTRACE_SYSCALL);
		change(pid, what, at_exit);
	}
	status = next(pid, PTRACE_CONT);
	printf("%s: result %ld, exit %d\n", what, *result, WIFEXITED(status) ? WEXITSTATUS(status) : -status);
}

static void nothing(struct user_regs_struct *r) { (void)r; }

static void install(unsigned flags, unsigned action)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_umask, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {4, filter};
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) != 0)
		*result = -2000 - errno;
}

static volatile int go;

static void *install_later(void *argument)
{
	(void)argument;
	while (!go)
		usleep(1000);
	install(SECCOMP_FILTER_FLAG_TSYNC, SECCOMP_RET_ERRNO | EDOM);
	go = 2;
	for (;;)
		pause();
	return NULL;
}

static int peek_go(pid_t pid) { return ptrace(PTRACE_PEEKDATA, pid, &go, 0); }

/* Another thread of the tracee installs a filter for all threads while this one stands in the
 * entry stop. The filter must hold for the call that is about to begin. Linux 6.18 misses it. */
static void filter_during_stop(void)
{
	*result = -1000;
	fflush(stdout);
	pid_t pid = MUST(fork());
	if (pid == 0) {
		pthread_t thread;
		pthread_create(&thread, NULL, install_later, NULL);
		request(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		errno = 0;
		*result = syscall(SYS_umask, 077);
		if (*result == -1)
			*result = -errno;
		_exit(7);
	}
	int status;
	MUST(waitpid(pid, &status, 0));
	status = next(pid, PTRACE_SYSCALL);
	MUST(ptrace(PTRACE_POKEDATA, pid, &go, 1));
	while ((peek_go(pid) & 3) != 2)
		usleep(1000);
	next(pid, PTRACE_CONT);
	printf("a filter for all threads during the entry stop: %ld\n", *result);
}

static void trace_by_filter(void)
{
	*result = -1000;
	fflush(stdout);
	pid_t pid = MUST(fork());
	if (pid == 0) {
		request(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		errno = 0;
		install(0, SECCOMP_RET_TRACE | 0x1234);
		for (int i = 0; i < 3; i++)
			*result = syscall(SYS_umask, 077);
		_exit(7);
	}
	int status;
	MUST(waitpid(pid, &status, 0));
	MUST(request(PTRACE_SETOPTIONS, pid, 0, OPTION(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACESECCOMP)));
	unsigned long message = 0;
	struct __ptrace_syscall_info info;
	memset(&info, 0, sizeof info);
	status = next(pid, PTRACE_CONT);
	MUST(request(PTRACE_GETEVENTMSG, pid, 0, &message));
	printf("seccomp event %x message %lx\n", status >> 8, message);
	long size = request(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof info, &info);
	printf("%ld bytes, op %d call %lld data %x\n", size, info.op, (long long)info.seccomp.nr, info.seccomp.ret_data);
	change(pid, "at the seccomp stop", to_none_with_result);
	next(pid, PTRACE_CONT);
	printf("skipped: %ld\n", *result);
	change(pid, "to another call", to_large);
	MUST(request(PTRACE_SETOPTIONS, pid, 0, OPTION(0)));
	next(pid, PTRACE_SYSCALL);
	struct user_regs_struct r;
	MUST(request(PTRACE_GETREGS, pid, 0, &r));
	printf("exit stop: getpid %d\n", (pid_t)r.rax == pid);
	next(pid, PTRACE_SYSCALL); /* the entry; without PTRACE_O_TRACESECCOMP the filter then fails the call */
	next(pid, PTRACE_SYSCALL);
	MUST(request(PTRACE_GETREGS, pid, 0, &r));
	printf("without the option: %lld\n", (long long)r.rax);

	struct sock_filter filter[8];
	printf("filter: %ld instructions\n", request(PTRACE_SECCOMP_GET_FILTER, pid, (void *)0, filter));
	printf("filter 1: %ld", request(PTRACE_SECCOMP_GET_FILTER, pid, (void *)1, filter));
	printf(" %s\n", strerror(errno));
	MUST(request(PTRACE_SETOPTIONS, pid, 0, OPTION(PTRACE_O_SUSPEND_SECCOMP)));
	next(pid, PTRACE_CONT);
}

/* A call that the tracer runs for a task that stands at the exit of another. */
static void suspended_filter(void)
{
	*result = -1000;
	pid_t pid = call_once(SYS_umask, 0022);
	SHOW(request(PTRACE_SECCOMP_GET_FILTER, pid, (void *)0, NULL));
	MUST(request(PTRACE_SETOPTIONS, pid, 0, OPTION(PTRACE_O_SUSPEND_SECCOMP)));
	next(pid, PTRACE_CONT);
	printf("with suspended seccomp: %ld\n", *result);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	result = (volatile long *)MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	umask(0022);
	if (argc > 1 && strcmp(argv[1], "filter") == 0) {
		filter_during_stop();
		return 0;
	}
	run("nothing changed", PTRACE_SYSCALL, nothing, nothing);
	run("number and argument", PTRACE_SYSCALL, to_umask, nothing);
	run("unused number", PTRACE_SYSCALL, to_unused, nothing);
	run("number -1", PTRACE_SYSCALL, to_none, nothing);
	run("number -1 and a result", PTRACE_SYSCALL, to_none_with_result, nothing);
	run("number with high bits", PTRACE_SYSCALL, to_large, to_result);
	run("argument", PTRACE_SYSCALL, to_argument, nothing);
	run("result", PTRACE_SYSCALL, nothing, to_result);
	run("emulated", PTRACE_SYSEMU, to_result, NULL);
	run("emulated, with an exit stop", PTRACE_SYSEMU, nothing, to_result);
	suspended_filter();
	trace_by_filter();
	return 0;
}
