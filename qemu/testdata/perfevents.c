/* Counts and samples probes on its own functions with perf_event_open(2), and prints
 * what a program sees: values, groups, records of the ring buffer, errors. */
#include "report.h"
#include "uprobe.h"
#include <poll.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static __attribute__((noinline)) long twice(long x)
{
	__asm__ volatile("" ::: "memory");
	return 2 * x;
}

static __attribute__((noinline)) long thrice(long x)
{
	__asm__ volatile("" ::: "memory");
	return 3 * x;
}

/* The red zone: 16 words below the stack pointer survive a hit. */
extern char red_zone[];
__asm__(".pushsection .text\nred_zone: nopl 0(%rax,%rax,1)\n ret\n.popsection");

static void call(int n)
{
	for (int i = 0; i < n; i++)
		if (twice(i) != 2 * i)
			printf("twice(%d) is wrong\n", i);
}

static void counting(void)
{
	int entry = MUST(probe(twice, ENTRY)), ret = MUST(probe(twice, RETURN)), other = MUST(probe(thrice, ENTRY));
	call(1000);
	printf("counted %lld %lld %lld\n", count_of(entry), count_of(ret), count_of(other));
	MUST(ioctl(entry, PERF_EVENT_IOC_DISABLE, 0));
	call(10);
	MUST(ioctl(entry, PERF_EVENT_IOC_ENABLE, 0));
	call(1);
	printf("after disable and enable %lld\n", count_of(entry));
	MUST(ioctl(entry, PERF_EVENT_IOC_RESET, 0));
	MUST(prctl(PR_TASK_PERF_EVENTS_DISABLE));
	call(5);
	MUST(prctl(PR_TASK_PERF_EVENTS_ENABLE));
	call(2);
	printf("after reset and prctl %lld\n", count_of(entry));
	close(entry), close(ret), close(other);
	call(3);
}

static void group(void)
{
	struct perf_event_attr attr = probe_attributes("/proc/self/exe", file_offset(twice), ENTRY);
	attr.read_format = PERF_FORMAT_GROUP;
	attr.disabled = 1;
	int leader = MUST(perf_open(&attr, 0, -1, -1, 0));
	attr.probe_offset = file_offset(thrice);
	attr.disabled = 0;
	int member = MUST(perf_open(&attr, 0, -1, leader, 0));
	MUST(ioctl(leader, PERF_EVENT_IOC_ENABLE, PERF_IOC_FLAG_GROUP));
	call(4);
	thrice(1);
	uint64_t values[3] = {0};
	printf("read %zd bytes:", read(leader, values, sizeof values));
	printf(" %lu events %lu %lu\n", values[0], values[1], values[2]);
	SHOW(read(leader, values, 8));
	close(member), close(leader);
}

static void *run_calls(void *n)
{
	call((long)n);
	return 0;
}

static void inheritance(void)
{
	struct perf_event_attr attr = probe_attributes("/proc/self/exe", file_offset(twice), ENTRY);
	int own = MUST(perf_open(&attr, 0, -1, -1, 0));
	attr.inherit = 1;
	int all = MUST(perf_open(&attr, 0, -1, -1, 0));
	IN_A_CHILD(call(7));
	pthread_t thread;
	pthread_create(&thread, 0, run_calls, (void *)5);
	pthread_join(thread, 0);
	call(1);
	printf("own %lld, with children %lld\n", count_of(own), count_of(all));
	close(own), close(all);
}

static void of_another(void)
{
	int go[2];
	MUST(pipe(go));
	fflush(stdout);
	pid_t child = MUST(fork());
	if (child == 0) {
		char c;
		close(go[1]);
		if (read(go[0], &c, 1) == 1)
			call(9);
		_exit(0);
	}
	struct perf_event_attr attr = probe_attributes("/proc/self/exe", file_offset(twice), ENTRY);
	int event = MUST(perf_open(&attr, child, -1, -1, 0));
	call(100);
	MUST(write(go[1], "x", 1));
	MUST(waitpid(child, 0, 0));
	struct pollfd p = {.fd = event, .events = POLLIN};
	poll(&p, 1, 1000);
	printf("of the child %lld, hung up %d\n", count_of(event), !!(p.revents & POLLHUP));
	close(event), close(go[0]), close(go[1]);
	SHOW(perf_open(&attr, child, -1, -1, 0));
}

/* Reads the records of a ring and prints them. */
struct sample {
	struct perf_event_header header;
	uint64_t ip;
	uint32_t pid, tid;
	uint64_t period, abi, argument;
};

