/* Checks poll, select, epoll, eventfd, timerfd, socket pairs and clocks. */
#include "report.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>

static void polling(void)
{
	int ends[2];
	char buffer[70000];
	MUST(pipe2(ends, O_NONBLOCK));
	struct pollfd fds[] = {{ends[0], POLLIN, 0}, {ends[1], POLLOUT, 0}, {-1, POLLIN, 0}, {999, POLLIN, 0}};
	SHOW(poll(fds, 4, 0));
	printf("events %x %x %x %x\n", fds[0].revents, fds[1].revents, fds[2].revents, fds[3].revents);
	SHOW(read(ends[0], buffer, 1));
	SHOW(write(ends[1], buffer, sizeof buffer));
	SHOW(write(ends[1], buffer, 1));
	SHOW(poll(fds, 2, -1));
	printf("events %x %x\n", fds[0].revents, fds[1].revents);
	fd_set set;
	struct timeval limit = {0, 10000};
	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	SHOW(select(ends[0] + 1, &set, NULL, NULL, &limit));
	close(ends[1]);
	while (read(ends[0], buffer, sizeof buffer) > 0)
		;
	SHOW(poll(fds, 1, -1));
	printf("events %x\n", fds[0].revents);
}

static void events(void)
{
	uint64_t value;
	int poller = MUST(epoll_create1(0)), counter = MUST(eventfd(3, EFD_NONBLOCK)), timer = MUST(timerfd_create(CLOCK_MONOTONIC, 0));
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = 1}, got[4];
	SHOW(epoll_ctl(poller, EPOLL_CTL_ADD, counter, &event));
	SHOW(epoll_ctl(poller, EPOLL_CTL_ADD, counter, &event));
	event.data.u64 = 2;
	event.events = EPOLLIN | EPOLLET;
	SHOW(epoll_ctl(poller, EPOLL_CTL_ADD, timer, &event));
	SHOW(epoll_ctl(poller, EPOLL_CTL_ADD, poller, &event));
	SHOW(epoll_wait(poller, got, 4, -1));
	printf("data %ld events %x\n", (long)got[0].data.u64, got[0].events);
	SHOW(read(counter, &value, sizeof value));
	printf("value %ld\n", (long)value);
	SHOW(read(counter, &value, sizeof value));
	SHOW(epoll_wait(poller, got, 4, 0));
	struct itimerspec soon = {.it_value = {0, 10000000}, .it_interval = {0, 10000000}};
	SHOW(timerfd_settime(timer, 0, &soon, NULL));
	SHOW(epoll_wait(poller, got, 4, 1000));
	printf("data %ld\n", (long)got[0].data.u64);
	usleep(35000);
	MUST(read(timer, &value, sizeof value));
	HOLDS(value >= 3);
	SHOW(read(timer, &value, 4));
}

static void sockets(void)
{
	int pair[2];
	char text[16] = {0};
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	SHOW(send(pair[0], "ping", 4, 0));
	SHOW(recv(pair[1], text, sizeof text, MSG_PEEK));
	SHOW(recv(pair[1], text, sizeof text, 0));
	SHOW(recv(pair[1], text, sizeof text, MSG_DONTWAIT));
	SHOW(shutdown(pair[0], SHUT_WR));
	SHOW(recv(pair[1], text, sizeof text, 0));
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/tmp/waiting-socket"};
	int server = MUST(socket(AF_UNIX, SOCK_STREAM, 0)), client = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
	unlink(address.sun_path);
	SHOW(connect(client, (void *)&address, sizeof address));
	SHOW(bind(server, (void *)&address, sizeof address));
	SHOW(connect(client, (void *)&address, sizeof address));
	SHOW(listen(server, 1));
	SHOW(connect(client, (void *)&address, sizeof address));
	int peer = MUST(accept(server, NULL, NULL));
	SHOW(write(client, "x", 1));
	SHOW(read(peer, text, 1));
	unlink(address.sun_path);
}

static void clocks(void)
{
	struct timespec before, after, pause = {0, 20000000};
	MUST(clock_gettime(CLOCK_MONOTONIC, &before));
	SHOW(clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL));
	MUST(clock_gettime(CLOCK_MONOTONIC, &after));
	long passed = (after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec;
	HOLDS(passed >= 20000000 && passed < 2000000000);
	HOLDS(time(NULL) > 1700000000);
	struct timespec wrong = {0, 1000000000};
	SHOW(nanosleep(&wrong, NULL));
	SHOW(clock_gettime(77, &before));
	for (int i = 0; i < 100000; i++) {
		MUST(clock_gettime(CLOCK_MONOTONIC, &after));
		if (after.tv_sec < before.tv_sec || (after.tv_sec == before.tv_sec && after.tv_nsec < before.tv_nsec)) {
			printf("the clock went back\n");
			break;
		}
		before = after;
	}
}

int main(void)
{
	polling();
	events();
	sockets();
	clocks();
	return 3;
}
