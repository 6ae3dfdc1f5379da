/* Checks that a thread with a CPU mask runs in user mode only on the CPUs of the
 * mask: alone, together with other threads, after a wake-up, after a change of
 * the mask by another process, and with an inherited mask. Three sources of the
 * CPU number must agree: the C library (an rseq area or the vDSO), the system
 * call getcpu, and the processor (RDTSCP). */
#include "report.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>

enum { MOST_CPUS = 64 };

static int cpus[MOST_CPUS], count;

/* Returns the CPU's number from TSC_AUX; Linux keeps it in the low 12 bits. */
static int processor(void)
{
	uint32_t low, high, number;
	__asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(number));
	return number & 0xfff;
}

static int by_call(void)
{
	unsigned cpu = -1;
	syscall(SYS_getcpu, &cpu, NULL, NULL);
	return cpu;
}

/* Returns how many of the three sources say that this is not CPU c. */
static long mismatches(int c)
{
	return (processor() != c) + (sched_getcpu() != c) + (by_call() != c);
}

static int confine(pid_t id, int c)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(c, &set);
	return sched_setaffinity(id, sizeof set, &set);
}

static int unconfine(void)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	for (int i = 0; i < count; i++)
		CPU_SET(cpus[i], &set);
	return sched_setaffinity(0, sizeof set, &set);
}

/* Returns whether the caller's mask has only CPU c. */
static int mask_is_only(int c)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) == 1 && CPU_ISSET(c, &set);
}

static void nap(void)
{
	struct timespec t = {0, 1000};
	nanosleep(&t, NULL);
}

static void one_cpu(void)
{
	long wrong = 0, masks = 0;
	for (int i = 0; i < count; i++) {
		int c = cpus[i];
		wrong += confine(0, c) != 0;
		masks += !mask_is_only(c);
		for (int n = 0; n < 2000; n++) {
			wrong += mismatches(c);
			if (n % 100 == 0)
				nap();
			else
				sched_yield();
		}
	}
	for (int n = 0; n < 400; n++) {
		int c = cpus[n % count];
		wrong += confine(0, c) != 0;
		wrong += mismatches(c);
	}
	printf("one CPU: %ld wrong, %ld masks, unconfined %d\n", wrong, masks, unconfine());
}

/* Checks a mask of two CPUs. */
static void two_cpus(void)
{
	long wrong = 0;
	for (int i = 0; i < count; i++) {
		int a = cpus[i], b = cpus[(i + 1) % count];
		cpu_set_t set;
		CPU_ZERO(&set);
		CPU_SET(a, &set);
		CPU_SET(b, &set);
		wrong += sched_setaffinity(0, sizeof set, &set) != 0;
		for (int n = 0; n < 500; n++) {
			int c = processor();
			wrong += c != a && c != b;
			sched_yield();
		}
	}
	printf("two CPUs: %ld wrong, unconfined %d\n", wrong, unconfine());
}

/* Threads, each confined to one CPU, meet at a barrier without sleeping. */
static long arrived;

static void *meet(void *argument)
{
	int c = cpus[(long)argument];
	long wrong = confine(0, c) != 0;
	for (long round = 1; round <= 30; round++) {
		__atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(&arrived, __ATOMIC_SEQ_CST) < round * count)
			;
		wrong += mismatches(c);
	}
	return (void *)wrong;
}

static long join(pthread_t *threads, int n)
{
	long wrong = 0;
	for (int i = 0; i < n; i++) {
		void *result;
		pthread_join(threads[i], &result);
		wrong += (long)result;
	}
	return wrong;
}

static void all_cpus(void)
{
	pthread_t threads[MOST_CPUS];
	for (long i = 0; i < count; i++)
		pthread_create(&threads[i], NULL, meet, (void *)i);
	printf("all CPUs: %ld wrong\n", join(threads, count));
}

/* Two threads take turns, with futexes or with sched_yield. */
static struct game {
	int cpu[2];
	int yields, rounds;
	uint32_t turn;
} game;

static void await(uint32_t me)
{
	uint32_t turn;
	while ((turn = __atomic_load_n(&game.turn, __ATOMIC_SEQ_CST)) != me) {
		if (game.yields)
			sched_yield();
		else
			syscall(SYS_futex, &game.turn, FUTEX_WAIT_PRIVATE, turn, NULL, NULL, 0);
	}
}

