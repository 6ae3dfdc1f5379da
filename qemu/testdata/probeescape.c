/* Does to probes what a program could do to escape from them: accesses at the end of the
 * memory, no room for the page of slots, and its own code in place of that page. The lines
 * of ours() are of what only this kernel does. */
#include "report.h"
#include "uprobe.h"
#include <sys/resource.h>

#define CODE(name, body) extern char name[]; __asm__(".pushsection .text\n.type " #name ",@function\n" #name ":\n" body "\nret\n.size " #name ",.-" #name "\n.popsection")
CODE(loading, "mov (%rdi), %rax");
CODE(storing, "mov %rsi, (%rdi)");
CODE(pushing, "mov %rsp, %rax\n mov %rdi, %rsp\npushed: push %rsi\n mov %rax, %rsp");
CODE(times, "imul %rsi, %rdi\n mov %rdi, %rax");
extern char pushed[];

typedef long (*function)(long, long);
#define CALL(name, ...) ((function)name)(__VA_ARGS__)

static char *pages; /* the second one of two can be accessed after on_fault */
static volatile long faults, offset, before, handled;

static void on_fault(int s, siginfo_t *info, void *context)
{
	(void)s, (void)context;
	faults++;
	offset = (char *)info->si_addr - pages;
	before = *(int *)(pages + 4092);
	mprotect(pages, 8192, PROT_READ | PROT_WRITE);
}

static void crossing(const char *name, const void *probed, long (*call)(void))
{
	static char stack[16384];
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
	struct sigaction a = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	MUST(sigaltstack(&alternate, NULL));
	MUST(sigaction(SIGSEGV, &a, NULL));
	pages = (char *)MUST(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	memset(pages, 1, 8192);
	MUST(mprotect(pages + 4096, 4096, PROT_NONE));
	faults = 0;
	int e = MUST(probe(probed, ENTRY));
	alarm(10);
	long result = call();
	alarm(0);
	printf("%s: result %lx, faults %ld at %ld, bytes before %lx, hits %lld\n", name, result, faults, offset, before, count_of(e));
	close(e);
}

static long load(void) { return CALL(loading, (long)pages + 4092, 0); }
static long store(void)
{
	CALL(storing, (long)pages + 4092, 0x2222222222222222);
	return *(long *)(pages + 4092);
}
static long push(void)
{
	CALL(pushing, (long)pages + 4100, 0x3333333333333333);
	return *(long *)(pages + 4092);
}

/* A program at its limit of memory does not make the kernel kill others. */
static void limited(void)
{
	int other = fork();
	if (other == 0) {
		static char big[64 << 20];
		memset(big, 1, sizeof big);
		pause();
		_exit(0);
	}
	usleep(100000);
	int e = MUST(probe(times, ENTRY)), status;
	int child = fork();
	if (child == 0) {
		struct rlimit none = {0, 0};
		setrlimit(RLIMIT_AS, &none);
		_exit(CALL(times, 6, 7) == 42 ? 42 : 1);
	}
	waitpid(child, &status, 0);
	printf("at the limit: %x, ", status);
	printf("the other process: %d\n", waitpid(other, &status, WNOHANG));
	kill(other, SIGKILL);
	waitpid(other, &status, 0);
	close(e);
}

static void on_signal(int s) { (void)s; handled++; }

/* Runs in place of the instruction in a slot. */
static void escape(void)
{
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	printf("ours: a signal in the own code: %ld\n", handled);
	char *arguments[] = {"probeescape", "executed", NULL};
	execv("/proc/self/exe", arguments);
	_exit(1);
}

static void replaced(void)
{
	unsigned long start = 0, end;
	char line[512];
	int e = MUST(probe(times, ENTRY));
	CALL(times, 1, 2);
	FILE *maps = fopen("/proc/self/maps", "r");
	while (fgets(line, sizeof line, maps))
		if (strstr(line, "[uprobes]"))
			sscanf(line, "%lx-%lx", &start, &end);
	fclose(maps);
	unsigned char *page = (unsigned char *)MUST(mmap((void *)start, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	for (int i = 0; i < 4096; i += 64) {
		memcpy(page + i, "\x48\xb8", 2); /* mov $escape, %rax; jmp *%rax */
		*(void **)(page + i + 2) = escape;
		memcpy(page + i + 10, "\xff\xe0", 2);
	}
	CALL(times, 1, 2);
	printf("not reached, %d\n", e);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && strcmp(argv[1], "executed") == 0) {
		/* Page faults and signals of the new program. */
		char *memory = (char *)MUST(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		memset(memory, 1, 1 << 20);
		signal(SIGUSR1, on_signal);
		raise(SIGUSR1);
		printf("executed, %ld signals\n", handled);
		return 0;
	}
	crossing("load", loading, load);
	crossing("store", storing, store);
	crossing("push", pushed, push);
	limited();
	replaced();
	return 0;
}
