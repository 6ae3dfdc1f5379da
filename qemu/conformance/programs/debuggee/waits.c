// waits is a program to which debuggers attach: it counts the bytes that it reads
// from its standard input until the end.
#include <stdio.h>
#include <unistd.h>

volatile int received;

int step(int n)
{
	received += n;
	return received;
}

int main(void)
{
	char byte;
	while (read(0, &byte, 1) == 1)
		step(1);
	printf("received %d\n", received);
	return 0;
}
