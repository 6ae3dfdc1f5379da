// leaks is a program for valgrind: it leaks a block, reads behind another, and
// decides by a value that was never set.
#include <stdio.h>
#include <stdlib.h>

static void *lost;

int main(void)
{
	char *block = malloc(10);
	int *unset = malloc(sizeof *unset);
	lost = malloc(24);
	lost = NULL;
	block[0] = 'a';
	if (block[10] == 'x')
		puts("x");
	if (*unset == 7)
		puts("seven");
	free(block);
	free(unset);
	puts("done");
	return 0;
}
