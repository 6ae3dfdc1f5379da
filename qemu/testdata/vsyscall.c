/* Calls the functions of the vsyscall page, well and badly, and accesses it in other ways. */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#define PAGE 0xffffffffff600000ul

static sigjmp_buf out;

static void caught(int s)
{
	siglongjmp(out, s);
}

typedef long call(unsigned long, unsigned long, unsigned long);

static void show(const char *name, unsigned long at, unsigned long a, unsigned long b, long most)
{
	int s = sigsetjmp(out, 1);
	if (s != 0) {
		printf("%s: signal %d\n", name, s);
		return;
	}
	long result = ((call *)at)(a, b, 0);
	if (result < 0 || result > most)
		printf("%s: returns %ld\n", name, result);
	else
		printf("%s: returns a good value\n", name);
}

static void access_page(const char *name, int write)
{
	int s = sigsetjmp(out, 1);
	if (s != 0) {
		printf("%s: signal %d\n", name, s);
		return;
	}
	volatile unsigned *word = (unsigned *)PAGE;
	if (write)
		*word = 1;
	printf("%s: %x\n", name, *word);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGSEGV, caught);
	char line[256];
	FILE *maps = fopen("/proc/self/maps", "r");
	while (fgets(line, sizeof line, maps))
		if (strstr(line, "[vsyscall]"))
			fputs(line, stdout);
	struct timeval now = {0, 0};
	unsigned cpu = 4096, node = 4096;
	show("gettimeofday", PAGE, (unsigned long)&now, 0, 0);
	printf("the time is set: %d\n", now.tv_sec > 1600000000);
	show("time", PAGE + 0x400, 0, 0, 1l << 40);
	show("getcpu", PAGE + 0x800, (unsigned long)&cpu, (unsigned long)&node, 0);
	printf("CPU and node are set: %d\n", cpu < 4096 && node < 4096);
	show("a pointer to nothing", PAGE + 0x400, 8, 0, 0);
	show("a pointer to the kernel", PAGE + 0x400, -4096ul, 0, 0);
	show("no start of a function", PAGE + 0x401, 0, 0, 0);
	show("a fourth function", PAGE + 0xc00, 0, 0, 0);
	access_page("a read", 0);
	access_page("a write", 1);
	return 0;
}
