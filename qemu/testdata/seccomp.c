/* Checks seccomp(2): the rules for modes and filters, the actions, stacking,
 * inheritance, TSYNC, and listeners. */
#include "report.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <ucontext.h>

#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND 2
#endif
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV 32
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF_EQUAL(value, verdict) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1), BPF_STMT(BPF_RET | BPF_K, verdict)
#define VERDICT(v) BPF_STMT(BPF_RET | BPF_K, v)
#define INSTALL(flags, ...)                                                        \
	({                                                                         \
		struct sock_filter code_[] = {__VA_ARGS__};                        \
		struct sock_fprog program_ = {sizeof code_ / sizeof *code_, code_}; \
		syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program_);   \
	})

/* Prints how a child that runs part ends. */
#define IN_CHILD(part)                                                               \
	do {                                                                         \
		int end_ = IN_A_CHILD(part);                                         \
		printf("%s: %s %d\n", #part, WIFSIGNALED(end_) ? "signal" : "exit", \
		       WIFSIGNALED(end_) ? WTERMSIG(end_) : WEXITSTATUS(end_));      \
	} while (0)

static void no_new_privileges(void) { MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)); }

static void rules(void)
{
	unsigned action = SECCOMP_RET_USER_NOTIF, unknown = 0x12340000;
	struct seccomp_notif_sizes sizes = {0};
	struct sock_filter allow = VERDICT(SECCOMP_RET_ALLOW);
	struct sock_fprog good = {1, &allow}, empty = {0, &allow}, bad = {1, (void *)8};
	SHOW(prctl(PR_GET_SECCOMP));
	SHOW(prctl(PR_SET_SECCOMP, 3, &good));
	SHOW(syscall(SYS_seccomp, 9, 0, 0));
	SHOW(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, 0));
	SHOW(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, &good));
	SHOW(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
	SHOW(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 1, &action));
	SHOW(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &unknown));
	SHOW(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, 8));
	SHOW(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes));
	printf("sizes %d %d %d\n", sizes.seccomp_notif, sizes.seccomp_notif_resp, sizes.seccomp_data);
	MUST(setresuid(1000, 1000, 1000));
	SHOW(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &good));
	no_new_privileges();
	SHOW(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &empty));
	SHOW(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &bad));
	SHOW(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, 8));
	for (unsigned flags = 0; flags < 128; flags++) {
		errno = 0;
		long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, 8);
		printf("flags %u: %ld %d\n", flags, fd, errno);
	}
	SHOW(INSTALL(0, BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), VERDICT(0)));
	SHOW(INSTALL(0, BPF_STMT(BPF_LD | BPF_MEM, 0), VERDICT(0)));
	SHOW(INSTALL(0, BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), VERDICT(0)));
	SHOW(INSTALL(0, BPF_STMT(BPF_JMP | BPF_JA, 1), VERDICT(0)));
	SHOW(INSTALL(0, LOAD(nr)));
	SHOW(INSTALL(0, LOAD(nr), IF_EQUAL(SYS_getpgid, SECCOMP_RET_ERRNO | 5000), VERDICT(SECCOMP_RET_ALLOW)));
	SHOW(prctl(PR_GET_SECCOMP));
	SHOW(syscall(SYS_getpgid, 0));
	SHOW(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
}

static void status(void)
{
	char line[200];
	FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof line, f))
		if (!strncmp(line, "Seccomp", 7) || !strncmp(line, "NoNewPrivs", 10))
			fputs(line, stdout);
	fclose(f);
}

#ifdef __x86_64__
#define OWN_ARCH AUDIT_ARCH_X86_64
#else
#define OWN_ARCH AUDIT_ARCH_I386
#endif

