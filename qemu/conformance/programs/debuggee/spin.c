// spin is a program for profilers: it spends its time in the innermost of nested calls.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static volatile unsigned long sum;

void inner(unsigned long rounds)
{
	for (unsigned long i = 0; i < rounds; i++)
		sum += i;
}

void middle(unsigned long rounds)
{
	inner(rounds);
	sum++;
}

void outer(unsigned long rounds)
{
	middle(rounds);
	sum++;
}

int main(int argc, char **argv)
{
	outer(argc > 1 ? strtoul(argv[1], 0, 10) : 20000000);
	usleep(10000);
	puts("done");
	return 0;
}
