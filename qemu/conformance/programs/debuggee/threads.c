// threads is a program for debuggers with three threads, which take turns, so that
// its output and the order of its breakpoints are always the same.
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn;

void work(int id)
{
	printf("thread %d works\n", id);
	fflush(stdout);
}

static void *thread(void *argument)
{
	int id = (int)(long)argument;
	pthread_mutex_lock(&lock);
	while (turn != id)
		pthread_cond_wait(&changed, &lock);
	work(id);
	turn++;
	pthread_cond_broadcast(&changed);
	while (turn < 3)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	return NULL;
}

int main(void)
{
	pthread_t threads[3];
	for (long i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, thread, (void *)i);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	printf("turn %d\n", turn);
	return 0;
}
