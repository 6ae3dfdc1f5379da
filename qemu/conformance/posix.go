package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// posixSeconds is the time limit of a test of the Open POSIX Test Suite. The longest
// that pass take 12 seconds.
const posixSeconds = 30

// posixAreas divides the tests into jobs by the prefixes of their interfaces. The
// last one has all others.
var posixAreas = []struct {
	name     string
	prefixes []string
}{
	{"aio", []string{"aio_", "lio_"}},
	{"mq", []string{"mq_"}},
	{"cond", []string{"pthread_cond"}},
	{"mutex", []string{"pthread_mutex"}},
	{"rwlock", []string{"pthread_rwlock"}},
	{"pthread", []string{"pthread_"}},
	{"sched", []string{"sched_"}},
	{"sem", []string{"sem_"}},
	{"sigaction", []string{"sigaction"}},
	{"sig", []string{"sig"}},
	{"others", []string{""}},
}

// buildPosix builds every test of the suite that builds with musl, as programs
// below the directory $2 from the source $1, by the compiler's command $3. A test that does not build is left
// out: 34 need headers that they do not include.
const buildPosix = `set -e
cd "$1" && mkdir -p "$2"
export COMPILER="$3"
find conformance/interfaces -name '[0-9]*-[0-9]*.c' | sort | xargs -P2 -n1 sh -c '
name=$(echo "$1" | sed "s,conformance/interfaces/,,; s,/,.,g; s/.c$//")
$COMPILER -static -O1 -w -s -D_XOPEN_SOURCE=600 -D_GNU_SOURCE -Iinclude -I"$(dirname "$1")" -o "$0/$name" "$1" -lpthread -lrt -lm 2>/dev/null || true' "$2"
touch "$2.built"`

// setupPosix builds the Open POSIX Test Suite and returns one job for each area.
func setupPosix(root string, m machine) ([]job, error) {
	source, err := fetchSource("posixtestsuite", "posixtestsuite*", "conformance/interfaces")
	if err != nil {
		return nil, err
	}
	programs := filepath.Join(workDirectory, "posix-programs"+m.suffix())
	if _, err := os.Stat(programs + ".built"); err != nil {
		compiler, err := m.musl()
		if err != nil {
			return nil, err
		}
		if out, err := exec.Command("sh", "-c", buildPosix, "sh", source, programs, compiler).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("cannot build the Open POSIX Test Suite; install the compiler with: apt-get install musl-tools (%w)\n%s", err, out)
		}
	}
	if err := smallRoot(root); err != nil {
		return nil, err
	}
	if out, err := exec.Command("cp", "-a", programs, filepath.Join(root, "posix")).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cp: %w, %s", err, out)
	}
	entries, err := os.ReadDir(programs)
	if err != nil {
		return nil, err
	}
	areas := make([][]batchTest, len(posixAreas))
	for _, e := range entries {
		area := posixArea(e.Name())
		areas[area] = append(areas[area], posixTest(e.Name()))
	}
	var jobs []job
	for i, tests := range areas {
		j, err := batchJob(root, posixAreas[i].name, tests)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// smallRoot fills a root directory with busybox, the runner of batches, and the
// directories and files that every program may expect.
func smallRoot(root string) error {
	const script = `set -e
cd "$1"
mkdir -p bin dev proc sys tmp root etc run
mkdir -p var/tmp dev/shm
chmod 1777 tmp var/tmp
cp /bin/busybox bin/busybox
for applet in $(/bin/busybox --list); do [ $applet = busybox ] || ln -sf busybox bin/$applet; done
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n' >etc/passwd
printf 'root:x:0:\nnogroup:x:65534:\n' >etc/group`
	if out, err := exec.Command("sh", "-c", script, "sh", root).CombinedOutput(); err != nil {
		return fmt.Errorf("cannot fill the root directory: %w\n%s", err, out)
	}
	return installBatch(root)
}

// posixArea returns the index of the area of a test.
func posixArea(test string) int {
	return slices.IndexFunc(posixAreas, func(a struct {
		name     string
		prefixes []string
	}) bool {
		return slices.ContainsFunc(a.prefixes, func(prefix string) bool { return strings.HasPrefix(test, prefix) })
	})
}

func posixTest(name string) batchTest { return batchTest{name, posixSeconds, "/posix/" + name} }

// againPosix returns a job that runs some tests again.
func againPosix(root string, names []string) (job, error) {
	var tests []batchTest
	for _, name := range names {
		tests = append(tests, posixTest(name))
	}
	return batchJob(root, "again", tests)
}
