// Straced makes system calls from several goroutines, for the comparison of slowpath strace
// with strace.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
)

func main() {
	const directory = "/tmp/straced-go"
	if err := os.Mkdir(directory, 0o700); err != nil {
		panic(err)
	}
	defer os.RemoveAll(directory)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			name := filepath.Join(directory, fmt.Sprint("file", i))
			os.WriteFile(name, []byte("content"), 0o600)
			os.Rename(name, name+"x")
			os.Stat(name)
		})
	}
	wg.Wait()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	fmt.Println(<-signals)
}
