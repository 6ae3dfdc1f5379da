package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"slowpath/qemu/initramfs"
	"slowpath/runspec"
)

// searchPath is the default PATH of the guest.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// buildInitramfs packs the guest's root file system and the run file into an
// archive.
func (f *runFlags) buildInitramfs(std standard) ([]byte, error) {
	tree := initramfs.NewTree()
	program, err := f.addRoot(std, tree)
	if err != nil {
		return nil, err
	}
	for _, m := range f.mounts {
		if err := tree.HostFile(m.guest, m.host); err != nil {
			return nil, err
		}
	}
	if !tree.Has(f.workdir) {
		tree.Directory(f.workdir, 0o755)
	}
	spec := f.spec(program)
	if f.icount && f.interactive && !f.terminal {
		input, err := io.ReadAll(std.in)
		if err != nil {
			return nil, fmt.Errorf("cannot read standard input, which --icount reads before the start: %w; use --no-interactive", err)
		}
		tree.File(runspec.StdinPath, 0o600, input)
		spec.Stdin = runspec.StdinPath
	}
	text, err := spec.Marshal()
	if err != nil {
		return nil, err
	}
	tree.File(runspec.Path, 0o600, text)
	if err := f.addProbes(std, tree, program); err != nil {
		return nil, err
	}
	if err := f.addCallPlan(std, tree, program); err != nil {
		return nil, err
	}
	return tree.Archive()
}

// addRoot packs the root file system with the program. It returns the program's
// path in the guest.
func (f *runFlags) addRoot(std standard, tree *initramfs.Tree) (string, error) {
	if f.rootfs == "" {
		defer tree.AddBase()
		return f.addHostProgram(tree)
	}
	unreadable, err := tree.HostDirectory(f.rootfs)
	if err != nil {
		return "", err
	}
	if len(unreadable) > 0 {
		fmt.Fprintf(std.err, "slowpath: %d files of %s cannot be read and are left out, for example %s\n", len(unreadable), f.rootfs, unreadable[0])
	}
	tree.AddMountPoints()
	return f.findInRootfs(tree)
}

// addHostProgram packs a program of the host with the files that it needs to
// start.
func (f *runFlags) addHostProgram(tree *initramfs.Tree) (string, error) {
	host := initramfs.Host{}
	directory, err := os.Getwd()
	if err != nil {
		directory = "/"
	}
	program, err := host.Find(f.program, os.Getenv("PATH"), directory)
	if err != nil {
		return "", err
	}
	required, err := host.Require(program)
	if err != nil {
		return "", err
	}
	if err := tree.AddProgram(host, required); err != nil {
		return "", err
	}
	return program, addApplets(tree, program)
}

// findInRootfs looks the program up in the root directory. If it is only on the
// host, it is packed from there: a root of libraries is then enough to run it.
func (f *runFlags) findInRootfs(tree *initramfs.Tree) (string, error) {
	root := initramfs.Host{Root: f.rootfs}
	program, err := root.Find(f.program, f.guestPath(), f.workdir)
	if err == nil {
		_, err = root.Require(program)
		return program, err
	}
	var problem *initramfs.ProgramError
	if !errors.As(err, &problem) || problem.Code != initramfs.CodeNotFound {
		return "", err
	}
	if onHost, errHost := f.addHostProgram(tree); errHost == nil {
		return onHost, nil
	}
	return "", err
}

// guestPath returns PATH in the guest.
func (f *runFlags) guestPath() string {
	for _, variable := range f.environment() {
		if value, ok := strings.CutPrefix(variable, "PATH="); ok {
			return value
		}
	}
	return searchPath
}

// environment returns the program's environment: PATH, HOME and TERM, then the
// variables of --env. The last value of a variable counts.
func (f *runFlags) environment() []string {
	all := append([]string{"PATH=" + searchPath, "HOME=/root"}, f.terminalVariable()...)
	all = append(all, f.env...)
	last := make(map[string]int)
	for i, variable := range all {
		name, _, _ := strings.Cut(variable, "=")
		last[name] = i
	}
	var kept []string
	for i, variable := range all {
		name, _, _ := strings.Cut(variable, "=")
		if last[name] == i {
			kept = append(kept, variable)
		}
	}
	return kept
}

// terminalVariable returns TERM for a program that has a terminal.
func (f *runFlags) terminalVariable() []string {
	if !f.terminal {
		return nil
	}
	if term := os.Getenv("TERM"); term != "" {
		return []string{"TERM=" + term}
	}
	return []string{"TERM=vt100"}
}

// spec returns the content of the run file, from which the kernel starts the
// program.
func (f *runFlags) spec(program string) *runspec.Spec {
	spec := &runspec.Spec{
		Path: program, Args: f.args, Env: f.environment(), Workdir: f.workdir, Hostname: "slowpath",
	}
	if f.terminal {
		spec.Stdio = runspec.Terminal
		size := terminalSize(os.Stdin)
		spec.Rows, spec.Columns = size.Rows, size.Columns
	}
	return spec
}
