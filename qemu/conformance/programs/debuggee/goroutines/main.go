// Goroutines is a program for debuggers: goroutines that take turns.
package main

import (
	"fmt"
	"sync"
)

type result struct {
	id, square int
}

//go:noinline
func work(id int) result {
	square := id * id
	return result{id, square}
}

func worker(id int, in <-chan int, out chan<- result, group *sync.WaitGroup) {
	defer group.Done()
	for range in {
		out <- work(id)
	}
}

func main() {
	const workers = 3
	out := make(chan result)
	var group sync.WaitGroup
	var inputs []chan int
	for id := range workers {
		in := make(chan int)
		inputs = append(inputs, in)
		group.Add(1)
		go worker(id+1, in, out, &group)
	}
	total := 0
	for _, in := range inputs {
		in <- 1
		r := <-out
		total += r.square
		close(in)
	}
	group.Wait()
	fmt.Println("total", total)
}