static void sampling(void)
{
	struct perf_event_attr attr = probe_attributes("/proc/self/exe", file_offset(twice), ENTRY);
	attr.sample_period = 2;
	attr.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_PERIOD | PERF_SAMPLE_REGS_USER;
	attr.sample_regs_user = 1 << 5; /* RDI */
	attr.wakeup_events = 1;
	int event = MUST(perf_open(&attr, 0, -1, -1, 0));
	SHOW(mmap(0, 4 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, event, 0) == MAP_FAILED);
	SHOW(mmap(0, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, event, 0) == MAP_FAILED);
	struct perf_event_mmap_page *page = mmap(0, 2 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, event, 0);
	if (page == MAP_FAILED) {
		perror("mmap");
		return;
	}
	printf("data at %llu, %llu bytes\n", (unsigned long long)page->data_offset, (unsigned long long)page->data_size);
	struct pollfd p = {.fd = event, .events = POLLIN};
	HOLDS(poll(&p, 1, 0) == 0);
	call(10);
	HOLDS(poll(&p, 1, 1000) == 1 && p.revents == POLLIN);
	HOLDS(poll(&p, 1, 0) == 0);
	uint64_t tail = 0, head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE);
	while (tail < head) {
		struct sample s;
		memcpy(&s, (char *)page + 4096 + tail % 4096, sizeof s);
		printf("type %u misc %u size %u at the function %d pid %d tid %d period %lu abi %lu argument %lu\n", s.header.type,
		       s.header.misc, s.header.size, s.ip == (uint64_t)twice, s.pid == (uint32_t)getpid(),
		       s.tid == (uint32_t)getpid(), s.period, s.abi, s.argument);
		tail += s.header.size;
	}
	__atomic_store_n(&page->data_tail, tail, __ATOMIC_RELEASE);
	call(1000); /* overflows */
	int samples = 0;
	head = page->data_head;
	while (tail < head) {
		struct perf_event_header *h = (void *)((char *)page + 4096 + tail % 4096);
		samples += h->type == PERF_RECORD_SAMPLE;
		tail += h->size;
	}
	printf("%d samples fit\n", samples);
	page->data_tail = tail;
	call(2);
	head = page->data_head;
	uint64_t lost[3] = {0};
	if (tail < head)
		memcpy(lost, (char *)page + 4096 + tail % 4096, sizeof lost);
	printf("then a record of type %u says %lu lost\n", (unsigned)lost[0], lost[2]);
	MUST(munmap(page, 2 * 4096));
	close(event);
}

static void stays_intact(void)
{
	int event = MUST(probe(red_zone, ENTRY));
	long bad = 0;
	for (int n = 0; n < 1000; n++)
		__asm__ volatile("mov $0x5a5a5a5a, %%rax\n"
				 "mov %%rax, -16(%%rsp)\n mov %%rax, -24(%%rsp)\n mov %%rax, -128(%%rsp)\n"
				 "lea -512(%%rsp), %%rsp\n call red_zone\n lea 512(%%rsp), %%rsp\n"
				 "cmp %%rax, -16(%%rsp)\n jne 1f\n cmp %%rax, -24(%%rsp)\n jne 1f\n cmp %%rax, -128(%%rsp)\n je 2f\n"
				 "1: incq %0\n2:"
				 : "+r"(bad) : : "rax", "memory");
	printf("%lld hits damaged the red zone %ld times\n", count_of(event), bad);
	close(event);
}

static void fails(const char *what, struct perf_event_attr attr, int pid, int cpu)
{
	errno = 0;
	int event = perf_open(&attr, pid, cpu, -1, 0);
	printf("%s: %s\n", what, event < 0 ? strerror(errno) : "opened");
	if (event >= 0)
		close(event);
}

static void errors(void)
{
	unsigned long offset = file_offset(twice);
	struct perf_event_attr good = probe_attributes("/proc/self/exe", offset, ENTRY), bad = good;
	bad.type = 99;
	fails("unknown type", bad, 0, -1);
	bad = good, bad.size = 8;
	fails("small size", bad, 0, -1);
	bad = good, bad.read_format = 1 << 20;
	fails("unknown read format", bad, 0, -1);
	bad = good, bad.sample_type = 1ull << 40;
	fails("unknown sample type", bad, 0, -1);
	bad = good, bad.uprobe_path = 8;
	fails("bad path", bad, 0, -1);
	bad = good, bad.uprobe_path = (unsigned long)"";
	fails("empty path", bad, 0, -1);
	bad = good, bad.uprobe_path = (unsigned long)"/nowhere";
	fails("no such file", bad, 0, -1);
	bad = good, bad.uprobe_path = (unsigned long)"/tmp";
	fails("a directory", bad, 0, -1);
	bad = good, bad.probe_offset = 1ul << 40;
	fails("beyond the end", bad, 0, -1);
	fails("no task and no CPU", good, -1, -1);
	fails("no such CPU", good, 0, 5000);
	fails("no such process", good, 99999, -1);
	bad = good, bad.type = PERF_TYPE_HARDWARE, bad.config = 77;
	errno = 0;
	HOLDS(perf_open(&bad, 0, -1, -1, 0) == -1);
	SHOW(perf_open(&good, 0, -1, 0, 0));
	SHOW(perf_open(&good, 0, -1, -1, 1 << 10));
	IN_A_CHILD(MUST(setuid(1000)); good.exclude_kernel = 1; fails("not root", good, 0, -1));
}

int main(void)
{
	if (uprobe_type() < 0) {
		printf("no uprobe PMU\n");
		return 77;
	}
	counting();
	group();
	inheritance();
	of_another();
	sampling();
	stays_intact();
	errors();
	return 0;
}
