/* Checks what is moved, and what stays, when user memory ends in the middle of a
 * buffer, and what epoll reports of pipes and sockets. */
#include "report.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

enum { PAGE = 4096, GOOD = 40 * PAGE };

static char scratch[300000];
static char *end; /* of accessible memory; GOOD bytes are before it */

static int buffered(int fd)
{
	int n = -1;
	ioctl(fd, FIONREAD, &n);
	return n;
}

static void drain(int fd)
{
	while (read(fd, scratch, sizeof scratch) > 0)
		;
}

static void pipes(void)
{
	int p[2];
	MUST(pipe2(p, O_NONBLOCK));
	SHOW(write(p[1], end - 100, 200));
	SHOW(write(p[1], end - 5000, 8192));
	SHOW(buffered(p[0]));
	drain(p[0]);
	SHOW(write(p[1], scratch, 10));
	SHOW(write(p[1], scratch, 5000));
	SHOW(read(p[0], end - 4000, 6000));
	SHOW(buffered(p[0]));
	SHOW(read(p[0], end - 4, 10));
	SHOW(buffered(p[0]));
	drain(p[0]);
	struct iovec bad[] = {{scratch, 10}, {(void *)8, 10}};
	SHOW(writev(p[1], bad, 2));
	SHOW(write(p[1], scratch, 30));
	SHOW(readv(p[0], bad, 2));
	SHOW(buffered(p[0]));
	drain(p[0]);
	SHOW(write(p[1], scratch, 100000));
	SHOW(read(p[0], scratch, 4000));
	SHOW(write(p[1], scratch, 1));
	SHOW(read(p[0], scratch, 1000));
	SHOW(write(p[1], scratch, 5000));
	struct iovec big = {end - GOOD, GOOD}, beyond = {end - 5000, 10000};
	SHOW(vmsplice(p[1], &big, 1, SPLICE_F_NONBLOCK));
	drain(p[0]);
	SHOW(vmsplice(p[1], &big, 1, SPLICE_F_NONBLOCK));
	drain(p[0]);
	SHOW(vmsplice(p[1], &beyond, 1, SPLICE_F_NONBLOCK));
	SHOW(buffered(p[0]));
	SHOW(preadv2(p[1], &big, 1, 0, 0));
	SHOW(pwritev2(p[0], &big, 1, -1, 0));
}

static void streams(void)
{
	int s[2];
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
	SHOW(send(s[0], "", 0, 0));
	SHOW(recv(s[1], scratch, 8, 0));
	SHOW(send(s[0], end - 100, 200, 0));
	SHOW(send(s[0], end - 40000, 50000, 0));
	SHOW(buffered(s[1]));
	drain(s[1]);
	SHOW(write(s[0], scratch, 10));
	SHOW(write(s[0], scratch, 10));
	SHOW(recv(s[1], end - 15, 20, 0));
	SHOW(recv(s[1], end - 4, 10, 0));
	SHOW(buffered(s[1]));
	close(s[0]);
	drain(s[1]);
	SHOW(send(s[1], "", 0, MSG_NOSIGNAL));
	close(s[1]);
}

static void packets(int kind)
{
	int s[2];
	MUST(socketpair(AF_UNIX, kind | SOCK_NONBLOCK, 0, s));
	SHOW(send(s[0], end - 100, 200, 0));
	SHOW(send(s[0], "", 0, 0));
	SHOW(recv(s[1], scratch, 10, 0));
	SHOW(send(s[0], scratch, 10, 0));
	SHOW(recv(s[1], end - 4, 10, MSG_PEEK));
	SHOW(recv(s[1], end - 4, 10, 0));
	SHOW(recv(s[1], scratch, 10, 0));
	close(s[0]);
	SHOW(send(s[1], scratch, 1, MSG_NOSIGNAL));
	close(s[1]);
}

/* Shows the events of an edge-triggered interest. */
static void edge(int set, const char *what)
{
	struct epoll_event e = {0};
	int n = epoll_wait(set, &e, 1, 0);
	printf("%s: %d events %x\n", what, n, n > 0 ? e.events : 0);
}

static int watch(int set, int fd, unsigned events)
{
	struct epoll_event e = {.events = events};
	return epoll_ctl(set, EPOLL_CTL_ADD, fd, &e);
}

static void edges(int reader, int writer)
{
	int in = MUST(epoll_create1(0)), out = MUST(epoll_create1(0));
	watch(in, reader, EPOLLIN | EPOLLET);
	watch(out, writer, EPOLLOUT | EPOLLET);
	edge(out, "writable");
	edge(in, "empty");
	MUST(write(writer, scratch, 100));
	edge(in, "data");
	MUST(read(reader, scratch, 10));
	edge(in, "partial read");
	edge(out, "partial read, writer");
	MUST(write(writer, scratch, 1));
	edge(in, "more data");
}

