/* Checks ptrace: attaching, signal-delivery stops, group stops, events, system call stops,
 * wait4 of tracees, and the deaths of tracers and tracees. */
#include "report.h"
#include <pthread.h>
#include <sched.h>
#include <sys/ptrace.h>

#define OPTIONS_OF_CLONE (PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACECLONE)

static long request(long number, pid_t pid, void *addr, void *data)
{
	errno = 0;
	return syscall(SYS_ptrace, number, pid, addr, data);
}

#define OPTION(bits) ((void *)(long)(bits))

/* Names of the processes of a test, because their ids differ from run to run. */
static struct {
	pid_t pid;
	const char *name;
} names[64];
static int named;

static void name(pid_t pid, const char *text)
{
	names[named].pid = pid;
	names[named++].name = text;
}

static const char *name_of(pid_t pid)
{
	for (int i = named - 1; i >= 0; i--)
		if (names[i].pid == pid)
			return names[i].name;
	return pid <= 0 ? "none" : "unknown";
}

static void print_status(const char *who, int status)
{
	if (WIFEXITED(status))
		printf("  %s exited with %d\n", who, WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		printf("  %s killed by %d\n", who, WTERMSIG(status));
	else if (WIFCONTINUED(status))
		printf("  %s continued\n", who);
	else
		printf("  %s stopped by %d event %d%s\n", who, WSTOPSIG(status) & 0x7f, status >> 16,
		       WSTOPSIG(status) & 0x80 ? " in a call" : "");
}

/* Waits for one process and prints its change. */
static int expect(pid_t pid, int options)
{
	int status = 0;
	pid_t got = waitpid(pid, &status, options);
	if (got <= 0) {
		printf("  waitpid of %s: %d %s\n", name_of(pid), (int)got, got ? strerror(errno) : "nothing");
		return -1;
	}
	print_status(name_of(got), status);
	return status;
}

static void resume(long number, pid_t pid, int signal)
{
	if (request(number, pid, 0, OPTION(signal)) != 0)
		printf("  request %ld: %s\n", number, strerror(errno));
}

static unsigned long message(pid_t pid)
{
	unsigned long m = -1;
	MUST(request(PTRACE_GETEVENTMSG, pid, 0, &m));
	return m;
}

static void print_siginfo(pid_t pid)
{
	siginfo_t info;
	memset(&info, 0, sizeof info);
	if (request(PTRACE_GETSIGINFO, pid, 0, &info) != 0) {
		printf("  no siginfo: %s\n", strerror(errno));
		return;
	}
	printf("  siginfo: signal %d code %d\n", info.si_signo, info.si_code);
}

/* Starts a child that its parent traces and that stops before it calls the function. */
static pid_t traced(const char *text, void (*function)(void))
{
	fflush(stdout);
	pid_t pid = MUST(fork());
	if (pid == 0) {
		if (request(PTRACE_TRACEME, 0, 0, 0) != 0)
			_exit(98);
		raise(SIGSTOP);
		function();
		_exit(7);
	}
	name(pid, text);
	int status;
	MUST(waitpid(pid, &status, 0));
	return pid;
}

/* Starts a child that calls the function and is not traced. */
static pid_t plain(const char *text, void (*function)(void))
{
	fflush(stdout);
	pid_t pid = MUST(fork());
	if (pid == 0) {
		function();
		_exit(7);
	}
	name(pid, text);
	return pid;
}

static void nothing(void) {}

/* SIGTSTP stops only a process whose group is not orphaned: it is in another group of the
 * session than its parent. */
static void pause_forever(void)
{
	setpgid(0, 0);
	for (;;)
		pause();
}

/* Waits until the state of a process in /proc is one of the letters. */
static void await_state(pid_t pid, const char *letters)
{
	char path[64], text[256], state = 0;
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	for (int i = 0; i < 5000; i++) {
		int fd = open(path, O_RDONLY);
		ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
		if (fd >= 0)
			close(fd);
		if (n > 0) {
			text[n] = 0;
			state = strrchr(text, ')')[2];
			if (strchr(letters, state))
				return;
		}
		usleep(1000);
	}
	printf("  %s is in state %c, not in %s\n", name_of(pid), state, letters);
}

static void print_tracer(pid_t pid)
{
	char path[64], line[256];
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f)) {
		int tracer;
		if (strncmp(line, "State:", 6) == 0)
			printf("  %s", line);
		if (sscanf(line, "TracerPid: %d", &tracer) == 1)
			printf("  tracer: %s\n", tracer == getpid() ? "this" : tracer ? "another" : "none");
	}
	if (f)
		fclose(f);
}

