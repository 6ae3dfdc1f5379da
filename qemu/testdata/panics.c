/* Makes system calls whose handlers panic, in child processes and their threads. It
 * needs a kernel that was built with -tags faultinject. */
#define _GNU_SOURCE
#pragma GCC diagnostic ignored "-Wunused-result"
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

enum { call_arm = 508, call_exit = 509, call_nil = 510, call_panic = 511 };

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

/* Objects that all children share. A panic in a child must leave each usable. */
static struct {
	int pipe[2], pair[2], event, epoll, timer;
	char *memory;
	unsigned *word;
} shared;

static void make_shared(void)
{
	struct epoll_event interest = {.events = EPOLLIN};
	pipe2(shared.pipe, O_NONBLOCK);
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, shared.pair);
	shared.event = eventfd(0, EFD_NONBLOCK);
	shared.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	shared.epoll = epoll_create1(0);
	epoll_ctl(shared.epoll, EPOLL_CTL_ADD, shared.pipe[0], &interest);
	shared.memory = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	shared.word = (unsigned *)shared.memory;
	mkdir("/tmp/shared", 0777);
}

/* One call, or a few, on the shared objects. */
static void use(int what)
{
	static char bytes[8192];
	struct epoll_event events[4];
	struct epoll_event interest = {.events = EPOLLIN | EPOLLOUT};
	struct itimerspec soon = {{0, 0}, {0, 1000000}};
	struct timespec moment = {0, 100000};
	uint64_t one = 1;
	int fd, status;
	char *p;
	switch (what % 16) {
	case 0: write(shared.pipe[1], bytes, sizeof bytes); break;
	case 1: read(shared.pipe[0], bytes, sizeof bytes); break;
	case 2: send(shared.pair[0], bytes, 4096, MSG_NOSIGNAL); break;
	case 3: recv(shared.pair[1], bytes, sizeof bytes, 0); break;
	case 4: write(shared.event, &one, 8), read(shared.event, &one, 8); break;
	case 5: epoll_wait(shared.epoll, events, 4, 0); break;
	case 6:
		epoll_ctl(shared.epoll, EPOLL_CTL_ADD, shared.event, &interest);
		epoll_ctl(shared.epoll, EPOLL_CTL_DEL, shared.event, &interest);
		break;
	case 7:
		fd = open("/tmp/shared/file", O_RDWR | O_CREAT, 0666);
		pwrite(fd, bytes, sizeof bytes, 4000), pread(fd, bytes, sizeof bytes, 0), ftruncate(fd, 100), close(fd);
		break;
	case 8: rename("/tmp/shared/file", "/tmp/shared/other"), unlink("/tmp/shared/other"); break;
	case 9:
		p = mmap(0, 1 << 18, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		memset(p, 1, 1 << 18), mprotect(p, 4096, PROT_READ), munmap(p, 1 << 18);
		break;
	case 10:
		if ((fd = fork()) == 0)
			_exit(0);
		waitpid(fd, &status, 0);
		break;
	case 11: syscall(SYS_futex, shared.word, FUTEX_WAKE, 10), syscall(SYS_futex, shared.word, FUTEX_WAIT, *shared.word, &moment); break;
	case 12: timerfd_settime(shared.timer, 0, &soon, 0), read(shared.timer, &one, 8); break;
	case 13: memset(shared.memory + 4096, what, 1 << 18); break;
	case 14: kill(getpid(), SIGURG), getrusage(RUSAGE_SELF, (void *)bytes), sched_yield(); break;
	case 15:
		fd = open("/proc/self/status", O_RDONLY);
		read(fd, bytes, sizeof bytes), close(fd), dup2(0, 40), close(40);
		break;
	}
}

/* Free memory in KiB, and the number of the kernel's goroutines. */
static long free_memory(void)
{
	char text[4096] = {0};
	int fd = open("/proc/meminfo", O_RDONLY);
	read(fd, text, sizeof text - 1);
	close(fd);
	char *at = strstr(text, "MemFree:");
	return at ? atol(at + 8) : -1;
}

static int goroutines(void)
{
	static char text[1 << 20];
	int fd = open("/proc/slowpath/stacks", O_RDONLY), count = 0;
	long size = 0, n;
	while (size < (long)sizeof text - 1 && (n = read(fd, text + size, sizeof text - 1 - size)) > 0)
		size += n;
	close(fd);
	text[size] = 0;
	for (char *at = text; (at = strstr(at, "goroutine ")); at++)
		count += at == text || at[-1] == '\n';
	return count;
}

/* Children panic at a random point of a random call. */
static void random_panics(int rounds)
{
	unsigned seed = 1, died = 0;
	long memory = 0;
	int others = 0, status;
	make_shared();
	for (int round = 0; round < rounds; round++) {
		if (round == 100) { /* the heap has grown */
			memory = free_memory();
			others = goroutines();
		}
		seed = seed * 1103515245 + 12345;
		alarm(20); /* a lock that nobody releases */
		pid_t child = fork();
		if (child == 0) {
			unsigned random = seed >> 8;
			syscall(call_arm, 1L + random % 60);
			for (int i = 0; i < 40; i++) {
				random = random * 1664525 + 1013904223;
				use(random >> 20);
			}
			_exit(0);
		}
		waitpid(child, &status, 0);
		syscall(call_arm, 0L);
		died += WIFSIGNALED(status);
		for (int what = 0; what < 16; what++)
			use(what);
	}
	alarm(0);
	long lost = memory - free_memory();
	fprintf(stderr, "%u of %d children died, %ld KiB lost, %d goroutines more\n", died, rounds, lost, goroutines() - others);
	printf("half of the children died: %d, memory lost: %d, goroutines lost: %d\n", died > rounds / 2u, lost > 4096, goroutines() > others + 3);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		random_panics(atoi(argv[1]));
		return 5;
	}
	bad_exit();
	for (int i = 0; i < 3; i++) {
		report("nil", 0, call_nil);
		report("panic", 0, call_panic);
		report("panic in a thread", 1, call_panic);
	}
	puts("alive");
	return 5;
}
