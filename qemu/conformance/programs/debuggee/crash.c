// crash is a program for core files: two threads wait with known registers while a third
// one writes to an address that is not mapped.
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

static sem_t ready;

#ifdef __x86_64__
#define KNOWN_REGISTER "ebx"
#define KNOWN "mov $0x11111111, %%ebx; mov $0x22222222, %%esi; mov $0x33333333, %%edi;"
#else
#define KNOWN_REGISTER "ecx"
#define KNOWN "mov $0x11111111, %%ecx; mov $0x22222222, %%esi; mov $0x33333333, %%edi;"
#endif

static void *wait_forever(void *argument)
{
	sem_post(&ready);
	for (;;)
		pause();
	return argument;
}

static void *write_nowhere(void *argument)
{
	usleep(100000); // until the main thread waits for this one
	__asm__ volatile("movl $0x44444444, %%eax; movd %%eax, %%xmm3; fldpi;" KNOWN "movl %%eax, (%0)"
			 :
			 : "d"(argument)
			 : "eax", KNOWN_REGISTER, "esi", "edi", "memory");
	return argument;
}

int main(void)
{
	pthread_t threads[3];
	sem_init(&ready, 0, 0);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, wait_forever, NULL);
	for (int i = 0; i < 2; i++)
		sem_wait(&ready);
	pthread_create(&threads[2], NULL, write_nowhere, (void *)0x123454);
	pthread_join(threads[2], NULL);
	return 0;
}