static void finish(pid_t pid)
{
	kill(pid, SIGKILL);
	expect(pid, __WALL);
}

/* Signal-delivery stops. */

static volatile sig_atomic_t handled, handled_code;
static void handler(int signal, siginfo_t *info, void *context)
{
	handled = signal;
	handled_code = info->si_code;
}

static void handle(int signal)
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
	sigaction(signal, &action, NULL);
}

static void take_signals(void)
{
	handle(SIGUSR1);
	handle(SIGUSR2);
	signal(SIGWINCH, SIG_IGN);
	raise(SIGUSR1);
	if (handled)
		_exit(1);
	raise(SIGUSR1);
	if (handled != SIGUSR2 || handled_code != SI_USER)
		_exit(2);
	raise(SIGWINCH);
	handled = 0;
	raise(SIGUSR1);
	if (handled != SIGUSR1 || handled_code != -77)
		_exit(3);
	raise(SIGTERM);
}

static void signal_stops(void)
{
	puts("signal-delivery stops");
	pid_t pid = traced("child", take_signals);
	print_tracer(pid);
	resume(PTRACE_CONT, pid, 0);
	expect(pid, 0);
	print_siginfo(pid);
	resume(PTRACE_CONT, pid, 0); /* suppressed */
	expect(pid, 0);
	resume(PTRACE_CONT, pid, SIGUSR2); /* changed */
	expect(pid, 0);			   /* ignored, and seen by the tracer */
	resume(PTRACE_CONT, pid, SIGWINCH);
	expect(pid, 0);
	siginfo_t info;
	MUST(request(PTRACE_GETSIGINFO, pid, 0, &info));
	info.si_code = -77;
	MUST(request(PTRACE_SETSIGINFO, pid, 0, &info));
	resume(PTRACE_CONT, pid, SIGUSR1);
	expect(pid, 0);
	resume(PTRACE_CONT, pid, SIGTERM);
	expect(pid, 0);
}

/* A signal that the tracer injects although the tracee blocks it becomes pending. */
static void block_and_take(void)
{
	sigset_t set, empty;
	handle(SIGUSR1);
	sigemptyset(&empty);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR2);
	if (handled)
		_exit(1);
	sigpending(&set);
	if (!sigismember(&set, SIGUSR1))
		_exit(2);
	sigsuspend(&empty);
	_exit(handled == SIGUSR1 ? 0 : 3);
}

