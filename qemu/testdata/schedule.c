/* The calls that set policies, priorities and nice values, and the limits on real-time tasks. */
#include "report.h"
#include <sched.h>
#include <sys/resource.h>

struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t clamp_min, clamp_max;
};

enum { DEADLINE = 6, RESET = 1, RECLAIM = 2, OVERRUN = 4, KEEP_POLICY = 8, KEEP_PARAMS = 16 };
#define MS 1000000ull

static long set_attr(pid_t pid, void *a, unsigned flags)
{
	return syscall(SYS_sched_setattr, pid, a, flags);
}

static long set(uint32_t policy, uint64_t flags, int32_t nice, uint32_t priority)
{
	struct attr a = {.size = 48, .policy = policy, .flags = flags, .nice = nice, .priority = priority};
	return set_attr(0, &a, 0);
}

static long deadline(uint64_t flags, uint64_t runtime, uint64_t deadline, uint64_t period)
{
	struct attr a = {.size = 48, .policy = DEADLINE, .flags = flags, .runtime = runtime, .deadline = deadline, .period = period};
	return set_attr(0, &a, 0);
}

/* The raw call: that of musl does nothing. */
static long scheduler(int policy, int priority)
{
	struct sched_param p = {.sched_priority = priority};
	return syscall(SYS_sched_setscheduler, 0, policy, &p);
}

static long param(int priority)
{
	struct sched_param p = {.sched_priority = priority};
	return syscall(SYS_sched_setparam, 0, &p);
}

static void show(const char *what)
{
	struct attr a = {0};
	long n = syscall(SYS_sched_getattr, 0, &a, sizeof a, 0);
	printf("%s: %ld, policy %u/%ld flags %llu nice %d priority %u runtime %llu deadline %llu period %llu\n", what, n, a.policy,
	       syscall(SYS_sched_getscheduler, 0), (unsigned long long)a.flags, a.nice, a.priority,
	       (unsigned long long)(a.policy == DEADLINE ? a.runtime : 0), /* since Linux 6.12 others have a slice there */
	       (unsigned long long)a.deadline, (unsigned long long)a.period);
}

static void sizes(void)
{
	struct {
		struct attr a;
		uint64_t more;
	} a = {0};
	const uint32_t list[] = {0, 1, 47, 48, 52, 64, 4096, 4097, 0xffffffff};
	char *page = (char *)MUST(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	for (unsigned i = 0; i < sizeof list / sizeof *list; i++) {
		memset(page, 0, 4096);
		*(uint32_t *)page = list[i];
		printf("size %u: ", list[i]);
		SHOW(set_attr(0, page, 0));
	}
	a.a.size = sizeof a;
	a.more = 1;
	SHOW(set_attr(0, &a, 0));
	SHOW(set_attr(0, 0, 0));
	SHOW(set_attr(0, (void *)8, 0));
	SHOW(set_attr(-1, &a, 0));
	SHOW(set_attr(0, &a, 1));
	a.more = 0;
	SHOW(set_attr(1 << 22, &a, 0));
	SHOW(syscall(SYS_sched_getattr, 0, &a, 47, 0));
	SHOW(syscall(SYS_sched_getattr, 0, &a, 4097, 0));
	SHOW(syscall(SYS_sched_getattr, 0, &a, 48, 1));
	SHOW(syscall(SYS_sched_getattr, 0, 0, 48, 0));
	SHOW(syscall(SYS_sched_getattr, 0, 8, 48, 0));
	SHOW(syscall(SYS_sched_getattr, -1, &a, 48, 0));
	SHOW(syscall(SYS_sched_getattr, 0, &a, 48, 0));
	printf("size %u\n", a.a.size);
}

static void privileged(void)
{
	SHOW(set(8, 0, 0, 0));
	SHOW(set(4, 0, 0, 0));
	SHOW(set(-1, 0, 0, 0));
	SHOW(set(SCHED_OTHER, 0, 0, 1));
	SHOW(set(SCHED_FIFO, 0, 0, 0));
	SHOW(set(SCHED_FIFO, 0, 0, 100));
	SHOW(set(SCHED_OTHER, 0x80, 0, 0));
	SHOW(set(SCHED_OTHER, 0x10000000, 0, 0));
	SHOW(set(SCHED_BATCH, 0, 100, 0));
	show("batch");
	SHOW(set(SCHED_RR, RESET, 3, 7));
	show("round robin");
	SHOW(set(SCHED_OTHER, KEEP_POLICY, 0, 9));
	show("kept policy");
	SHOW(set(SCHED_FIFO, KEEP_PARAMS | RESET, 0, 1));
	show("kept parameters");
	SHOW(param(0));
	SHOW(param(12));
	SHOW(scheduler(SCHED_FIFO | 0x40000000, 12));
	show("fifo");
	SHOW(scheduler(SCHED_FIFO, -1));
	SHOW(scheduler(DEADLINE, 0));
	SHOW(scheduler(DEADLINE, 5));
	IN_A_CHILD(show("child"));
	SHOW(set(SCHED_IDLE, 0, -5, 0));
	show("idle");
	SHOW(setpriority(PRIO_PROCESS, 0, -7));
	SHOW(set(SCHED_OTHER, RESET, -7, 0));
	IN_A_CHILD(show("child"));
	SHOW(set(SCHED_OTHER, 0, 0, 0));
	SHOW(syscall(SYS_getpriority, 3, 0));
	for (int policy = -1; policy < 7; policy++)
		printf("policy %d: %d to %d\n", policy, sched_get_priority_min(policy), sched_get_priority_max(policy));
}

static void deadlines(void)
{
	cpu_set_t one, all;
	SHOW(deadline(0, 1023, 10 * MS, 10 * MS));
	SHOW(deadline(0, 2 * MS, 0, 10 * MS));
	SHOW(deadline(0, 11 * MS, 10 * MS, 10 * MS));
	SHOW(deadline(0, 2 * MS, 11 * MS, 10 * MS));
	SHOW(deadline(0, 2 * MS, 1ull << 63, 0));
	SHOW(deadline(0, 2000, 50000, 50000));
	SHOW(deadline(0, MS, 5000 * MS, 5000 * MS));
	show("refused");
	SHOW(deadline(RECLAIM | OVERRUN, 2 * MS, 10 * MS, 0));
	show("deadline");
	SHOW(deadline(RESET, 3 * MS, 8 * MS, 10 * MS));
	show("deadline");
	IN_A_CHILD(show("child"));
	SHOW(set(SCHED_OTHER, KEEP_PARAMS, 0, 0));
	SHOW(deadline(0, 3 * MS, 8 * MS, 10 * MS));
	SHOW(fork());
	SHOW(param(0));
	MUST(sched_getaffinity(0, sizeof all, &all));
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); i++)
		if (CPU_ISSET(i, &all))
			CPU_SET(i, &one);
	SHOW(sched_yield());
	if (CPU_COUNT(&all) > 1)
		SHOW(sched_setaffinity(0, sizeof one, &one));
	else
		printf("sched_setaffinity(0, sizeof one, &one) = -1 Device or resource busy\n");
	SHOW(sched_setaffinity(0, sizeof all, &all));
	SHOW(set(SCHED_OTHER, 0, 0, 0));
	show("other");
}

