/* What perf_event_open(2) owes to others: rings that are mapped, events that write to each
 * other's rings, filters, the events of a process that another one has opened, and programs
 * with other privileges. */
#include "report.h"
#include "uprobe.h"
#include <pthread.h>
#include <sys/prctl.h>

static __attribute__((noinline)) void probed(void) { __asm__ volatile("nop" ::: "memory"); }

static int software(int config, int pid)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE, .size = sizeof attr, .config = config, .exclude_kernel = 1, .exclude_hv = 1};
	return perf_open(&attr, pid, -1, -1, 0);
}

static void mapped(void)
{
	int e = MUST(software(PERF_COUNT_SW_DUMMY, 0));
	struct perf_event_mmap_page *page = (void *)MUST(mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, e, 0));
	SHOW(ioctl(e, PERF_EVENT_IOC_SET_OUTPUT, -1L));
	printf("size %llu\n", (unsigned long long)page->data_size);
	MUST(munmap(page, 2 * 4096));
	SHOW(ioctl(e, PERF_EVENT_IOC_SET_OUTPUT, -1L));
	SHOW(ioctl(e, PERF_EVENT_IOC_SET_FILTER, "common_pid == 1"));
	close(e);
}

static void limits(void)
{
	struct perf_event_attr attr = probe_attributes("/proc/self/exe", file_offset(probed), ENTRY);
	attr.sample_period = 1;
	attr.sample_type = PERF_SAMPLE_CALLCHAIN;
	for (int i = 127; i < 129; i++) {
		attr.sample_max_stack = i;
		int e = perf_open(&attr, 0, -1, -1, 0);
		printf("%d frames: %s\n", i, e < 0 ? strerror(errno) : "opened");
		close(e);
	}
}

static int events[2];

static void *redirect(void *argument)
{
	long n = (long)argument;
	for (int i = 0; i < 20000; i++)
		ioctl(events[n], PERF_EVENT_IOC_SET_OUTPUT, events[1 - n]);
	return NULL;
}

static void *remap(void *argument)
{
	for (int i = 0; i < 5000; i++) {
		unsigned long size = (1 + (1 << (i + (long)argument) % 3)) * 4096;
		void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, events[0], 0);
		if (p != MAP_FAILED)
			munmap(p, size);
		ioctl(events[0], PERF_EVENT_IOC_SET_OUTPUT, -1L);
	}
	return NULL;
}

static void run(void *(*body)(void *))
{
	pthread_t threads[2];
	for (long i = 0; i < 2; i++)
		events[i] = MUST(software(PERF_COUNT_SW_DUMMY, 0));
	for (long i = 0; i < 2; i++)
		MUST(-pthread_create(&threads[i], NULL, body, (void *)i));
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	close(events[0]), close(events[1]);
}

static void observed(void)
{
	int go[2];
	MUST(pipe(go));
	pid_t child = MUST(fork());
	if (child == 0) {
		char c;
		close(go[1]);
		if (read(go[0], &c, 1) == 1 && prctl(PR_TASK_PERF_EVENTS_DISABLE) == 0)
			for (int i = 0; i < 9; i++)
				probed();
		_exit(0);
	}
	struct perf_event_attr attr = probe_attributes("/proc/self/exe", file_offset(probed), ENTRY);
	int e = MUST(perf_open(&attr, child, -1, -1, 0));
	MUST(write(go[1], "x", 1));
	MUST(waitpid(child, NULL, 0));
	printf("another process counts %lld\n", count_of(e));
	close(e), close(go[0]), close(go[1]);
}

static void copy_self(const char *name)
{
	static char buffer[1 << 16];
	int from = MUST(open("/proc/self/exe", O_RDONLY)), to = MUST(open(name, O_WRONLY | O_CREAT | O_EXCL, 0755));
	for (ssize_t n; (n = read(from, buffer, sizeof buffer)) > 0;)
		MUST(write(to, buffer, n));
	close(from), close(to);
}

static void executed(const char *name, mode_t mode)
{
	unlink(name);
	copy_self(name);
	MUST(chmod(name, mode));
	fflush(stdout);
	pid_t child = MUST(fork());
	if (child == 0) {
		MUST(setresgid(1000, 1000, 1000));
		MUST(setresuid(1000, 1000, 1000));
		char number[16];
		sprintf(number, "%d", (int)MUST(software(PERF_COUNT_SW_TASK_CLOCK, 0)));
		execl(name, name, number, NULL);
		_exit(1);
	}
	MUST(waitpid(child, NULL, 0));
	unlink(name);
}

static void work(void)
{
	for (volatile int i = 0; i < 20000000; i++)
		;
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		int e = atoi(argv[1]);
		long long before = count_of(e);
		work();
		printf("user %d is observed: %d\n", geteuid(), count_of(e) > before);
		return 0;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	mapped();
	limits();
	run(redirect);
	run(remap);
	printf("done\n");
	observed();
	executed("/tmp/plain", 0755);
	executed("/tmp/privileged", 04755);
	return 0;
}
