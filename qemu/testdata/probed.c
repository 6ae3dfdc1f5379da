// A program whose functions the tests of slowpath probe look at. It prints how often each
// function was called.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOINLINE __attribute__((noinline, noclone, noipa))

struct point {
	int x, y;
	const char *name;
	struct { long inner; } nested;
	double weight;
	unsigned low : 3, high : 5;
};

enum color { RED, GREEN = 7 };

static int calls_of_sum, calls_of_allocate, calls_of_fibonacci;

NOINLINE int sum(const char *text, int n, struct point p, struct point *q, enum color c, double d)
{
	calls_of_sum++;
	return (int)strlen(text) + n + p.x + q->y + c + (int)d;
}

NOINLINE struct point make(int x)
{
	struct point p = { x, -x, "made", { 9 }, 0.25, 5, 17 };
	return p;
}

NOINLINE int identity(int n)
{
	__asm__ volatile("");
	return n;
}

// successor jumps to identity with optimisation (-foptimize-sibling-calls).
NOINLINE int successor(int n) { return identity(n + 1); }

NOINLINE void *allocate(size_t size)
{
	void *p = malloc(size);
	__atomic_add_fetch(&calls_of_allocate, 1, __ATOMIC_SEQ_CST); // no tail call
	return p;
}

NOINLINE unsigned fibonacci(unsigned n)
{
	calls_of_fibonacci++;
	return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static void *thread(void *argument)
{
	for (int i = 0; i < 20; i++)
		free(allocate(70000 + i));
	return argument;
}

// unprobeable has an instruction that no program may execute.
__asm__(".text\n.globl unprobeable\n.type unprobeable, @function\nunprobeable: hlt\nret\n.size unprobeable, . - unprobeable\n");

int main(int argc, char **argv)
{
	struct point p = { 1, 2, "first", { 3 }, 1.5, 1, 2 }, q = make(argc + 4);
	int total = 0;
	for (int i = 0; i < 3; i++) {
		total += sum("hello", i, p, &q, GREEN, 2.75); // the line of the test
	}
	pthread_t threads[4];
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, thread, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	total += successor(argc);
	printf("total %d, fibonacci %u\n", total, fibonacci(10));
	printf("sum %d, allocate %d, fibonacci %d, arguments %d\n", calls_of_sum, calls_of_allocate, calls_of_fibonacci, argv[argc] == NULL);
	return 42;
}
