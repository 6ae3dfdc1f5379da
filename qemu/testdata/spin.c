/* Spins in user mode until standard input ends. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static volatile int ended;

static void *await_end(void *argument)
{
	char c;
	while (read(0, &c, 1) > 0)
		;
	ended = 1;
	return argument;
}

int main(void)
{
	pthread_t reader;
	pthread_create(&reader, NULL, await_end, NULL);
	setbuf(stdout, NULL);
	puts("ready");
	while (!ended)
		;
	return 0;
}
