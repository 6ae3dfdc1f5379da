/* Checks address spaces: demand-zero pages, copy-on-write, protection, mremap, shared
 * mappings, file mappings and brk. */
#include "report.h"
#include <setjmp.h>

enum { PAGE = 4096 };

static sigjmp_buf back;
static void on_fault(int signal) { siglongjmp(back, signal); }

/* Returns the signal that a write to p raises, or 0. */
static int write_faults(volatile char *p)
{
	int signal = sigsetjmp(back, 1);
	if (!signal)
		*p = 1;
	return signal;
}

static char *map(size_t size, int flags) { return (char *)MUST(mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0)); }

static int all(const char *p, size_t n, char value)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != value)
			return 0;
	return 1;
}

static void anonymous(void)
{
	char *p = map(64 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS);
	HOLDS(all(p, 64 * PAGE, 0));
	memset(p, 7, 64 * PAGE);
	MUST(madvise(p + PAGE, PAGE, MADV_DONTNEED));
	HOLDS(all(p + PAGE, PAGE, 0) && all(p, PAGE, 7) && all(p + 2 * PAGE, PAGE, 7));
	MUST(mprotect(p, PAGE, PROT_READ));
	printf("write to a read-only page: %d\n", write_faults(p));
	MUST(mprotect(p, PAGE, PROT_READ | PROT_WRITE));
	printf("write again: %d\n", write_faults(p));
	MUST(munmap(p + 10 * PAGE, PAGE));
	printf("write to a hole: %d\n", write_faults(p + 10 * PAGE));
	char *q = (char *)MUST(mremap(p + 20 * PAGE, PAGE, 100 * PAGE, MREMAP_MAYMOVE));
	HOLDS(all(q, PAGE, 7) && all(q + PAGE, 99 * PAGE, 0));
	SHOW(munmap(p + 1, PAGE));
	SHOW(mprotect((void *)1, PAGE, PROT_READ) );
	SHOW((long)mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	SHOW((long)mmap(NULL, 1UL << 62, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void copy_on_write(void)
{
	char *private = map(16 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS);
	char *shared = map(PAGE, MAP_SHARED | MAP_ANONYMOUS);
	memset(private, 1, 16 * PAGE);
	int status;
	pid_t pid = MUST(fork());
	if (pid == 0) {
		memset(private, 2, 8 * PAGE);
		shared[5] = 55;
		_exit(all(private, 8 * PAGE, 2) && all(private + 8 * PAGE, 8 * PAGE, 1));
	}
	MUST(waitpid(pid, &status, 0));
	printf("the child sees its own pages: %d\n", WEXITSTATUS(status));
	HOLDS(all(private, 16 * PAGE, 1));
	HOLDS(shared[5] == 55);
}

static void files(void)
{
	char name[] = "/tmp/memory-XXXXXX", byte;
	int fd = MUST(mkstemp(name));
	MUST(ftruncate(fd, PAGE + 100));
	char *shared = (char *)MUST(mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	char *private = (char *)MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	shared[10] = 'S';
	HOLDS(private[10] == 'S');
	private[10] = 'P';
	MUST(pread(fd, &byte, 1, 10));
	HOLDS(byte == 'S');
	MUST(pwrite(fd, "W", 1, 11));
	HOLDS(shared[11] == 'W');
	printf("beyond the end: %d\n", write_faults(shared + 2 * PAGE));
	MUST(msync(shared, PAGE, MS_SYNC));
	MUST(ftruncate(fd, 0));
	printf("after truncation: %d\n", write_faults(shared));
	MUST(unlink(name));
	SHOW((long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, 999, 0));
}

static void heap(void)
{
	char *start = sbrk(0);
	HOLDS(sbrk(10 * PAGE) == start);
	HOLDS(all(start, 10 * PAGE, 0));
	memset(start, 9, 10 * PAGE);
	HOLDS(sbrk(-10 * PAGE) == start + 10 * PAGE);
	HOLDS(sbrk(PAGE) == start && all(start, PAGE, 0));
}

#ifdef __x86_64__
/* A call of 64-bit code by INT 0x80, whose pointers have 32 bits. */
static unsigned long by_int80(unsigned long number, unsigned long a, unsigned long b, unsigned long c, unsigned long d, unsigned long e)
{
	unsigned long result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e) : "memory");
	return result;
}

/* A mapping that a 32-bit call moves stays below 4 GiB. */
static void narrow_calls(void)
{
	enum { MMAP2 = 192, MREMAP = 163 };
	int flags = MAP_PRIVATE | MAP_ANONYMOUS, prot = PROT_READ | PROT_WRITE;
	unsigned long low = by_int80(MMAP2, 0, PAGE, prot, flags | MAP_32BIT, -1), at = by_int80(MMAP2, 0, PAGE, prot, flags, -1);
	printf("mapped below 4 GiB: %d, MAP_32BIT is ignored: %d\n", at >> 32 == 0, low >> 31 == 1);
	*(char *)at = 'x';
	unsigned long moved = by_int80(MREMAP, at, PAGE, 1000 * PAGE, MREMAP_MAYMOVE, 0);
	printf("moved below 4 GiB: %d, with its contents: %d\n", moved >> 32 == 0 && moved != at, *(char *)moved == 'x');
}
#else
static void narrow_calls(void) {}
#endif

int main(void)
{
	struct sigaction action = {.sa_handler = on_fault};
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	anonymous();
	copy_on_write();
	files();
	heap();
	narrow_calls();
	return 4;
}
