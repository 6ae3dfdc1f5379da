/* Runs a program, and prints the audit records that it causes: it reads them from the
 * multicast group of NETLINK_AUDIT. Process ids, addresses, inode numbers and times are
 * left out, so that the output is the same in every run. */
#define _GNU_SOURCE
#include <ctype.h>
#include <linux/audit.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The fields whose values differ from run to run. */
static const char *const hidden[] = {"pid", "ppid", "opid", "inode", "dev", "a0", "a1", "a2", "a3", "ip"};

static int is_hidden(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
		if (strlen(hidden[i]) == length && !memcmp(hidden[i], name, length))
			return 1;
	return 0;
}

/* A small argument is no address. The first one may be a process id. */
static int is_small(const char *value) { return strspn(value, "0123456789abcdef") <= 4; }

static void print_field(const char *field, size_t length)
{
	const char *equal = memchr(field, '=', length);
	if (!equal || !is_hidden(field, equal - field) || (*field == 'a' && field[1] > '0' && field[1] <= '3' && is_small(equal + 1)))
		printf(" %.*s", (int)length, field);
	else
		printf(" %.*s=?", (int)(equal - field), field);
}

static void print_record(int type, const char *text)
{
	const char *rest = strstr(text, "): ");
	printf("%d", type);
	for (rest = rest ? rest + 3 : text; *rest;) {
		size_t length = strcspn(rest, " ");
		if (length)
			print_field(rest, length);
		rest += length + (rest[length] == ' ');
	}
	putchar('\n');
}

int main(int argc, char **argv)
{
	static char buffer[16384];
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT), size = 1 << 20;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address)) {
		perror("auditread: the audit group cannot be joined");
		return 1;
	}
	struct pollfd ready = {fd, POLLIN, 0};
	while (poll(&ready, 1, 300) > 0) /* what was caused before, such as the bind */
		recv(fd, buffer, sizeof buffer, 0);
	pid_t child = fork();
	if (!child) {
		execv(argv[1], argv + 1);
		_exit(argc < 2 ? 2 : 127);
	}
	int ended = 0, status = 0;
	for (;;) {
		ended = ended || waitpid(child, &status, WNOHANG) == child;
		if (poll(&ready, 1, ended ? 300 : 20) <= 0) {
			if (ended)
				break;
			continue;
		}
		ssize_t n = recv(fd, buffer, sizeof buffer - 1, 0);
		if (n < (ssize_t)sizeof(struct nlmsghdr)) {
			perror("auditread: records are lost");
			return 1;
		}
		buffer[n] = 0;
		print_record(((struct nlmsghdr *)buffer)->nlmsg_type, buffer + sizeof(struct nlmsghdr));
	}
	if (WIFSIGNALED(status))
		printf("killed by signal %d\n", WTERMSIG(status));
	else
		printf("status %d\n", WEXITSTATUS(status));
	return 0;
}
