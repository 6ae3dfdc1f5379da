// Probedgo is a program whose functions the tests of slowpath probe look at. It has 100
// goroutines whose stacks grow, and prints how often each function was called.
package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
)

type point struct {
	x    int32
	name string
}

var deepCalls, workCalls atomic.Int64

// deep needs more stack with each call, so that the stack is copied many times.
//
//go:noinline
func deep(n int) int {
	deepCalls.Add(1)
	var buffer [200]byte
	buffer[n%len(buffer)] = byte(n)
	if n == 0 {
		return 1
	}
	return deep(n-1) + int(buffer[(n+1)%len(buffer)]) + 1
}

//go:noinline
func (p *point) work(text string, list []int, words []string, err error) (int, string) {
	workCalls.Add(1)
	return deep(len(list)*20) + int(p.x), p.name + text + words[0] + err.Error()
}

func main() {
	var wg sync.WaitGroup
	var total atomic.Int64
	for i := range 100 {
		wg.Go(func() {
			p := &point{int32(i), "p"}
			n, s := p.work("text", []int{i, 2, 3, 4, 5}, []string{"one", "two"}, errors.New("e"))
			total.Add(int64(n + len(s)))
		})
	}
	wg.Wait()
	fmt.Println("total", total.Load())
	fmt.Println("deep", deepCalls.Load(), "work", workCalls.Load())
	os.Exit(7)
}