/* The action with the highest precedence decides, whatever the order. */
static void stack(void)
{
	no_new_privileges();
	MUST(INSTALL(0, LOAD(nr), IF_EQUAL(SYS_getpgid, SECCOMP_RET_ERRNO | 1), VERDICT(SECCOMP_RET_ALLOW)));
	MUST(INSTALL(0, LOAD(nr), IF_EQUAL(SYS_getpgid, SECCOMP_RET_ERRNO | 2), VERDICT(SECCOMP_RET_ALLOW)));
	SHOW(syscall(SYS_getpgid, 0));
	MUST(INSTALL(0, LOAD(nr), IF_EQUAL(SYS_getpgid, SECCOMP_RET_TRACE), VERDICT(SECCOMP_RET_ALLOW)));
	SHOW(syscall(SYS_getpgid, 0));
	MUST(INSTALL(0, LOAD(nr), IF_EQUAL(SYS_getsid, SECCOMP_RET_TRACE), IF_EQUAL(SYS_getpgrp, SECCOMP_RET_LOG), VERDICT(SECCOMP_RET_ALLOW)));
	SHOW(syscall(SYS_getsid, 0));
	HOLDS(syscall(SYS_getpgrp) > 0);
	MUST(INSTALL(0, LOAD(args[0]), IF_EQUAL(77, SECCOMP_RET_ERRNO | ENOTEMPTY), VERDICT(SECCOMP_RET_ALLOW)));
	SHOW(close(77));
	SHOW(close(78));
	MUST(INSTALL(0, LOAD(arch), IF_EQUAL(OWN_ARCH, SECCOMP_RET_ALLOW), VERDICT(SECCOMP_RET_KILL_PROCESS)));
	status();
	IN_CHILD(SHOW(close(77)));
	IN_CHILD(status());
}

static void long_chain(void)
{
	static struct sock_filter code[4096];
	struct sock_fprog program = {4096, code};
	no_new_privileges();
	for (int i = 0; i < 4096; i++)
		code[i] = (struct sock_filter)VERDICT(SECCOMP_RET_ALLOW);
	int n = 0;
	while (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0)
		n++;
	printf("%d filters, then %s\n", n, strerror(errno));
	program.len = 1;
	n = 0;
	while (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0)
		n++;
	printf("%d short filters, then %s\n", n, strerror(errno));
}

/* Prints what a handler of SIGSYS sees. It reads registers, because the call did not run. */
static void on_sigsys(int signal, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	printf("signal %d code %d errno %d call %d arch %x, rip is si_call_addr: %d, rax %ld\n", signal, info->si_code, info->si_errno,
	       info->si_syscall, info->si_arch, REGISTER(uc, IP) == (long)info->si_call_addr, (long)REGISTER(uc, AX));
	REGISTER(uc, AX) = 1234;
}

static void trap(void)
{
	struct sigaction action = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
	no_new_privileges();
	MUST(sigaction(SIGSYS, &action, NULL));
	MUST(INSTALL(0, LOAD(nr), IF_EQUAL(SYS_getpgid, SECCOMP_RET_TRAP | 0xabcd), IF_EQUAL(1000, SECCOMP_RET_TRAP | 1), VERDICT(SECCOMP_RET_ALLOW)));
	SHOW(syscall(SYS_getpgid, 0));
	SHOW(syscall(1000, 0));
}

static void trap_blocked(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	sigprocmask(SIG_BLOCK, &set, NULL);
	trap();
}

static void kill_process(void)
{
	no_new_privileges();
	signal(SIGSYS, SIG_IGN);
	MUST(INSTALL(0, LOAD(nr), IF_EQUAL(SYS_getpgid, SECCOMP_RET_KILL_PROCESS), VERDICT(SECCOMP_RET_ALLOW)));
	syscall(SYS_getpgid, 0);
}

static void unknown_action(void)
{
	no_new_privileges();
	MUST(INSTALL(0, LOAD(nr), IF_EQUAL(SYS_getpgid, 0x00020000), VERDICT(SECCOMP_RET_ALLOW)));
	syscall(SYS_getpgid, 0);
}

static void strict(void)
{
	MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
	write(1, "strict\n", 7);
	syscall(SYS_exit, 5);
}

static void strict_killed(void)
{
	MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
	syscall(SYS_getpid);
	write(1, "lives\n", 6);
}

static int gate[2]; /* a thread waits until a byte comes */

static void *waiter(void *argument)
{
	char byte;
	long filtered = (long)argument;
	if (filtered)
		MUST(INSTALL(0, VERDICT(SECCOMP_RET_ALLOW)));
	write(gate[1], "r", 1);
	read(gate[0] + 2, &byte, 1); /* the pipe other */
	return (void *)syscall(SYS_getpgid, 0);
}

static void *kills_itself(void *argument)
{
	(void)argument;
	MUST(INSTALL(0, LOAD(nr), IF_EQUAL(SYS_getpgid, SECCOMP_RET_KILL_THREAD), VERDICT(SECCOMP_RET_ALLOW)));
	syscall(SYS_getpgid, 0);
	return NULL;
}

