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

// busyboxLimit is the time limit of busybox --list.
const busyboxLimit = 5 * time.Second

// addApplets adds a link in /bin for each applet of busybox, as busybox
// --install does, so that a shell in a root with busybox alone has commands. It
// does nothing if the program is not busybox.
func addApplets(tree *initramfs.Tree, program string) error {
	if path.Base(program) != "busybox" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), busyboxLimit)
	defer cancel()
	list, err := exec.CommandContext(ctx, program, "--list").Output()
	if err != nil {
		return fmt.Errorf("%s --list failed, which lists the applets for links in the guest's /bin: %w", program, err)
	}
	for applet := range strings.FieldsSeq(string(list)) {
		if link := path.Join("/bin", applet); link != program && !tree.Has(link) {
			tree.Symlink(link, program)
		}
	}
	return nil
}