static void limit(int resource, rlim_t value)
{
	struct rlimit l = {value, value};
	MUST(setrlimit(resource, &l));
}

/* The errors of a user without CAP_SYS_NICE. */
static void unprivileged(void)
{
	limit(RLIMIT_RTPRIO, 0);
	limit(RLIMIT_NICE, 0);
	MUST(setpriority(PRIO_PROCESS, 0, 5));
	MUST(setresuid(1000, 1000, 1000));
	SHOW(setpriority(PRIO_PROCESS, 0, 1));
	SHOW(setpriority(PRIO_PROCESS, 0, 3));
	SHOW(setpriority(PRIO_PROCESS, 1, 10));
	SHOW(setpriority(PRIO_USER, 0, 4));
	SHOW(set(SCHED_BATCH, 0, 9, 0));
	SHOW(set(SCHED_BATCH, 0, 11, 0));
	SHOW(set(SCHED_FIFO, 0, 0, 1));
	SHOW(deadline(RESET, 2 * MS, 10 * MS, 10 * MS));
	SHOW(set(SCHED_OTHER, RESET, 12, 0));
	SHOW(set(SCHED_OTHER, 0, 12, 0));
	SHOW(set(SCHED_IDLE, RESET, 0, 0));
	SHOW(set(SCHED_OTHER, RESET, 19, 0));
	struct sched_param p = {0};
	SHOW(syscall(SYS_sched_setscheduler, 1, SCHED_OTHER, &p));
	SHOW(syscall(SYS_sched_setparam, 1, &p));
}

static volatile sig_atomic_t signals;

static void count(int n)
{
	signals++;
}

/* RLIMIT_RTTIME: SIGXCPU at the soft limit, and SIGKILL at the hard one. */
static void burst(rlim_t soft, rlim_t hard)
{
	struct rlimit l = {soft, hard};
	signal(SIGXCPU, count);
	MUST(scheduler(SCHED_FIFO, 1));
	MUST(setrlimit(RLIMIT_RTTIME, &l));
	while (!signals)
		;
	MUST(getrlimit(RLIMIT_RTTIME, &l));
	printf("the soft limit has become %llu\n", (unsigned long long)l.rlim_cur);
	fflush(stdout);
	while (hard != RLIM_INFINITY)
		;
}

int main(void)
{
	signal(SIGXCPU, SIG_IGN); /* of SCHED_FLAG_DL_OVERRUN: a slow host may overrun the runtime */
	sizes();
	privileged();
	deadlines();
	IN_A_CHILD(unprivileged());
	printf("soft limit: %x\n", IN_A_CHILD(burst(100000, RLIM_INFINITY)));
	printf("hard limit: %x\n", IN_A_CHILD(burst(50000, 200000)));
	return 0;
}
