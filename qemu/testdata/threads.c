/* Runs 64 threads that meet at barriers, count under a mutex, pass a token with
 * condition variables, and use thread-local storage. */
#include "report.h"
#include <pthread.h>

enum { THREADS = 64, ROUNDS = 200 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static long counter, token, sum;
static __thread long mine;

static void *work(void *argument)
{
	long number = (long)argument;
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&lock);
		counter++;
		pthread_mutex_unlock(&lock);
		mine += number;
	}
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < 3; i++) {
		pthread_mutex_lock(&lock);
		while (token % THREADS != number)
			pthread_cond_wait(&turn, &lock);
		token++;
		pthread_cond_broadcast(&turn);
		pthread_mutex_unlock(&lock);
	}
	__atomic_add_fetch(&sum, mine, __ATOMIC_SEQ_CST);
	return (void *)(number * number);
}

int main(void)
{
	pthread_t threads[THREADS];
	long squares = 0;
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (long i = 0; i < THREADS; i++) {
		int error = pthread_create(&threads[i], NULL, work, (void *)i);
		if (error) {
			printf("pthread_create: %s\n", strerror(error));
			return 99;
		}
	}
	for (int i = 0; i < THREADS; i++) {
		void *result;
		pthread_join(threads[i], &result);
		squares += (long)result;
	}
	printf("counter %ld token %ld sum %ld squares %ld mine %ld\n", counter, token, sum, squares, mine);
	return 64;
}