static void kill_thread(void)
{
	pthread_t t;
	void *result = (void *)1;
	no_new_privileges();
	pthread_create(&t, NULL, kills_itself, NULL);
	usleep(50000); /* the thread does not wake those that join it */
	printf("the process lives, the result is %p\n", result);
}

/* TSYNC with a thread that has no filter, or one of its own. */
static void synchronize(long filtered, unsigned flags)
{
	pthread_t t;
	void *result;
	char byte;
	int other[2];
	no_new_privileges();
	MUST(pipe(gate));
	MUST(pipe(other));
	pthread_create(&t, NULL, waiter, (void *)filtered);
	MUST(read(gate[0], &byte, 1));
	errno = 0;
	long id = INSTALL(SECCOMP_FILTER_FLAG_TSYNC | flags, LOAD(nr), IF_EQUAL(SYS_getpgid, SECCOMP_RET_ERRNO | EXDEV), VERDICT(SECCOMP_RET_ALLOW));
	printf("TSYNC: %s %d\n", id == 0 ? "done" : id > 0 ? "a thread" : "error", errno);
	MUST(write(other[1], "x", 1));
	pthread_join(t, &result);
	HOLDS(result == (void *)-1);
}


static void show_poll(const char *when, int fd)
{
	struct pollfd p = {fd, POLLIN | POLLOUT, 0};
	poll(&p, 1, 0);
	printf("%s: poll %x\n", when, p.revents);
}

/* A parent decides about the calls of its child. The descriptor comes through fork: the
 * child shares the table. */
static int sockets[2];

static void send_fd(int fd)
{
	char space[CMSG_SPACE(sizeof fd)] = {0}, byte = 'x';
	struct iovec io = {&byte, 1};
	struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	MUST(sendmsg(sockets[1], &m, 0));
}

static int receive_fd(void)
{
	int fd;
	char space[CMSG_SPACE(sizeof fd)] = {0}, byte;
	struct iovec io = {&byte, 1};
	struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
	MUST(recvmsg(sockets[0], &m, 0));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
	return fd;
}

static volatile int interrupts;
static void on_interrupt(int signal) { (void)signal, interrupts++; }

/* The child that is supervised. */
static void target(unsigned flags)
{
	struct sigaction action = {.sa_handler = on_interrupt};
	sigaction(SIGUSR1, &action, NULL);
	no_new_privileges();
	int fd = MUST(INSTALL(SECCOMP_FILTER_FLAG_NEW_LISTENER | flags, LOAD(nr), IF_EQUAL(SYS_getpgid, SECCOMP_RET_USER_NOTIF), VERDICT(SECCOMP_RET_ALLOW)));
	HOLDS(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	SHOW(INSTALL(SECCOMP_FILTER_FLAG_NEW_LISTENER, VERDICT(SECCOMP_RET_ALLOW)));
	send_fd(fd);
	close(fd);
	close(sockets[0]), close(sockets[1]);
	for (int i = 0; i < 7; i++) {
		errno = 0;
		long result = syscall(SYS_getpgid, 1 << 30 | i, 6); /* no process has this id */
		printf("target %d: %ld %d\n", i, result > 100 ? 100 : result, errno);
		if (i == 4) {
			struct stat s;
			printf("descriptor: %d\n", fstat((int)result, &s));
			printf("close on exec: %d\n", fcntl((int)result, F_GETFD));
		}
	}
	printf("interrupts %d\n", interrupts);
}

static struct seccomp_notif request;
static struct seccomp_notif_resp response;

static void receive(int listener)
{
	memset(&request, 0, sizeof request);
	MUST(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request));
	memset(&response, 0, sizeof response);
	response.id = request.id;
}