static void masks_and_queues(void)
{
	puts("masks and queues");
	pid_t pid = traced("child", block_and_take);
	resume(PTRACE_CONT, pid, 0);
	expect(pid, 0);
	uint64_t mask = 0;
	MUST(request(PTRACE_GETSIGMASK, pid, (void *)8, &mask));
	printf("  mask %llx\n", (unsigned long long)mask);
	SHOW(request(PTRACE_GETSIGMASK, pid, (void *)4, &mask));
	mask |= 1ull << (SIGKILL - 1) | 1ull << (SIGHUP - 1);
	MUST(request(PTRACE_SETSIGMASK, pid, (void *)8, &mask));
	MUST(request(PTRACE_GETSIGMASK, pid, (void *)8, &mask));
	printf("  mask %llx\n", (unsigned long long)mask);
	mask &= ~(1ull << (SIGHUP - 1));
	MUST(request(PTRACE_SETSIGMASK, pid, (void *)8, &mask));

	union sigval value = {.sival_int = 5};
	MUST(sigqueue(pid, SIGRTMIN + 1, value));
	value.sival_int = 6;
	MUST(sigqueue(pid, SIGRTMIN + 2, value));
	MUST(syscall(SYS_tgkill, pid, pid, SIGRTMIN + 3));
	siginfo_t infos[4];
	struct __ptrace_peeksiginfo_args peek = {.off = 0, .flags = PTRACE_PEEKSIGINFO_SHARED, .nr = 4};
	memset(infos, 0, sizeof infos);
	printf("  shared: %ld", request(PTRACE_PEEKSIGINFO, pid, &peek, infos));
	printf(" signals %d %d value %d %d\n", infos[0].si_signo, infos[1].si_signo, infos[0].si_value.sival_int, infos[1].si_value.sival_int);
	peek.off = 1;
	printf("  from 1: %ld", request(PTRACE_PEEKSIGINFO, pid, &peek, infos));
	printf(" signal %d\n", infos[0].si_signo);
	peek.off = 9;
	printf("  from 9: %ld\n", request(PTRACE_PEEKSIGINFO, pid, &peek, infos));
	peek.off = peek.flags = 0;
	printf("  own: %ld", request(PTRACE_PEEKSIGINFO, pid, &peek, infos));
	printf(" signal %d\n", infos[0].si_signo);
	peek.flags = 2;
	SHOW(request(PTRACE_PEEKSIGINFO, pid, &peek, infos));
	peek.flags = 0;
	peek.nr = -1;
	SHOW(request(PTRACE_PEEKSIGINFO, pid, &peek, infos));
	peek.nr = 1;
	SHOW(request(PTRACE_PEEKSIGINFO, pid, &peek, (void *)8));
	SHOW(request(PTRACE_PEEKSIGINFO, pid, (void *)8, infos));

	resume(PTRACE_CONT, pid, SIGUSR1); /* blocked: it becomes pending */
	for (int i = 0; i < 3; i++) {
		expect(pid, 0);
		resume(PTRACE_CONT, pid, 0);
	}
	expect(pid, 0); /* the SIGUSR1 */
	resume(PTRACE_CONT, pid, SIGUSR1);
	expect(pid, 0);
}

/* Attaching and detaching. */

static void attach_and_detach(void)
{
	puts("attach and detach");
	pid_t pid = plain("child", pause_forever);
	await_state(pid, "S");
	SHOW(request(PTRACE_ATTACH, pid, 0, 0));
	expect(pid, 0);
	print_siginfo(pid);
	print_tracer(pid);
	SHOW(request(PTRACE_ATTACH, pid, 0, 0));
	SHOW(request(PTRACE_SEIZE, pid, 0, 0));
	SHOW(request(PTRACE_INTERRUPT, pid, 0, 0));
	SHOW(request(PTRACE_LISTEN, pid, 0, 0));
	SHOW(request(PTRACE_CONT, pid, 0, OPTION(65)));
	SHOW(request(PTRACE_DETACH, pid, 0, OPTION(65)));
	SHOW(request(PTRACE_SETOPTIONS, pid, 0, OPTION(1 << 30)));
	SHOW(request(9999, pid, 0, 0));
	SHOW(request(PTRACE_DETACH, pid, 0, 0));
	await_state(pid, "S");
	print_tracer(pid);
	SHOW(request(PTRACE_CONT, pid, 0, 0));
	SHOW(request(PTRACE_SEIZE, pid, (void *)1, 0));
	SHOW(request(PTRACE_SEIZE, pid, 0, OPTION(1 << 30)));
	SHOW(request(PTRACE_SEIZE, pid, 0, 0));
	SHOW(request(PTRACE_CONT, pid, 0, 0));
	SHOW(request(PTRACE_DETACH, pid, 0, 0));
	SHOW(request(9999, pid, 0, 0));
	SHOW(request(PTRACE_INTERRUPT, pid, 0, 0));
	expect(pid, 0);
	print_siginfo(pid);
	SHOW(request(PTRACE_DETACH, pid, 0, OPTION(SIGTERM))); /* not delivered: it was no signal's stop */
	await_state(pid, "S");
	MUST(request(PTRACE_ATTACH, pid, 0, 0));
	expect(pid, 0);
	SHOW(request(PTRACE_DETACH, pid, 0, OPTION(SIGTERM)));
	expect(pid, 0);
	SHOW(request(PTRACE_ATTACH, getpid(), 0, 0));
	SHOW(request(PTRACE_ATTACH, 0x3fffffff, 0, 0));
	SHOW(request(PTRACE_CONT, getppid(), 0, 0));
	pid = traced("child", nothing);
	SHOW(request(PTRACE_KILL, pid, 0, 0));
	expect(pid, 0);
}

