// calls is a program for debuggers: nested calls, a variable to watch, a structure,
// system calls with known results, and a signal.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct point {
	int x, y;
	const char *name;
};

static volatile int counter;
static struct point origin = {1, 2, "origin"};
static int handled;

static void on_signal(int signal)
{
	handled += signal;
}

int factorial(int n)
{
	if (n <= 1)
		return 1;
	return n * factorial(n - 1);
}

int add(int a, int b)
{
	int sum = a + b;
	counter += sum;
	return sum;
}

static int count(int rounds)
{
	for (int i = 0; i < rounds; i++)
		counter = i * i;
	return counter;
}

int main(int argc, char **argv)
{
	char text[64];
	int total = add(2, 3);
	total += factorial(4);
	origin.x = total;
	total += count(4);
	int fd = open("/nonexistent", O_RDONLY);
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	int length = snprintf(text, sizeof text, "total %d counter %d fd %d handled %d\n", total, counter, fd, handled);
	write(1, text, length);
	if (argc > 1 && strcmp(argv[1], "crash") == 0)
		*(volatile int *)8 = total;
	return origin.y;
}
