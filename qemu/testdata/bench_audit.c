/* Counts the instructions of getppid while audit is on: without rules, with a rule for
 * another call, and with rules that do not match. A task has a context only if it was made
 * after audit was enabled, so a child measures. */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "audit.h"
#include "bench.h"

enum { CALLS = 200 };

static void print_median(const char *name)
{
	pid_t child = fork();
	int status;
	if (!child) {
		printf("%s %lu\n", name, median_of_calls(SYS_getppid, CALLS));
		fflush(stdout);
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child || status)
		exit(1);
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
	must("enabling audit", ask(AUDIT_SET, &on, sizeof on));
	print_median("audit_on");

	struct audit_rule_data other = rule(SYS_getsid), user = rule(SYS_getppid), exit_code = rule(SYS_getppid);
	must("adding a rule", ask(AUDIT_ADD_RULE, &other, sizeof other));
	print_median("audit_rule_other_call");

	compare(&user, AUDIT_UID, 12345);
	must("adding a rule", ask(AUDIT_ADD_RULE, &user, sizeof user));
	print_median("audit_rule_uid");

	must("deleting a rule", ask(AUDIT_DEL_RULE, &user, sizeof user));
	compare(&exit_code, AUDIT_ARCH, AUDIT_ARCH_X86_64);
	compare(&exit_code, AUDIT_EXIT, -13);
	must("adding a rule", ask(AUDIT_ADD_RULE, &exit_code, sizeof exit_code));
	print_median("audit_rule_exit");
	return 0;
}