/* Attaching interrupts a sleep, which goes on. */
static void sleep_shortly(void)
{
	struct timespec left = {0}, time = {.tv_nsec = 80000000};
	_exit(nanosleep(&time, &left) == 0 ? 0 : 1);
}

static void read_with_handler(void)
{
	char byte;
	int p[2];
	if (pipe(p))
		_exit(9);
	handle(SIGUSR1);
	errno = 0;
	ssize_t n = read(p[0], &byte, 1);
	_exit(n == -1 && errno == EINTR && handled == SIGUSR1 ? 0 : 1);
}

static void interrupted_calls(void)
{
	puts("interrupted calls");
	pid_t pid = plain("sleeper", sleep_shortly);
	await_state(pid, "S");
	MUST(request(PTRACE_ATTACH, pid, 0, 0));
	expect(pid, 0);
	resume(PTRACE_CONT, pid, 0);
	expect(pid, 0);
	pid = plain("reader", read_with_handler);
	await_state(pid, "S");
	MUST(request(PTRACE_SEIZE, pid, 0, 0));
	for (int i = 0; i < 2; i++) {
		MUST(request(PTRACE_INTERRUPT, pid, 0, 0));
		expect(pid, 0);
		resume(PTRACE_CONT, pid, 0);
		await_state(pid, "S");
	}
	kill(pid, SIGUSR1);
	expect(pid, 0);
	resume(PTRACE_CONT, pid, 0); /* suppressed: the read goes on */
	await_state(pid, "S");
	kill(pid, SIGUSR1);
	expect(pid, 0);
	resume(PTRACE_CONT, pid, SIGUSR1);
	expect(pid, 0);
}

/* Group stops. */

static void group_stop_of_attached(void)
{
	puts("group stop of an attached process");
	pid_t pid = traced("child", pause_forever);
	resume(PTRACE_CONT, pid, SIGSTOP); /* the stop takes effect */
	expect(pid, 0);
	print_siginfo(pid);
	print_tracer(pid);
	resume(PTRACE_CONT, pid, 0); /* it runs although the process is stopped */
	await_state(pid, "S");
	kill(pid, SIGTSTP);
	expect(pid, 0);
	resume(PTRACE_CONT, pid, SIGTSTP);
	expect(pid, 0);
	print_siginfo(pid);
	kill(pid, SIGCONT);
	expect(pid, WNOHANG);
	resume(PTRACE_CONT, pid, 0);
	expect(pid, 0); /* SIGCONT itself */
	resume(PTRACE_DETACH, pid, 0);
	finish(pid);

	pid = plain("stopped child", pause_forever);
	await_state(pid, "S");
	kill(pid, SIGSTOP);
	expect(pid, WUNTRACED);
	MUST(request(PTRACE_ATTACH, pid, 0, 0));
	expect(pid, 0);
	print_siginfo(pid);
	resume(PTRACE_DETACH, pid, 0);
	await_state(pid, "T");
	kill(pid, SIGCONT);
	await_state(pid, "S");
	finish(pid);
}

