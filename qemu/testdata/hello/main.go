// Hello is the demonstration that make run runs: an ordinary static Go program that
// prints the kernel's version and some facts about its process.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
)

func main() {
	version, err := os.ReadFile("/proc/version")
	if err != nil {
		fmt.Fprintln(os.Stderr, "hello:", err)
		os.Exit(1)
	}
	fmt.Println("Hello from", strings.TrimSpace(string(version)))
	fmt.Printf("This is process %d, built by %s, on %d CPUs; %d goroutines say %d.\n",
		os.Getpid(), runtime.Version(), runtime.NumCPU(), goroutines, sum())
}

// goroutines is how many goroutines sum starts.
const goroutines = 100

// sum adds the numbers below goroutines, with one goroutine for each number.
func sum() int {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		total int
	)
	for i := range goroutines {
		wg.Go(func() {
			mu.Lock()
			defer mu.Unlock()
			total += i
		})
	}
	wg.Wait()
	return total
}
