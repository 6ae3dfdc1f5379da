package main

import (
	"context"
	"fmt"
	"os/exec"
	"path"
	"strings"
	"time"

	"slowpath/qemu/initramfs"
)

// busyboxLimit is how long busybox may take to list its applets.
const busyboxLimit = 5 * time.Second

// addApplets makes a root with nothing but busybox usable: each of its applets
// becomes a link in /bin, as busybox --install would make it. For any other
// program it does nothing.
func addApplets(tree *initramfs.Tree, program string) error {
	if path.Base(program) != "busybox" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), busyboxLimit)
	defer cancel()
	list, err := exec.CommandContext(ctx, program, "--list").Output()
	if err != nil {
		return fmt.Errorf("cannot list the applets of %s, which become links in the guest's /bin: %w", program, err)
	}
	for applet := range strings.FieldsSeq(string(list)) {
		if link := path.Join("/bin", applet); link != program && !tree.Has(link) {
			tree.Symlink(link, program)
		}
	}
	return nil
}
