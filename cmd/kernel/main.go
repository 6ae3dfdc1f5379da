package main

import (
	"fmt"
	"os"
	"runtime"

	"slowpath/boot"
)

func main() {
	fmt.Println("hello", runtime.NumCPU(), boot.ImageSize(), boot.CommandLine())
	os.Exit(0x10)
}
