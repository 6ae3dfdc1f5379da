/* Adds and deletes audit rules while four processes make system calls, and checks that
 * each event that begins with a record of a call ends with an end of event. The kernel
 * itself checks that the entry and the exit of each call are paired. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "audit.h"

enum { WORKERS = 4, CHANGES = 400, OPEN_EVENTS = 64 };

static volatile int *stop;

static void work(void)
{
	char path[64];
	snprintf(path, sizeof path, "/tmp/worker%d", getpid());
	for (int n = 0; !*stop; n++) {
		int ends[2], file = open(path, O_RDWR | O_CREAT, 0600);
		if (file < 0 || write(file, path, 5) != 5 || close(file) || pipe(ends) || close(ends[0]) || close(ends[1]))
			_exit(2);
		if (getppid() < 1 || syscall(SYS_getuid) || syscall(9999) != -1 || errno != ENOSYS)
			_exit(3);
		if (n % 16 == 0) {
			int status;
			pid_t child = fork();
			if (!child)
				_exit(5);
			if (waitpid(child, &status, 0) != child || WEXITSTATUS(status) != 5)
				_exit(4);
		}
		if (unlink(path))
			_exit(6);
	}
	_exit(0);
}

/* Reads records until the group is silent. Returns the number of complete events, or -1. */
static long read_records(int group)
{
	static char buffer[16384];
	static unsigned long events[OPEN_EVENTS];
	struct pollfd ready = {group, POLLIN, 0};
	long paired = 0;
	int lost = 0;
	while (poll(&ready, 1, *stop ? 500 : 3000) > 0) {
		ssize_t n = recv(group, buffer, sizeof buffer - 1, 0);
		if (n < 0 && errno == ENOBUFS) {
			lost = 1;
			memset(events, 0, sizeof events);
			continue;
		}
		if (n < (ssize_t)sizeof(struct nlmsghdr))
			return -1;
		buffer[n] = 0;
		const char *colon = strchr(buffer + sizeof(struct nlmsghdr), ':');
		unsigned long serial = colon ? strtoul(colon + 1, 0, 10) : 0;
		int type = ((struct nlmsghdr *)buffer)->nlmsg_type, i = 0;
		while (i < OPEN_EVENTS && events[i] != (type == AUDIT_SYSCALL ? 0 : serial))
			i++;
		if (type == AUDIT_SYSCALL) {
			if (i == OPEN_EVENTS)
				return -1; /* events that do not end */
			events[i] = serial;
		} else if (type == AUDIT_EOE) {
			if (i == OPEN_EVENTS && !lost)
				return -1; /* an end without a beginning */
			if (i < OPEN_EVENTS) {
				events[i] = 0;
				paired++;
			}
		}
	}
	for (int i = 0; i < OPEN_EVENTS; i++)
		if (events[i] && !lost)
			return -1;
	return paired;
}

int main(void)
{
	stop = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	audit = socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);
	struct audit_status on = {.mask = AUDIT_STATUS_ENABLED | AUDIT_STATUS_BACKLOG_LIMIT | AUDIT_STATUS_FAILURE, .enabled = 1, .backlog_limit = 8192};
	must("enabling audit", ask(AUDIT_SET, &on, sizeof on));

	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
	int group = socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT), size = 8 << 20;
	setsockopt(group, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
	must("joining the group", bind(group, (struct sockaddr *)&address, sizeof address) ? -errno : 0);

	/* The reader was made by a process without a context, so it is not audited. */
	pid_t reader = fork();
	if (!reader) {
		long paired = read_records(group);
		if (paired > 0)
			_exit(0);
		printf("events are not paired: %ld\n", paired);
		fflush(stdout);
		_exit(1);
	}
	pid_t workers[WORKERS];
	for (int i = 0; i < WORKERS; i++)
		if (!(workers[i] = fork()))
			work();
	static const int calls[] = {SYS_getppid, SYS_open, SYS_openat, SYS_unlink, SYS_pipe, SYS_fork, SYS_clone, SYS_exit_group, SYS_getuid, SYS_write};
	struct audit_rule_data rules[4];
	for (int n = 0; n < CHANGES; n++) {
		int count = 1 + n % 4;
		for (int i = 0; i < count; i++) {
			struct audit_rule_data r = {.flags = AUDIT_FILTER_EXIT, .action = AUDIT_ALWAYS, .field_count = 1};
			for (int c = 0; c < 1 + (n + i) % 4; c++) {
				int call = calls[(n * 7 + i * 3 + c) % (sizeof calls / sizeof *calls)];
				r.mask[AUDIT_WORD(call)] |= AUDIT_BIT(call);
			}
			/* few events, so that the reader keeps up */
			r.fields[0] = n % 3 ? AUDIT_EXIT : AUDIT_PID;
			r.fieldflags[0] = AUDIT_EQUAL;
			r.values[0] = n % 3 ? -9 - i : workers[i];
			rules[i] = r;
			must("adding a rule", ask(AUDIT_ADD_RULE, &r, sizeof r));
		}
		if (n % 3 == 0)
			usleep(200);
		for (int i = 0; i < count; i++)
			must("deleting a rule", ask(AUDIT_DEL_RULE, &rules[i], sizeof rules[i]));
		if (n % 50 == 25) {
			on.mask = AUDIT_STATUS_ENABLED;
			on.enabled = 0;
			must("disabling audit", ask(AUDIT_SET, &on, sizeof on));
			on.enabled = 1;
			must("enabling audit", ask(AUDIT_SET, &on, sizeof on));
		}
	}
	*stop = 1;
	int status, failed = 0;
	for (int i = 0; i < WORKERS; i++)
		if (waitpid(workers[i], &status, 0) != workers[i] || status) {
			printf("a worker has failed with status %#x\n", status);
			failed = 1;
		}
	if (waitpid(reader, &status, 0) != reader || status)
		failed = 1;
	printf("%s\n", failed ? "failed" : "events are paired");
	return failed;
}
