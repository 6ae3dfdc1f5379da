/* Checks futexes with priority inheritance: who is boosted and for how long, chains, errors,
 * timeouts, the death of an owner, and FUTEX_CMP_REQUEUE_PI. */
#include "report.h"
#include <linux/futex.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

typedef volatile uint32_t word;

static long futex(word *w, int op, uint32_t value, const void *timeout, word *w2, uint32_t value3)
{
	return syscall(SYS_futex, w, op | FUTEX_PRIVATE_FLAG, value, timeout, w2, value3);
}
static long lock(word *w) { return futex(w, FUTEX_LOCK_PI, 0, NULL, NULL, 0); }
static long trylock(word *w) { return futex(w, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0); }
static long unlock(word *w) { return futex(w, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0); }

static pid_t own_id(void) { return syscall(SYS_gettid); }

/* Gives a thread SCHED_FIFO with a priority, or SCHED_OTHER for 0. */
static void become(pid_t id, int priority)
{
	struct sched_param p = {.sched_priority = priority};
	MUST(sched_setscheduler(id, priority ? SCHED_FIFO : SCHED_OTHER, &p));
}

/* Reads the state of a thread and its priority in the kernel's count. */
static char status(pid_t id, int *priority)
{
	char name[64], text[512];
	snprintf(name, sizeof name, "/proc/self/task/%d/stat", id);
	int fd = open(name, O_RDONLY);
	if (fd < 0)
		return 'X';
	int n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return 'X';
	text[n] = 0;
	char state;
	sscanf(strrchr(text, ')') + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %d", &state, priority);
	return state;
}

/* Returns once the thread sleeps. */
static void await_sleep(pid_t id)
{
	int priority;
	while (status(id, &priority) != 'S')
		usleep(500);
	usleep(500);
	while (status(id, &priority) != 'S')
		usleep(500);
}

static void show_priority(const char *who, pid_t id)
{
	int priority = 0;
	struct sched_param p;
	status(id, &priority);
	sched_getparam(id, &p);
	printf("%s runs with %d, set is %d of policy %d\n", who, priority, p.sched_priority, sched_getscheduler(id));
}

/* A thread that locks first, then second, and unlocks both when told. */
struct holder {
	pthread_t thread;
	volatile pid_t id;
	word *first, *second;
	int priority, nice;
	const struct timespec *timeout; /* of FUTEX_LOCK_PI2 of second */
	long result;
	int error;
	word hold;
	int exits; /* without the unlock of first */
};

static void *hold(void *argument)
{
	struct holder *h = argument;
	if (h->nice)
		MUST(setpriority(PRIO_PROCESS, own_id(), h->nice));
	become(0, h->priority);
	if (h->first)
		MUST(lock(h->first));
	h->id = own_id();
	if (h->second) {
		h->result = futex(h->second, FUTEX_LOCK_PI2, 0, h->timeout, NULL, 0);
		h->error = errno;
		if (h->result == 0)
			MUST(unlock(h->second));
	}
	while (h->hold)
		futex(&h->hold, FUTEX_WAIT, 1, NULL, NULL, 0);
	if (h->first && !h->exits)
		MUST(unlock(h->first));
	return NULL;
}

/* Starts the thread, and returns once it sleeps. */
static void start(struct holder *h)
{
	MUST(-!!pthread_create(&h->thread, NULL, hold, h));
	while (!h->id)
		usleep(500);
	await_sleep(h->id);
}

static void release(struct holder *h)
{
	h->hold = 0;
	futex(&h->hold, FUTEX_WAKE, 1, NULL, NULL, 0);
	pthread_join(h->thread, NULL);
}

static void chain(void)
{
	word one = 0, two = 0, three = 0;
	struct timespec soon;
	struct holder a = {.first = &one, .hold = 1}, b = {.first = &two, .second = &one},
		      c = {.first = &three, .second = &two, .priority = 30}, d = {.second = &three, .priority = 60};
	puts("a chain of three locks");
	start(&a);
	start(&b);
	show_priority("a", a.id);
	start(&c);
	show_priority("a", a.id);
	MUST(clock_gettime(CLOCK_MONOTONIC, &soon));
	soon.tv_sec += 1;
	d.timeout = &soon;
	start(&d);
	show_priority("a", a.id);
	show_priority("b", b.id);
	show_priority("c", c.id);
	become(d.id, 65);
	show_priority("a", a.id);
	become(d.id, 0);
	show_priority("a", a.id);
	show_priority("c", c.id);
	become(d.id, 80);
	show_priority("a", a.id);
	become(a.id, 10);
	show_priority("a", a.id);
	become(a.id, 0);
	pthread_join(d.thread, NULL);
	printf("the last of the chain: %ld %s\n", d.result, strerror(d.error));
	show_priority("a", a.id);
	release(&a);
	release(&b);
	release(&c);
	printf("words %x %x %x, results %ld %ld\n", one & FUTEX_TID_MASK, two & FUTEX_TID_MASK, three & FUTEX_TID_MASK, b.result, c.result);
}

static void fair(void)
{
	word one = 0;
	struct holder a = {.first = &one, .hold = 1}, b = {.second = &one, .nice = -10}, c = {.second = &one, .priority = 1};
	puts("fair waiters");
	start(&a);
	start(&b);
	show_priority("the owner", a.id);
	start(&c);
	show_priority("the owner", a.id);
	printf("bits %x\n", one & ~FUTEX_TID_MASK);
	a.hold = 0;
	futex(&a.hold, FUTEX_WAKE, 1, NULL, NULL, 0);
	pthread_join(a.thread, NULL);
	pthread_join(b.thread, NULL);
	pthread_join(c.thread, NULL);
	printf("word %x results %ld %ld\n", one, b.result, c.result);
}

static void owner_dies(void)
{
	word one = 0, two = 0;
	struct holder a = {.first = &one, .hold = 1, .exits = 1}, b = {.first = &two, .second = &one, .priority = 40}, c = {.second = &two, .priority = 50};
	puts("the owner exits");
	start(&a);
	start(&b);
	start(&c);
	show_priority("the owner", a.id);
	release(&a);
	pthread_join(b.thread, NULL);
	pthread_join(c.thread, NULL);
	printf("words %x %x results %ld %ld\n", one, two, b.result, c.result);
}

static void errors(void)
{
	word own = 0, other = 0, contested = 0, condition = 0, none = 0x3ffffff0, plain = 0;
	struct timespec past = {1, 0}, invalid = {0, 1000000000}, negative = {-1, 0};
	struct holder a = {.first = &other, .hold = 1}, b = {.first = &contested, .hold = 1}, c = {.second = &contested};
	puts("errors");
	SHOW(lock(&own));
	SHOW(lock(&own));
	SHOW(trylock(&own));
	SHOW(unlock(&own));
	SHOW(unlock(&own));
	SHOW(trylock(&own));
	SHOW(unlock(&own));
	start(&a);
	SHOW(trylock(&other));
	printf("bits %x\n", other & ~FUTEX_TID_MASK);
	SHOW(unlock(&other));
	SHOW(lock(&none));
	SHOW(trylock(&none));
	printf("word %x\n", none);
	SHOW(futex(&other, FUTEX_LOCK_PI, 0, &past, NULL, 0));
	SHOW(futex(&other, FUTEX_LOCK_PI, 0, &invalid, NULL, 0));
	SHOW(futex(&other, FUTEX_LOCK_PI, 0, &negative, NULL, 0));
	SHOW(futex(&other, FUTEX_LOCK_PI | FUTEX_CLOCK_REALTIME, 0, &past, NULL, 0));
	SHOW(futex(&other, FUTEX_LOCK_PI2, 0, &past, NULL, 0));
	SHOW(futex(&other, FUTEX_LOCK_PI2 | FUTEX_CLOCK_REALTIME, 0, &past, NULL, 0));
	SHOW(futex(&other, FUTEX_UNLOCK_PI | FUTEX_CLOCK_REALTIME, 0, NULL, NULL, 0));
	SHOW(futex(NULL, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	SHOW(futex((word *)((char *)&own + 1), FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	SHOW(futex((word *)((char *)&own + 1), FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	start(&b);
	start(&c);
	SHOW(futex(&contested, FUTEX_WAKE, 1, NULL, NULL, 0));
	SHOW(futex(&contested, FUTEX_WAKE, 0, NULL, NULL, 0));
	SHOW(futex(&contested, FUTEX_REQUEUE, 0, (void *)1, &own, 0));
	SHOW(futex(&contested, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &own, contested));
	uint32_t right = contested;
	contested = own_id();
	SHOW(trylock(&contested));
	SHOW(unlock(&contested));
	contested = a.id;
	SHOW(trylock(&contested));
	contested = 0;
	SHOW(trylock(&contested));
	contested = right;
	SHOW(trylock(&contested));
	release(&b);
	pthread_join(c.thread, NULL);
	printf("word %x result %ld\n", contested, c.result);
	SHOW(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &condition, 0));
	SHOW(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 1, NULL, &own, 0));
	SHOW(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, &past, &own, 0));
	SHOW(futex(&condition, FUTEX_WAIT_REQUEUE_PI | FUTEX_CLOCK_REALTIME, 0, &past, &own, 0));
	SHOW(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, NULL, &condition, 0));
	SHOW(futex(&condition, FUTEX_CMP_REQUEUE_PI, 0, NULL, &own, 0));
	SHOW(futex(&condition, FUTEX_CMP_REQUEUE_PI, 2, NULL, &own, 0));
	SHOW(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)-1L, &own, 0));
	SHOW(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, NULL, &own, 5));
	SHOW(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)10, &own, 0));
	release(&a);
	plain = 1;
	HOLDS(plain == 1);
}