static void group_stop_of_seized(void)
{
	puts("group stop of a seized process");
	pid_t pid = plain("child", pause_forever);
	await_state(pid, "S");
	MUST(request(PTRACE_SEIZE, pid, 0, 0));
	kill(pid, SIGSTOP);
	expect(pid, 0);
	print_siginfo(pid);
	SHOW(request(PTRACE_LISTEN, pid, 0, 0));
	resume(PTRACE_CONT, pid, SIGSTOP);
	expect(pid, 0);
	print_siginfo(pid);
	SHOW(request(PTRACE_LISTEN, pid, 0, 0));
	SHOW(request(PTRACE_CONT, pid, 0, 0));
	expect(pid, WNOHANG);
	kill(pid, SIGCONT);
	expect(pid, 0);
	print_siginfo(pid);
	resume(PTRACE_CONT, pid, 0);
	expect(pid, 0);
	resume(PTRACE_CONT, pid, SIGCONT);
	await_state(pid, "S");
	kill(pid, SIGTSTP);
	expect(pid, 0);
	resume(PTRACE_CONT, pid, SIGTSTP);
	expect(pid, 0);
	SHOW(request(PTRACE_LISTEN, pid, 0, 0));
	SHOW(request(PTRACE_INTERRUPT, pid, 0, 0));
	expect(pid, 0);
	resume(PTRACE_DETACH, pid, 0);
	await_state(pid, "T");
	MUST(request(PTRACE_SEIZE, pid, 0, 0));
	expect(pid, 0);
	finish(pid);
}

/* Events. */

static char stack_of_thread[65536] __attribute__((aligned(16)));

static int thread_body(void *argument)
{
	syscall(SYS_exit, 5);
	return 0;
}

/* Waits until the tracer has seen the exit of a thread. If the process exited first, the
 * thread would have its exit code. */
static void await_thread(pid_t thread)
{
	char name[64];
	sprintf(name, "/proc/self/task/%d", thread);
	while (access(name, F_OK) == 0)
		sched_yield();
}

static void make_family(void)
{
	int status;
	pid_t pid = fork();
	if (pid == 0)
		_exit(1);
	waitpid(pid, &status, 0);
	pid = vfork();
	if (pid == 0)
		_exit(2);
	waitpid(pid, &status, 0);
	pid = clone(thread_body, stack_of_thread + sizeof stack_of_thread,
		    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, NULL);
	await_thread(pid);
	pid = clone(thread_body, stack_of_thread + sizeof stack_of_thread / 2, 0, NULL);
	waitpid(pid, &status, __WALL);
	pid = syscall(SYS_clone, CLONE_UNTRACED | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		_exit(3);
	waitpid(pid, &status, 0);
}

/* Resumes every tracee until its end, and prints what each one reports. Two of them
 * may run at the same time, so the reports are sorted by tracee. */
static void follow(pid_t first, int seized)
{
	char text[8][2048] = {{0}};
	pid_t pids[8] = {first};
	int known = 1, alive = 1, status;
	while (alive > 0) {
		pid_t pid = waitpid(-1, &status, __WALL);
		if (pid < 0)
			break;
		int i = 0;
		while (i < known && pids[i] != pid)
			i++;
		if (i == known)
			pids[known++] = pid;
		char *end = text[i] + strlen(text[i]);
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			sprintf(end, " exit(%d,%d)", WEXITSTATUS(status), WTERMSIG(status));
			alive = -1;
			for (int j = 0; j < known; j++)
				alive += strstr(text[j], " exit(") == NULL;
			alive += 1;
			continue;
		}
		int event = status >> 16, signal = 0;
		if (event == PTRACE_EVENT_EXIT)
			sprintf(end, " event-exit(%lx)", message(pid));
		else if (event == PTRACE_EVENT_STOP)
			sprintf(end, " event-stop(%d)", WSTOPSIG(status));
		else if (event) {
			unsigned long child = message(pid);
			sprintf(end, " event(%d)", event);
			int j = 0;
			while (j < known && pids[j] != (pid_t)child)
				j++;
			if (j == known)
				pids[known++] = child;
		} else {
			signal = WSTOPSIG(status);
			sprintf(end, " signal(%d)", signal);
			if (signal == SIGSTOP)
				signal = 0;
		}
		MUST(request(PTRACE_CONT, pid, 0, OPTION(signal)));
	}
	for (int i = 0; i < known; i++)
		printf("  %d:%s\n", i, text[i]);
}

