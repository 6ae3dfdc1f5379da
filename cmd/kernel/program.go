package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/goos"
	"slowpath/hostlink"
	"slowpath/runspec"
	"slowpath/task"
)

// runProgram starts the program that the run file or the command line names, waits
// for its end, and powers off.
func (k *kernel) runProgram() error {
	probes, err := k.readProbes()
	if err != nil {
		return err
	}
	spec, err := k.readSpec()
	if err != nil {
		return err
	}
	k.tasks.StartReaper()
	k.shown.start(k)
	k.timeline.begin()
	if k.options.Core {
		if err := k.keepCore(); err != nil {
			return err
		}
	}
	if probes != nil {
		if err := probes.add(k); err != nil {
			return k.notStarted(spec, err)
		}
	}
	program, err := k.start(spec)
	if err != nil {
		return k.notStarted(spec, err)
	}
	k.timeline.started(program.Leader())
	status := program.AwaitEnd()
	if k.link == nil {
		k.spool.Flush()
		k.end(uint8(status.Code()))
	}
	k.timeline.flush()
	if probes != nil {
		probes.stream.Flush()
	}
	k.shown.flush()
	if k.options.Core {
		k.sendCore()
	}
	k.link.report(status)
	k.end(goos.ExitDone)
	return nil
}

// readSpec returns the program to run. It reads and removes the run file of the host
// command. If there is none, the command line names the program.
func (k *kernel) readSpec() (*runspec.Spec, error) {
	text, err := k.takeFile(runspec.Path)
	if errors.Is(err, unix.ENOENT) {
		return k.specFromCommandLine()
	}
	if err != nil {
		return nil, err
	}
	defer k.at(runspec.Directory).RemoveDirectory() // fails if it has the file for standard input
	return runspec.Parse(text)
}

// usualInits are the paths of the first program if the command line has no init=, as
// on Linux.
var usualInits = []string{"/sbin/init", "/etc/init", "/bin/init", "/bin/sh"}

// specFromCommandLine returns the program that init= names, or the first of
// usualInits that exists.

func (k *kernel) specFromCommandLine() (*runspec.Spec, error) {
	candidates := usualInits
	if k.options.Init != "" {
		candidates = []string{k.options.Init}
	}
	for _, name := range candidates {
		if _, err := k.at(name).Lookup(); err == nil {
			return &runspec.Spec{
				Args: append([]string{name}, k.options.Args...),
				Env:  []string{"HOME=/", "TERM=linux", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
			}, nil
		}
	}
	return nil, fmt.Errorf("no program found; put one of %v into the initramfs, or name it with init=", candidates)
}

// start starts the program as the first process.
func (k *kernel) start(spec *runspec.Spec) (*task.ThreadGroup, error) {
	if spec.Hostname != "" {
		k.tasks.SetHostName(spec.Hostname)
	}
	context := fs.NewContext(k.mounts)
	if spec.Workdir != "" {
		directory, err := k.at(spec.Workdir).Lookup()
		if err != nil {
			return nil, err
		}
		context.SetDirectory(directory)
	}
	files, err := k.standardFiles(spec)
	if err != nil {
		return nil, err
	}
	request := task.SpawnRequest{Path: spec.Program(), Argv: spec.Args, Envp: spec.Env, FDs: files, FS: context, CoreFiles: k.options.Core}
	if k.link != nil {
		if c := k.link.console.Load(); c != nil {
			request.Terminal = c.Terminal
		}
	}
	return k.tasks.Spawn(request)
}

// notStarted handles a program that cannot be started. If the error is an errno, it
// sends it to the host and powers off. Otherwise it returns an error.
func (k *kernel) notStarted(spec *runspec.Spec, err error) error {
	errno, ok := err.(unix.Errno)
	if k.link == nil || !ok {
		return fmt.Errorf("%s cannot be started: %w", spec.Program(), err)
	}
	k.link.writer.Exit(hostlink.Status{Outcome: hostlink.NotStarted, Value: uint32(errno)})
	k.end(goos.ExitDone)
	return nil
}