/* Two locks in opposite order. */
static void circle(void)
{
	word one = 0, two = 0;
	struct holder a = {.first = &one, .second = &two};
	puts("a circle");
	MUST(lock(&two));
	start(&a);
	SHOW(lock(&one));
	SHOW(trylock(&one));
	SHOW(unlock(&two));
	pthread_join(a.thread, NULL);
	printf("words %x %x result %ld\n", one & FUTEX_TID_MASK, two & FUTEX_TID_MASK, a.result);
}

static word condition, mutex;
static int order[8];
static volatile int woken;

struct sleeper {
	pthread_t thread;
	volatile pid_t id;
	int priority;
	long result;
	int error;
};

static void *sleep_on_condition(void *argument)
{
	struct sleeper *s = argument;
	become(0, s->priority);
	MUST(lock(&mutex));
	uint32_t seen = condition;
	MUST(unlock(&mutex));
	s->id = own_id();
	s->result = futex(&condition, FUTEX_WAIT_REQUEUE_PI, seen, NULL, &mutex, 0);
	s->error = errno;
	if (s->result == 0) {
		order[woken++] = s->priority;
		MUST(unlock(&mutex));
	}
	return NULL;
}

static void ignore(int number) { (void)number; }

static void requeue(void)
{
	struct sleeper s[4] = {{.priority = 10}, {.priority = 30}, {.priority = 20}, {.priority = 0}};
	puts("a condition variable");
	for (int i = 0; i < 4; i++) {
		MUST(-!!pthread_create(&s[i].thread, NULL, sleep_on_condition, &s[i]));
		while (!s[i].id)
			usleep(500);
		await_sleep(s[i].id);
	}
	SHOW(futex(&condition, FUTEX_WAKE, 1, NULL, NULL, 0));
	SHOW(futex(&condition, FUTEX_REQUEUE, 1, (void *)1, &mutex, 0));
	SHOW(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, NULL, (word *)order, 0));
	MUST(lock(&mutex));
	SHOW(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &mutex, condition));
	show_priority("main", own_id());
	condition++;
	/* The signal ends the wait of the thread that was moved second. */
	struct sigaction action = {.sa_handler = ignore};
	MUST(sigaction(SIGUSR1, &action, NULL));
	MUST(syscall(SYS_tgkill, getpid(), s[2].id, SIGUSR1));
	pthread_join(s[2].thread, NULL);
	printf("interrupted: %ld %s\n", s[2].result, strerror(s[2].error));
	SHOW(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)(long)INT_MAX, &mutex, condition));
	printf("bits %x\n", mutex & ~FUTEX_TID_MASK);
	MUST(unlock(&mutex));
	for (int i = 0; i < 4; i++)
		if (i != 2)
			pthread_join(s[i].thread, NULL);
	printf("order %d %d %d of %d, word %x\n", order[0], order[1], order[2], woken, mutex);
	show_priority("main", own_id());
	/* The lock is free: the requeue gives it to the waiter. */
	struct sleeper last = {.priority = 5};
	MUST(-!!pthread_create(&last.thread, NULL, sleep_on_condition, &last));
	while (!last.id)
		usleep(500);
	await_sleep(last.id);
	SHOW(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, NULL, &mutex, condition));
	pthread_join(last.thread, NULL);
	printf("result %ld word %x\n", last.result, mutex);
}

