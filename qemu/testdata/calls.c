// calls makes system calls with arguments of many kinds. slowpath strace and strace must print
// the same about them: qemu/integration/strace_test.go compares.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static char directory[] = "/tmp/slowpath-calls";

static void files(void) {
	char buffer[100], other[10];
	struct stat status;
	struct iovec out[] = {{"abc", 3}, {"\001\0022\377\n\t\"\\", 8}, {NULL, 0}}, in[] = {{buffer, 4}, {other, 10}};
	mkdir(directory, 0700);
	chdir(directory);
	int fd = open("file", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	write(fd, "0123456789012345678901234567890123456789", 40);
	lseek(fd, -3, SEEK_CUR);
	writev(fd, out, 3);
	pread(fd, buffer, 5, 2);
	lseek(fd, 36, SEEK_SET);
	readv(fd, in, 2);
	read(fd, buffer, sizeof buffer);
	read(99, buffer, 1);
	fstat(fd, &status);
	stat("/dev/null", &status);
	lstat("missing", &status);
	ftruncate(fd, 5);
	fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 10);
	fsync(fd);
	fchmod(fd, 04711);
	flock(fd, LOCK_EX | LOCK_NB);
	struct flock lock = {F_WRLCK, SEEK_SET, 1, 2};
	fcntl(fd, F_SETLK, &lock);
	fcntl(fd, F_GETLK, &lock);
	fcntl(fd, F_GETFL);
	fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK);
	fcntl(fd, F_GETFD);
	fcntl(fd, F_SETFD, 0);
	close(fcntl(fd, F_DUPFD_CLOEXEC, 50));
	dup2(fd, 60);
	dup3(fd, 61, O_CLOEXEC);
	struct timespec times[] = {{5, UTIME_OMIT}, {7, UTIME_NOW}};
	utimensat(AT_FDCWD, "file", times, AT_SYMLINK_NOFOLLOW);
	rename("file", "other");
	link("other", "file");
	symlink("file", "link");
	readlink("link", buffer, sizeof buffer);
	syscall(SYS_faccessat2, AT_FDCWD, "link", R_OK | W_OK, AT_EACCESS);
	access("file", F_OK);
	chown("file", -1, 0);
	int d = open(".", O_RDONLY | O_DIRECTORY);
	char entries[1024];
	while (syscall(SYS_getdents64, d, entries, sizeof entries) > 0) {
	}
	renameat2(AT_FDCWD, "file", d, "other", RENAME_EXCHANGE);
	unlinkat(d, "file", 0);
	unlink("other");
	unlink("link");
	umask(027);
	getcwd(buffer, sizeof buffer);
	chdir("/");
	rmdir(directory);
	char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	mprotect(map, 4096, PROT_NONE);
	madvise(map, 8192, MADV_DONTNEED);
	msync(map, 4096, MS_SYNC);
	map = mremap(map + 4096, 4096, 4096 * 3, MREMAP_MAYMOVE);
	munmap(map, 4096 * 3);
	open((char *)1, O_WRONLY);
	open("", O_PATH);
}

static void handler(int number) {}

static void signals(void) {
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART | SA_NODEFER}, old;
	sigset_t set;
	sigaddset(&action.sa_mask, SIGTERM);
	sigaction(SIGUSR1, &action, &old);
	raise(SIGUSR1);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGRTMIN + 2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	union sigval value = {.sival_int = 5};
	sigqueue(getpid(), SIGRTMIN + 2, value);
	sigpending(&set);
	siginfo_t info;
	struct timespec none = {0, 0};
	sigtimedwait(&set, &info, &none);
	sigtimedwait(&set, &info, &none);
	sigfillset(&set);
	int fd = signalfd(-1, &set, SFD_CLOEXEC);
	close(fd);
	stack_t stack = {.ss_flags = SS_DISABLE}, before;
	sigaltstack(&stack, &before);
	signal(SIGPIPE, SIG_IGN);
	raise(SIGPIPE);
	kill(getpid(), 0);
	kill(-1234567, SIGKILL);
	struct itimerval timer = {{0, 0}, {1000, 0}};
	setitimer(ITIMER_REAL, &timer, NULL);
	timer.it_value.tv_sec = 0;
	setitimer(ITIMER_REAL, &timer, NULL);
}

