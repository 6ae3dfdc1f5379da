/* Shared code of the programs that control audit by netlink messages. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int audit; /* a socket of NETLINK_AUDIT */

/* Sends a message and waits for its acknowledgement. Returns the result, or -errno. */
static int ask(int type, const void *payload, size_t size)
{
	static struct {
		struct nlmsghdr header;
		char payload[4096];
	} message;
	message.header = (struct nlmsghdr){NLMSG_LENGTH(size), type, NLM_F_REQUEST | NLM_F_ACK, 1, 0};
	memcpy(message.payload, payload, size);
	if (send(audit, &message, message.header.nlmsg_len, 0) < 0 || recv(audit, &message, sizeof message, 0) < 0)
		return -errno;
	return *(int *)message.payload;
}

/* Ends the program if a result is an error. */
static void must(const char *what, int result)
{
	if (result < 0) {
		printf("%s: %s\n", what, strerror(-result));
		exit(1);
	}
}