/* One CPU: a fair owner, a spinner of medium priority, and an urgent waiter. */
static word contended;
static volatile long progress;
static volatile int held, stop, finish, events;
static const char *event[8];

static void *fair_owner(void *argument)
{
	MUST(lock(&contended));
	held = 1;
	while (!finish)
		progress++;
	event[events++] = "the owner unlocks";
	MUST(unlock(&contended));
	event[events++] = "the owner runs again";
	return argument;
}

static void *spinner(void *argument)
{
	become(0, 50);
	while (!stop)
		;
	event[events++] = "the spinner ends";
	return argument;
}

static void *urgent(void *argument)
{
	become(0, 70);
	finish = 1;
	MUST(lock(&contended));
	event[events++] = "the waiter has the lock";
	MUST(unlock(&contended));
	return argument;
}

static void inversion(void)
{
	pthread_t threads[3];
	cpu_set_t all, one;
	puts("priority inversion on one CPU");
	MUST(sched_getaffinity(0, sizeof all, &all));
	CPU_ZERO(&one);
	for (int i = 0; CPU_COUNT(&one) == 0; i++)
		if (CPU_ISSET(i, &all))
			CPU_SET(i, &one);
	MUST(sched_setaffinity(0, sizeof one, &one));
	MUST(-!!pthread_create(&threads[0], NULL, fair_owner, NULL));
	while (!held)
		usleep(500);
	become(0, 90);
	MUST(-!!pthread_create(&threads[1], NULL, spinner, NULL));
	become(0, 90);
	usleep(2000);
	long before = progress;
	usleep(50000);
	printf("the owner has run beside the spinner: %d\n", progress != before);
	MUST(-!!pthread_create(&threads[2], NULL, urgent, NULL));
	usleep(50000);
	stop = 1;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < events; i++)
		puts(event[i]);
	become(0, 0);
	MUST(sched_setaffinity(0, sizeof all, &all));
}

int main(void)
{
	chain();
	fair();
	owner_dies();
	errors();
	circle();
	requeue();
	inversion();
	return 21;
}
