/* Calls work four times and leaf once. With an argument it prints the offsets of the two
 * functions in its file instead: a static program is linked at __executable_start. */
#include <stdio.h>

extern char __executable_start[];

__attribute__((noinline, noclone)) long work(int a, const char *s)
{
	__asm__ volatile("" : "+r"(a));
	return a + s[0];
}

__attribute__((noinline, noclone)) int leaf(int a)
{
	__asm__ volatile("" : "+r"(a));
	return a * 3;
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1) {
		printf("work=0x%lx leaf=0x%lx\n", (long)((char *)work - __executable_start), (long)((char *)leaf - __executable_start));
		return 0;
	}
	long sum = 0;
	for (int i = 0; i < 3; i++)
		sum += work(i, "hello");
	sum += work(7, "x");
	printf("%ld\n", sum + leaf(5));
	return 0;
}
