/* The program that the script tracing.sh probes. It calls work four times and leaf once.
 * With an argument, four threads call leaf as often as that says. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct object {
	char c;
	short h;
	int i;
	long l;
	unsigned bits;
	const char *name;
};

long numbers[4] = {1, -2, 3, 0x123456789abcdef0};
const char *names[3] = {"alpha", "beta", "gamma"};
struct object object = {-3, -300, -70000, -5000000000, 0xabcd1234, "inner"};

__attribute__((noinline, noclone)) long work(int a, const char *s, struct object *o, long *n, const char **v)
{
	__asm__ volatile("" ::: "memory");
	return a + (long)strlen(s) + o->i + n[0] + (v[0] != 0);
}

__attribute__((noinline, noclone)) int leaf(int a)
{
	__asm__ volatile("" : "+r"(a));
	return a * 3;
}

static int calls;

static void *call(void *unused)
{
	long sum = 0;
	(void)unused;
	for (int i = 0; i < calls; i++)
		sum += leaf(i);
	return (void *)sum;
}

static void call_in_threads(void)
{
	pthread_t threads[4];
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, call, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
	long sum = 0;
	if (argc > 1) {
		calls = atoi(argv[1]);
		call_in_threads();
		return 0;
	}
	for (int i = 0; i < 3; i++)
		sum += work(i, "hello", &object, numbers, names);
	sum += work(7, "x", &object, numbers, names);
	sum += leaf(5);
	printf("%ld\n", sum);
	return 0;
}