static void events(void)
{
	puts("events");
	pid_t pid = traced("child", make_family);
	MUST(request(PTRACE_SETOPTIONS, pid, 0, OPTION(OPTIONS_OF_CLONE | PTRACE_O_TRACEEXIT)));
	resume(PTRACE_CONT, pid, 0);
	follow(pid, 0);

	puts("events of a seized process");
	int gate[2];
	char byte;
	MUST(pipe(gate));
	fflush(stdout);
	pid = MUST(fork());
	if (pid == 0) {
		if (read(gate[0], &byte, 1) == 1)
			make_family();
		_exit(7);
	}
	MUST(request(PTRACE_SEIZE, pid, 0, OPTION(OPTIONS_OF_CLONE | PTRACE_O_TRACEEXIT)));
	MUST(write(gate[1], "x", 1));
	follow(pid, 1);
	close(gate[0]);
	close(gate[1]);
}

/* execve. */

static char *const again[] = {"/proc/self/exe", "child", NULL};

static void execute(void) { execve(again[0], again, NULL); }

static void *execute_in_thread(void *argument)
{
	execute();
	return NULL;
}

static void execute_from_thread(void)
{
	pthread_t thread;
	pthread_create(&thread, NULL, execute_in_thread, NULL);
	pause_forever();
}

static void executions(void)
{
	puts("execve");
	pid_t pid = traced("child", execute);
	resume(PTRACE_CONT, pid, 0);
	expect(pid, 0);
	print_siginfo(pid);
	resume(PTRACE_CONT, pid, 0);
	expect(pid, 0);

	pid = traced("child", execute);
	MUST(request(PTRACE_SETOPTIONS, pid, 0, OPTION(PTRACE_O_TRACEEXEC)));
	resume(PTRACE_CONT, pid, 0);
	expect(pid, 0);
	print_siginfo(pid);
	HOLDS(message(pid) == (unsigned long)pid);
	resume(PTRACE_CONT, pid, 0);
	expect(pid, 0);

	puts("execve in a thread");
	pid = traced("leader", execute_from_thread);
	MUST(request(PTRACE_SETOPTIONS, pid, 0, OPTION(PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE)));
	resume(PTRACE_CONT, pid, 0);
	expect(pid, 0);
	pid_t thread = message(pid);
	name(thread, "thread");
	expect(thread, __WALL);
	resume(PTRACE_CONT, pid, 0);
	resume(PTRACE_CONT, thread, 0);
	int status;
	MUST(waitpid(pid, &status, __WALL));
	print_status("the process", status);
	HOLDS(message(pid) == (unsigned long)thread);
	SHOW(request(PTRACE_CONT, thread, 0, 0));
	SHOW(waitpid(thread, &status, __WALL));
	resume(PTRACE_CONT, pid, 0);
	expect(pid, 0);
}

/* System calls. */

static void print_call(pid_t pid)
{
	struct __ptrace_syscall_info info;
	memset(&info, 0, sizeof info);
	long size = request(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof info, &info);
	printf("  %ld bytes, op %d arch %x addresses %d", size, info.op, info.arch, info.instruction_pointer != 0 && info.stack_pointer != 0);
	if (info.op == 1)
		printf(" call %lld(%lld, %lld)", (long long)info.entry.nr, (long long)info.entry.args[0], (long long)info.entry.args[1]);
	if (info.op == 2)
		printf(" result %lld error %d", (long long)info.exit.rval, info.exit.is_error);
	putchar('\n');
}

