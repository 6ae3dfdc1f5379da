// Goprogram exercises what Go's runtime and standard library need from a kernel:
// goroutines on many threads, garbage collection, timers, signals, child processes
// and files.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "child" {
		child()
	}
	goroutines()
	garbage()
	timers()
	children()
	signals()
	files()
	os.Exit(11)
}

// goroutines sends numbers through a hundred goroutines.
func goroutines() {
	numbers, results := make(chan int), make(chan int)
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			for n := range numbers {
				results <- n * n
			}
		})
	}
	go func() {
		for i := range 10000 {
			numbers <- i
		}
		close(numbers)
		wg.Wait()
		close(results)
	}()
	sum := 0
	for r := range results {
		sum += r
	}
	fmt.Println("goroutines:", sum)
}

// garbage allocates much memory in parallel and checks that the garbage collector
// keeps reachable memory.
func garbage() {
	var wg sync.WaitGroup
	var wrong atomic.Int64
	for g := range 4 {
		wg.Go(func() {
			kept := make(map[int][]byte)
			for i := range 5000 {
				kept[i%100] = bytes.Repeat([]byte{byte(g + i)}, 1000)
			}
			for i, b := range kept {
				if b[0] != byte(g+4900+i) || b[999] != b[0] {
					wrong.Add(1)
				}
			}
		})
	}
	wg.Wait()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Println("garbage:", wrong.Load(), stats.NumGC > 0)
}

// timers checks that all timers fire and none is early. It does not check their
// order: each runs in a goroutine, and a busy host may delay them until several are
// due.
func timers() {
	start := time.Now()
	inTime := make(chan bool, 3)
	for i := range 3 {
		wait := time.Duration(100*(3-i)) * time.Millisecond
		time.AfterFunc(wait, func() { inTime <- time.Since(start) >= wait })
	}
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for range 5 {
		<-ticker.C
	}
	fmt.Println("timers:", <-inTime, <-inTime, <-inTime, time.Since(start) >= 300*time.Millisecond)
}

// child is the main function of the child process.
func child() {
	in, err := io.ReadAll(os.Stdin)
	fmt.Printf("%s-%s-%v", os.Getenv("WORD"), bytes.ToUpper(in), err)
	fmt.Fprint(os.Stderr, "complaint")
	os.Exit(17)
}

// children runs this program as several child processes in parallel.
func children() {
	self, err := os.Executable()
	if err != nil {
		fmt.Println(err)
		return
	}
	results := make([]string, 4)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() {
			cmd := exec.Command(self, "child")
			cmd.Env = append(os.Environ(), fmt.Sprint("WORD=word", i))
			cmd.Stdin = bytes.NewReader([]byte("input"))
			var out, errors bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errors
			err := cmd.Run()
			results[i] = fmt.Sprint(out.String(), " ", errors.String(), " ", err)
		})
	}
	wg.Wait()
	for _, r := range results {
		fmt.Println("child:", r)
	}
	_, err = exec.Command("/nonexistent").Output()
	fmt.Println("child:", err)
}

// signals sends a signal to this program.
func signals() {
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	select {
	case s := <-got:
		fmt.Println("signal:", s)
	case <-time.After(10 * time.Second):
		fmt.Println("signal: not received")
	}
}

// files creates a tree of files, walks it and removes it.
func files() {
	dir, err := os.MkdirTemp("", "goprogram")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	for i := range 20 {
		name := filepath.Join(dir, fmt.Sprint("d", i%4), fmt.Sprint("f", i))
		os.MkdirAll(filepath.Dir(name), 0o755)
		if err := os.WriteFile(name, make([]byte, 1000*i), 0o600); err != nil {
			fmt.Println(err)
		}
	}
	count, size := 0, int64(0)
	filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			count++
			size += info.Size()
		}
		return err
	})
	fmt.Println("files:", count, size)
}