static void listeners(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	socklen_t size = sizeof name;
	int listener = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
	int client = MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
	MUST(bind(listener, (struct sockaddr *)&name, sizeof name.sun_family));
	SHOW(getsockname(listener, NULL, &size));
	MUST(getsockname(listener, (struct sockaddr *)&name, &size));
	MUST(listen(listener, 5));
	MUST(connect(client, (struct sockaddr *)&name, size));
	int set = MUST(epoll_create1(0));
	watch(set, client, EPOLLIN | EPOLLRDHUP | EPOLLET);
	edge(set, "connected");
	close(listener);
	edge(set, "listener closed");
	SHOW(recv(client, scratch, 1, 0));
	SHOW(recv(client, scratch, 1, 0));
}

static void nesting(void)
{
	int top = MUST(epoll_create1(0)), last = top, sets = 1;
	for (;; sets++) {
		int next = MUST(epoll_create1(0));
		if (watch(last, next, EPOLLIN) != 0)
			break;
		last = next;
	}
	printf("%d sets in a chain: %s\n", sets, strerror(errno));
	SHOW(watch(last, top, EPOLLIN));
	SHOW(watch(top, top, EPOLLIN));
}

static void seals(void)
{
	int fd = MUST(memfd_create("sealed", MFD_ALLOW_SEALING));
	MUST(ftruncate(fd, PAGE));
	SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	SHOW(pwrite(fd, scratch, 2 * PAGE, 0));
	void *shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	MUST(munmap(shared, PAGE));
	SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	HOLDS(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	int zero = MUST(open("/dev/zero", O_RDWR));
	char *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, zero, 0);
	HOLDS(memory != MAP_FAILED && (memory[5] = 7) == 7);
}

/* A writer is writable again when at most a quarter of the buffer is in use. */
static void full_stream(void)
{
	int s[2], set = MUST(epoll_create1(0));
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
	watch(set, s[0], EPOLLOUT | EPOLLET);
	edge(set, "new");
	while (send(s[0], scratch, 20000, 0) > 0)
		;
	edge(set, "full");
	MUST(recv(s[1], scratch, 20000, 0));
	edge(set, "nearly full");
	drain(s[1]);
	edge(set, "drained, writer");
}

/* Results at the end of accessible memory, where the calls before may have mapped some. */
static void records(void)
{
	MUST(munmap(end, PAGE));
	struct epoll_event *events = (struct epoll_event *)end - 1;
	int set = MUST(epoll_create1(0)), a = MUST(eventfd(1, EFD_NONBLOCK)), b = MUST(eventfd(1, EFD_NONBLOCK));
	watch(set, a, EPOLLIN | EPOLLET);
	watch(set, b, EPOLLIN | EPOLLONESHOT);
	SHOW(epoll_wait(set, (struct epoll_event *)end, 2, 0));
	SHOW(epoll_wait(set, events, 2, 0));
	SHOW(epoll_wait(set, events, 2, 0));
	SHOW(epoll_wait(set, events, 2, 0));
	SHOW(read(a, end - 2, 8));
	SHOW(read(a, scratch, 8));
	int random = MUST(open("/dev/urandom", O_RDWR)), full = MUST(open("/dev/full", O_RDWR));
	SHOW(write(random, end - 10, 20));
	SHOW(write(full, scratch, 0));
	SHOW(mprotect(scratch - (unsigned long)scratch % PAGE, 0, 99));
}

static void packet_ends(void)
{
	int s[2];
	MUST(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, s));
	SHOW(shutdown(s[1], SHUT_RD));
	SHOW(recv(s[1], scratch, 10, 0));
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, s));
	MUST(send(s[0], scratch, 3, 0));
	close(s[1]);
	SHOW(send(s[0], scratch, 1, MSG_NOSIGNAL));
	SHOW(send(s[0], scratch, 1, MSG_NOSIGNAL));
	SHOW(recv(s[0], scratch, 4, 0));
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int listener = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
	SHOW(bind(listener, (struct sockaddr *)&name, 2));
	SHOW(bind(listener, (struct sockaddr *)&name, 2));
	MUST(listen(listener, 1));
	MUST(shutdown(listener, SHUT_RD));
	int set = MUST(epoll_create1(0));
	watch(set, listener, EPOLLIN | EPOLLRDHUP);
	edge(set, "listener after SHUT_RD");
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	end = mmap(NULL, GOOD + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	end += GOOD;
	MUST(munmap(end, PAGE));
	pipes();
	streams();
	packets(SOCK_DGRAM);
	packets(SOCK_SEQPACKET);
	int p[2], s[2];
	MUST(pipe(p));
	edges(p[0], p[1]);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	edges(s[1], s[0]);
	listeners();
	nesting();
	seals();
	full_stream();
	records();
	packet_ends();
	return 7;
}