static void make_calls(void)
{
	syscall(SYS_dup2, 98, 99);
	syscall(SYS_alarm, 0, 0);
	syscall(SYS_exit_group, 4, 0);
}

static void call_stops(void)
{
	puts("system calls");
	pid_t pid = traced("child", make_calls);
	print_call(pid);
	MUST(request(PTRACE_SETOPTIONS, pid, 0, OPTION(PTRACE_O_TRACESYSGOOD)));
	for (;;) {
		resume(PTRACE_SYSCALL, pid, 0);
		int status = expect(pid, 0);
		if (!WIFSTOPPED(status))
			break;
		print_siginfo(pid);
		printf("  message %ld\n", message(pid));
		print_call(pid);
	}
	pid = traced("child", make_calls);
	resume(PTRACE_SYSCALL, pid, 0);
	expect(pid, 0);
	print_siginfo(pid);
	resume(PTRACE_SYSCALL, pid, SIGUSR1); /* the signal is sent after the stop */
	expect(pid, 0);
	resume(PTRACE_SYSCALL, pid, 0);
	expect(pid, 0);
	finish(pid);

	puts("emulated calls");
	pid = traced("child", make_calls);
	MUST(request(PTRACE_SETOPTIONS, pid, 0, OPTION(PTRACE_O_TRACESYSGOOD)));
	for (int i = 0; i < 3; i++) {
		resume(PTRACE_SYSEMU, pid, 0);
		expect(pid, 0);
		print_call(pid);
	}
	resume(PTRACE_SYSCALL, pid, 0);
	expect(pid, 0);
	print_call(pid);
	finish(pid);
}

/* Deaths. */

static void *idle_thread(void *argument)
{
	pause_forever();
	return NULL;
}

static void leader_exits_first(void)
{
	pthread_t thread;
	pthread_create(&thread, NULL, idle_thread, NULL);
	syscall(SYS_exit, 3);
}

static void deaths(void)
{
	puts("SIGKILL in a stop");
	pid_t pid = traced("child", nothing);
	finish(pid);
	SHOW(request(PTRACE_CONT, pid, 0, 0));

	puts("SIGKILL with PTRACE_O_TRACEEXIT");
	pid = traced("child", pause_forever);
	MUST(request(PTRACE_SETOPTIONS, pid, 0, OPTION(PTRACE_O_TRACEEXIT)));
	kill(pid, SIGKILL);
	expect(pid, 0);
	printf("  message %lx\n", message(pid));
	resume(PTRACE_CONT, pid, 0);
	expect(pid, 0);

	puts("a zombie leader");
	pid = traced("leader", leader_exits_first);
	MUST(request(PTRACE_SETOPTIONS, pid, 0, OPTION(PTRACE_O_TRACECLONE)));
	resume(PTRACE_CONT, pid, 0);
	expect(pid, 0);
	pid_t thread = message(pid);
	name(thread, "thread");
	expect(thread, __WALL);
	resume(PTRACE_CONT, thread, 0);
	resume(PTRACE_CONT, pid, 0);
	await_state(pid, "Z");
	expect(pid, WNOHANG);
	kill(pid, SIGTERM);
	expect(thread, __WALL);
	resume(PTRACE_CONT, thread, SIGTERM);
	expect(thread, __WALL);
	expect(pid, 0);

	puts("a thread that exits");
	pid = traced("leader", nothing);
	SHOW(waitpid(pid, NULL, WNOHANG | __WCLONE));
	finish(pid);
}

/* A tracer that is not the parent. */

static int gate[2];

