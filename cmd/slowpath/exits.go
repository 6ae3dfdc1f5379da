package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/qemu"
	"slowpath/syscall"
	"slowpath/timeline/report"
)

// exitsFile is the file of --exits, and the sink that writes it: a table if the file's name
// ends in .txt, else the trace event format that Perfetto and Chrome's trace viewer load.
type exitsFile struct {
	report.Sink
	file *os.File
}

// newExitsFile creates the file. It is called before the program runs, so that
// a path that cannot be written is an error at once.
func newExitsFile(path string, names report.Names) (*exitsFile, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("cannot write the file of --exits: %w", err)
	}
	if strings.HasSuffix(path, ".txt") {
		return &exitsFile{report.NewTable(file, names), file}, nil
	}
	return &exitsFile{report.NewPerfetto(file, names), file}, nil
}

// Close writes the rest of the file.
func (e *exitsFile) Close() error {
	if err := errors.Join(e.Sink.Close(), e.file.Close()); err != nil {
		return fmt.Errorf("cannot write the file of --exits: %w", err)
	}
	return nil
}

// watched reports whether the kernel sends its timeline.
func (f *runFlags) watched() bool { return f.exits != "" || f.live }

// watch prepares what shows the timeline, and connects it to the streams of the machine. The
// caller calls end after the run.
func (f *runFlags) watch(std standard, streams *qemu.Streams) (end func() error, err error) {
	var sinks report.Tee
	if f.exits != "" {
		file, err := newExitsFile(f.exits, timelineNames(f.probes.name))
		if err != nil {
			return nil, err
		}
		sinks = append(sinks, file)
	}
	closeView := func() error { return nil }
	if f.live {
		view, err := newLiveView(std, interrupt)
		if err != nil {
			return nil, err
		}
		sinks = append(sinks, view.totals)
		streams.Stdout, streams.Stderr = view.stream(std.out), view.stream(std.err)
		streams.Stdin = nil // the keys are the view's
		view.show()
		closeView = func() error { return view.close(std.out) }
	}
	if len(sinks) == 0 {
		return closeView, nil
	}
	reader := report.NewReader(sinks)
	streams.Visits = reader
	return func() error { return errors.Join(closeView(), reader.Close()) }, nil
}

// interrupt ends the run as Ctrl-C does.
func interrupt() { unix.Kill(unix.Getpid(), unix.SIGINT) }

// timelineNames returns the names of system calls and their parameters, and of probes.
func timelineNames(probe func(id uint32) string) report.Names {
	parameters, parameters32 := map[int][]string{}, map[int][]string{}
	for _, p := range syscall.Prototypes() {
		for _, one := range p.Parameters {
			parameters[p.Number] = append(parameters[p.Number], one.Name)
		}
	}
	numbers := map[string]int{}
	for _, r := range syscall.Table() {
		numbers[r.Name] = r.Number
	}
	for _, r := range syscall.Table32() {
		if number, ok := numbers[r.Served()]; ok {
			parameters32[r.Number] = parameters[number]
		}
	}
	return report.Names{
		Call: syscall.Name, Parameters: func(n int) []string { return parameters[n] },
		Call32: syscall.Name32, Parameters32: func(n int) []string { return parameters32[n] },
		Probe: probe,
	}
}