static void *play(void *argument)
{
	uint32_t me = (long)argument;
	int c = game.cpu[me];
	long wrong = confine(0, c) != 0;
	for (int round = 0; round < game.rounds; round++) {
		await(me);
		wrong += mismatches(c);
		__atomic_store_n(&game.turn, 1 - me, __ATOMIC_SEQ_CST);
		if (!game.yields)
			syscall(SYS_futex, &game.turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	}
	return (void *)wrong;
}

static void pingpong(const char *name, int a, int b, int yields, int rounds)
{
	pthread_t threads[2];
	game = (struct game){{a, b}, yields, rounds, 0};
	for (long i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, play, (void *)i);
	printf("%s: %ld wrong\n", name, join(threads, 2));
}

static void errors(void)
{
	cpu_set_t none, absent, mixed;
	CPU_ZERO(&none);
	CPU_ZERO(&absent);
	CPU_SET(MOST_CPUS - 1, &absent);
	mixed = absent;
	CPU_SET(cpus[0], &mixed);
	confine(0, cpus[0]);
	SHOW(sched_setaffinity(0, sizeof none, &none));
	SHOW(sched_setaffinity(0, sizeof absent, &absent));
	SHOW(sched_setaffinity(0, 0, &mixed));
	SHOW(sched_setaffinity(0, sizeof mixed, (void *)8));
	SHOW(sched_setaffinity(1 << 30, sizeof mixed, (void *)8));
	SHOW(sched_setaffinity(1 << 30, sizeof mixed, &mixed));
	SHOW(sched_setaffinity(-1, sizeof mixed, &mixed));
	SHOW(syscall(SYS_sched_getaffinity, 0, 0, &none));
	SHOW(syscall(SYS_sched_getaffinity, 0, 9, &none));
	SHOW(syscall(SYS_sched_getaffinity, 1 << 30, sizeof none, &none));
	printf("the mask is unchanged: %d\n", mask_is_only(cpus[0]));
	SHOW(sched_setaffinity(0, sizeof mixed, &mixed));
	printf("absent CPUs are removed from the mask: %d\n", mask_is_only(cpus[0]));
	unconfine();
}

/* A parent changes the mask of a child that makes no system calls. */
static struct sample {
	long number;
	int cpu;
} *sample;

static void record(void)
{
	for (;;) {
		__atomic_store_n(&sample->cpu, processor(), __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&sample->number, 1, __ATOMIC_SEQ_CST);
	}
}

static void moved_by_parent(void)
{
	long wrong = 0;
	pid_t child = fork();
	if (child == 0)
		record();
	for (int n = 0; n < 100; n++) {
		int c = cpus[n % count];
		wrong += confine(child, c) != 0;
		long from = __atomic_load_n(&sample->number, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(&sample->number, __ATOMIC_SEQ_CST) < from + 2)
			sched_yield();
		wrong += __atomic_load_n(&sample->cpu, __ATOMIC_SEQ_CST) != c;
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	SHOW(confine(child, cpus[0]));
	printf("moved by the parent: %ld wrong\n", wrong);
}

static void *inherited(void *argument)
{
	int c = (long)argument;
	return (void *)(!mask_is_only(c) + mismatches(c));
}

static long outcome(pid_t child)
{
	int status;
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 100;
}

/* Checks that a thread, a child and a program after execve inherit the mask. */
static long check_heirs(int c)
{
	char number[12];
	sprintf(number, "%d", c);
	pthread_t thread;
	pthread_create(&thread, NULL, inherited, (void *)(long)c);
	long wrong = join(&thread, 1);
	pid_t child = fork();
	if (child == 0)
		_exit((long)inherited((void *)(long)c));
	wrong += outcome(child);
	child = fork();
	if (child == 0) {
		execl("/proc/self/exe", "affinity", number, NULL);
		_exit(100);
	}
	return wrong + outcome(child);
}

static void inheritance(void)
{
	long wrong = 0;
	for (int n = 0; n < 20; n++) {
		int c = cpus[n % count];
		wrong += confine(0, c) != 0;
		wrong += check_heirs(c);
	}
	printf("inheritance: %ld wrong, unconfined %d\n", wrong, unconfine());
}

/* Many confined threads and some free ones make calls that allocate memory. */
static void *allocate(void *argument)
{
	long number = (long)argument, wrong = 0;
	int c = number < 3 * count ? cpus[number % count] : -1;
	if (c >= 0)
		wrong += confine(0, c) != 0;
	for (int n = 0; n < 200; n++) {
		int ends[2];
		char text[256];
		wrong += pipe(ends) != 0 || write(ends[1], text, sizeof text) != sizeof text ||
			 read(ends[0], text, sizeof text) != sizeof text;
		close(ends[0]);
		close(ends[1]);
		void *p = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		wrong += p == MAP_FAILED;
		munmap(p, 1 << 16);
		if (n % 20 == 0) {
			pid_t child = fork();
			if (child == 0)
				_exit(c >= 0 && mismatches(c));
			wrong += outcome(child);
		}
		if (n % 8 == 0)
			nap();
		if (c >= 0)
			wrong += mismatches(c);
	}
	return (void *)wrong;
}

static void pressure(void)
{
	enum { FREE = 4 };
	pthread_t threads[3 * MOST_CPUS + FREE];
	int n = 3 * count + FREE;
	for (long i = 0; i < n; i++)
		pthread_create(&threads[i], NULL, allocate, (void *)i);
	printf("pressure: %ld wrong\n", join(threads, n));
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1)
		return (long)inherited((void *)(long)atoi(argv[1]));
	cpu_set_t set;
	sched_getaffinity(0, sizeof set, &set);
	for (int c = 0; c < MOST_CPUS; c++)
		if (CPU_ISSET(c, &set))
			cpus[count++] = c;
	sample = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	one_cpu();
	two_cpus();
	all_cpus();
	pingpong("futex, one CPU", cpus[0], cpus[0], 0, 300);
	pingpong("futex, two CPUs", cpus[0], cpus[count - 1], 0, 300);
	pingpong("yield, one CPU", cpus[count - 1], cpus[count - 1], 1, 300);
	pingpong("yield, two CPUs", cpus[0], cpus[count - 1], 1, 50);
	errors();
	moved_by_parent();
	inheritance();
	pressure();
	return 11;
}