static void trace_and_wait(pid_t pid, long options, int die)
{
	int status;
	if (request(PTRACE_SEIZE, pid, 0, OPTION(options)) != 0)
		_exit(90);
	if (die) {
		if (write(gate[1], "x", 1) != 1)
			_exit(91);
		_exit(0);
	}
	if (write(gate[1], "x", 1) != 1 || waitpid(pid, &status, __WALL) != pid)
		_exit(92);
	_exit(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void other_tracers(void)
{
	char byte;
	int status;
	MUST(pipe(gate));
	puts("a tracer that is not the parent");
	pid_t pid = plain("child", pause_forever);
	fflush(stdout);
	pid_t tracer = MUST(fork());
	if (tracer == 0)
		trace_and_wait(pid, 0, 0);
	name(tracer, "tracer");
	MUST(read(gate[0], &byte, 1));
	await_state(pid, "S");
	print_tracer(pid);
	kill(pid, SIGKILL);
	expect(tracer, 0);
	expect(pid, 0);

	puts("the tracer dies");
	pid = plain("child", pause_forever);
	fflush(stdout);
	tracer = MUST(fork());
	if (tracer == 0)
		trace_and_wait(pid, 0, 1);
	name(tracer, "tracer");
	MUST(read(gate[0], &byte, 1));
	expect(tracer, 0);
	await_state(pid, "S");
	print_tracer(pid);
	finish(pid);

	puts("the tracer dies with PTRACE_O_EXITKILL");
	pid = plain("child", pause_forever);
	fflush(stdout);
	tracer = MUST(fork());
	if (tracer == 0)
		trace_and_wait(pid, PTRACE_O_EXITKILL, 1);
	name(tracer, "tracer");
	MUST(read(gate[0], &byte, 1));
	MUST(waitpid(tracer, &status, 0));
	print_status("tracer", status);
	expect(pid, 0);
	close(gate[0]);
	close(gate[1]);
}

static void *trace_in_thread(void *argument)
{
	pid_t pid = *(pid_t *)argument;
	printf("  another thread: %ld", request(PTRACE_CONT, pid, 0, 0));
	printf(" %s\n", strerror(errno));
	int status;
	printf("  waitpid with __WNOTHREAD: %d", waitpid(pid, &status, __WNOTHREAD | WNOHANG));
	printf(" %s\n", strerror(errno));
	errno = 0;
	HOLDS(waitpid(pid, &status, 0) == pid);
	return NULL;
}

static void other_thread(void)
{
	puts("another thread of the tracer");
	fflush(stdout);
	pid_t pid = MUST(fork());
	if (pid == 0) {
		request(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGUSR1);
		_exit(7);
	}
	await_state(pid, "t");
	pthread_t thread;
	pthread_create(&thread, NULL, trace_in_thread, &pid);
	pthread_join(thread, NULL);
	resume(PTRACE_CONT, pid, 0);
	name(pid, "child");
	expect(pid, 0);
}

static void notifications(void)
{
	puts("SIGCHLD and waitid");
	sigset_t set, old;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	pid_t pid = traced("child", pause_forever);
	siginfo_t info;
	memset(&info, 0, sizeof info);
	MUST(sigwaitinfo(&set, &info));
	printf("  code %d status %d child %d\n", info.si_code, info.si_status, info.si_pid == pid);
	resume(PTRACE_CONT, pid, SIGSTOP);
	MUST(sigwaitinfo(&set, &info));
	printf("  code %d status %d\n", info.si_code, info.si_status);
	memset(&info, 0, sizeof info);
	MUST(waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
	printf("  code %d status %d\n", info.si_code, info.si_status);
	MUST(waitid(P_ALL, 0, &info, WEXITED));
	printf("  code %d status %d\n", info.si_code, info.si_status);
	SHOW(waitid(P_PID, pid, &info, WEXITED | WNOHANG));
	printf("  pid %d\n", info.si_pid);
	kill(pid, SIGKILL);
	MUST(sigwaitinfo(&set, &info));
	printf("  code %d status %d\n", info.si_code, info.si_status);
	expect(pid, 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return 11;
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal_stops();
	masks_and_queues();
	attach_and_detach();
	interrupted_calls();
	group_stop_of_attached();
	group_stop_of_seized();
	events();
	executions();
	call_stops();
	deaths();
	other_tracers();
	other_thread();
	notifications();
	return 0;
}
