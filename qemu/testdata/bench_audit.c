/* Counts the instructions of getppid while audit is on: without rules, with a rule for
 * another call, and with rules that do not match. A task has a context only if it was made
 * after audit was enabled, so a child measures. The loop around the call has five
 * instructions. */
#define _GNU_SOURCE
#include <linux/audit.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

enum { CALLS = 200, ROUNDS = 31 };

static ulong round_of_calls(void)
{
	long left = CALLS;
	ulong start = ticks();
	__asm__ volatile("1: movq %1, %%rax; xorl %%edi, %%edi; syscall; decq %0; jnz 1b"
		: "+r"(left) : "r"((long)SYS_getppid) : "rax", "rcx", "rdi", "r11", "memory");
	return (ticks() - start) / CALLS;
}

static void print_median(const char *name)
{
	ulong sorted[ROUNDS];
	pid_t child = fork();
	int status;
	if (!child) {
		for (int n = 0; n < ROUNDS; n++)
			insert(sorted, n, round_of_calls());
		printf("%s %lu\n", name, sorted[ROUNDS / 2]);
		fflush(stdout);
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child || status)
		exit(1);
}

static int audit;

/* Sends a message and waits for its acknowledgement. */
static void ask(int type, const void *payload, size_t size)
{
	static struct {
		struct nlmsghdr header;
		char payload[4096];
	} message;
	message.header = (struct nlmsghdr){NLMSG_LENGTH(size), type, NLM_F_REQUEST | NLM_F_ACK, 1, 0};
	memcpy(message.payload, payload, size);
	if (send(audit, &message, message.header.nlmsg_len, 0) < 0 || recv(audit, &message, sizeof message, 0) < 0 ||
	    *(int *)message.payload < 0) {
		perror("bench_audit: a message to audit failed");
		exit(1);
	}
}

static struct audit_rule_data rule(int call)
{
	struct audit_rule_data r = {.flags = AUDIT_FILTER_EXIT, .action = AUDIT_ALWAYS};
	r.mask[AUDIT_WORD(call)] = AUDIT_BIT(call);
	return r;
}

static void compare(struct audit_rule_data *r, unsigned field, unsigned value)
{
	r->fields[r->field_count] = field;
	r->fieldflags[r->field_count] = AUDIT_EQUAL;
	r->values[r->field_count++] = value;
}

int main(void)
{
	struct audit_status on = {.mask = AUDIT_STATUS_ENABLED, .enabled = 1};
	audit = socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);
	ask(AUDIT_SET, &on, sizeof on);
	print_median("audit_on");

	struct audit_rule_data other = rule(SYS_getsid), user = rule(SYS_getppid), exit_code = rule(SYS_getppid);
	ask(AUDIT_ADD_RULE, &other, sizeof other);
	print_median("audit_rule_other_call");

	compare(&user, AUDIT_UID, 12345);
	ask(AUDIT_ADD_RULE, &user, sizeof user);
	print_median("audit_rule_uid");

	ask(AUDIT_DEL_RULE, &user, sizeof user);
	compare(&exit_code, AUDIT_ARCH, AUDIT_ARCH_X86_64);
	compare(&exit_code, AUDIT_EXIT, -13);
	ask(AUDIT_ADD_RULE, &exit_code, sizeof exit_code);
	print_median("audit_rule_exit");
	return 0;
}