static void waits(void) {
	int p[2], s[2];
	char buffer[20];
	pipe2(p, O_NONBLOCK);
	read(p[0], buffer, 1);
	write(p[1], "x", 1);
	struct pollfd list[] = {{p[0], POLLIN | POLLPRI}, {-1, 0}, {p[1], POLLOUT}};
	poll(list, 3, 0);
	poll(list, 2, -1);
	struct timespec none = {0, 0};
	poll(NULL, 0, 0);
	fd_set reads, writes;
	FD_ZERO(&reads);
	FD_ZERO(&writes);
	FD_SET(p[0], &reads);
	FD_SET(p[1], &writes);
	struct timeval second = {1, 0};
	syscall(SYS_select, 64, &reads, &writes, NULL, &second);
	sigset_t set;
	sigemptyset(&set);
	ppoll(list, 1, &none, &set);
	int e = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {EPOLLIN | EPOLLET, {.u64 = 7}}, events[4];
	epoll_ctl(e, EPOLL_CTL_ADD, p[0], &event);
	epoll_wait(e, events, 4, 0);
	epoll_ctl(e, EPOLL_CTL_DEL, p[0], NULL);
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s);
	send(s[0], "hello", 5, MSG_NOSIGNAL);
	recv(s[1], buffer, sizeof buffer, MSG_DONTWAIT);
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = {"m", 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
	struct cmsghdr *first = CMSG_FIRSTHDR(&message);
	memset(control.space, 0, sizeof control.space);
	*first = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(first), &p[0], sizeof(int));
	sendmsg(s[0], &message, 0);
	part = (struct iovec){buffer, sizeof buffer};
	recvmsg(s[1], &message, 0);
	recvmsg(s[1], &message, MSG_DONTWAIT);
	shutdown(s[0], SHUT_WR);
	struct sockaddr_un address = {AF_UNIX, "/tmp/slowpath-socket"}, peer;
	socklen_t length = sizeof peer;
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	bind(listener, (struct sockaddr *)&address, sizeof address);
	listen(listener, 5);
	connect(client, (struct sockaddr *)&address, sizeof address);
	int server = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);
	length = sizeof peer;
	getsockname(server, (struct sockaddr *)&peer, &length);
	int size = 0;
	length = sizeof size;
	getsockopt(client, SOL_SOCKET, SO_TYPE, &size, &length);
	unlink(address.sun_path);
	int t = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	struct itimerspec when = {{0, 0}, {100, 0}};
	timerfd_settime(t, 0, &when, NULL);
	close(eventfd(3, EFD_NONBLOCK));
	int n;
	ioctl(p[0], FIONREAD, &n);
	ioctl(p[0], TCGETS, buffer);
	clock_nanosleep(CLOCK_MONOTONIC, 0, &none, NULL);
	nanosleep(&none, NULL);
}

static void *thread(void *unused) { return NULL; }

static void processes(void) {
	struct rlimit limit;
	int status;
	getrlimit(RLIMIT_CORE, &limit);
	limit.rlim_cur = 0;
	setrlimit(RLIMIT_CORE, &limit);
	prctl(PR_SET_NAME, "a long name of a thread");
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	prctl(PR_GET_DUMPABLE);
	prctl(12345, 1, 2, 3, 4);
	syscall(SYS_getresuid, &limit, (char *)&limit + 4, (char *)&limit + 8);
	sched_getscheduler(0);
	getpriority(PRIO_PROCESS, 0);
	syscall(SYS_personality, 0xffffffff);
	pid_t child = fork();
	if (child == 0) {
		_exit(3);
	}
	waitpid(child, &status, 0);
	waitpid(-1, &status, WNOHANG);
	child = fork();
	if (child == 0) {
		raise(SIGSEGV);
	}
	waitpid(child, &status, 0);
	child = fork();
	if (child == 0) {
		kill(getpid(), SIGKILL);
	}
	siginfo_t info;
	waitid(P_PID, child, &info, WEXITED | WNOWAIT);
	wait4(child, &status, 0, NULL);
	char *const none[] = {"x", "y \"z\"\n", NULL};
	execve("/nonexistent/program", none, none);
	pthread_t t;
	pthread_create(&t, NULL, thread, NULL);
	pthread_join(t, NULL);
	syscall(9999, 1, 2, 3, 4, 5, 6);
}

int main(int argc, char **argv) {
	files();
	signals();
	waits();
	processes();
	return 7;
}