static void supervise(unsigned flags)
{
	int code, output[2];
	char text[2000];
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	MUST(pipe(output));
	fflush(stdout);
	pid_t pid = MUST(fork());
	if (pid == 0) {
		MUST(dup2(output[1], 1));
		target(flags);
		fflush(stdout);
		_exit(3);
	}
	close(output[1]);
	int listener = receive_fd();
	SHOW(ioctl(listener, 0x5401, 0));
	request.pid = 1;
	SHOW(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request));
	receive(listener);
	HOLDS(request.pid == (unsigned)pid);
	printf("call %d arch %x args %llu %llu flags %u\n", request.data.nr, request.data.arch, request.data.args[0], request.data.args[1], request.flags);
	show_poll("received", listener);
	SHOW(ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &response.id));
	SHOW(ioctl(listener, 0x80082102, &response.id));
	response.flags = 2;
	SHOW(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response));
	response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE, response.val = 1;
	SHOW(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response));
	response.flags = 0, response.val = 55;
	SHOW(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response)); /* 0: a value */
	SHOW(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &(struct seccomp_notif_resp){.id = 1}) == -1 && (errno == ENOENT || errno == EINPROGRESS));
	receive(listener);
	response.error = -ENOTUNIQ;
	SHOW(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response)); /* 1: an error */
	receive(listener);
	response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	SHOW(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response)); /* 2: the call runs */
	receive(listener);
	struct seccomp_notif_addfd add = {.id = request.id, .srcfd = 99};
	SHOW(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add));
	add.srcfd = 1, add.newfd = 50;
	SHOW(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add));
	add.flags = SECCOMP_ADDFD_FLAG_SETFD;
	SHOW(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add));
	add.flags = 0, add.newfd = 0, add.newfd_flags = O_NONBLOCK;
	SHOW(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add));
	add.newfd_flags = 0;
	SHOW(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) > 2);
	add.id++;
	SHOW(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add));
	response.val = 9;
	SHOW(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response)); /* 3 */
	receive(listener);
	add = (struct seccomp_notif_addfd){.id = request.id, .srcfd = 1, .flags = SECCOMP_ADDFD_FLAG_SEND, .newfd_flags = O_CLOEXEC};
	SHOW(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) > 2); /* 4 */
	receive(listener); /* 5: interrupted before the reply, and called again by the program */
	kill(pid, SIGUSR1);
	if (flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
		usleep(50000);
		SHOW(ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &response.id));
		SHOW(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response));
	} else {
		while (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &response.id) == 0)
			usleep(1000);
		SHOW(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response));
	}
	receive(listener);
	SHOW(close(listener)); /* 6: the listener is gone */
	MUST(waitpid(pid, &code, 0));
	int n = MUST(read(output[0], text, sizeof text - 1));
	text[n] = 0;
	printf("%sthe target ends: %x\n", text, code);
}

/* A listener without users. */
static void hang_up(void)
{
	char byte;
	int gate[2];
	MUST(pipe(gate));
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	fflush(stdout);
	pid_t pid = MUST(fork());
	if (pid == 0) {
		no_new_privileges();
		int fd = MUST(INSTALL(SECCOMP_FILTER_FLAG_NEW_LISTENER, LOAD(nr), IF_EQUAL(SYS_getpgid, SECCOMP_RET_USER_NOTIF), VERDICT(SECCOMP_RET_ALLOW)));
		send_fd(fd);
		if (fork() == 0) {
			read(gate[0], &byte, 1);
			_exit(0);
		}
		syscall(SYS_getpgid, 0);
		_exit(0);
	}
	int listener = receive_fd();
	receive(listener);
	MUST(kill(pid, SIGKILL));
	MUST(waitpid(pid, NULL, 0));
	SHOW(ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &response.id));
	show_poll("one user", listener);
	MUST(write(gate[1], "x", 1));
	struct pollfd p = {listener, POLLIN, 0};
	SHOW(poll(&p, 1, 5000));
	printf("no user: poll %x\n", p.revents);
}

static void show_file(const char *name)
{
	char text[200] = "";
	int fd = open(name, O_RDONLY);
	if (fd >= 0 && read(fd, text, sizeof text - 1) > 0)
		printf("%s: %s", name, text);
	close(fd);
}

int main(void)
{
	show_file("/proc/sys/kernel/seccomp/actions_avail");
	show_file("/proc/sys/kernel/seccomp/actions_logged");
	status();
	IN_CHILD(rules());
	IN_CHILD(stack());
	IN_CHILD(long_chain());
	IN_CHILD(trap());
	IN_CHILD(trap_blocked());
	IN_CHILD(kill_process());
	IN_CHILD(unknown_action());
	IN_CHILD(strict());
	IN_CHILD(strict_killed());
	IN_CHILD(kill_thread());
	IN_CHILD(synchronize(0, 0));
	IN_CHILD(synchronize(1, 0));
	IN_CHILD(synchronize(1, SECCOMP_FILTER_FLAG_TSYNC_ESRCH));
	IN_CHILD(supervise(0));
	IN_CHILD(supervise(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV));
	IN_CHILD(hang_up());
	return 6;
}
