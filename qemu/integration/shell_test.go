package integration

import (
	"strings"
	"testing"
)

// scripts run in busybox's shell; their commands are busybox's applets on both
// sides. A script that needs files creates them in a directory of its own.
var scripts = map[string]string{
	"exit code":       `exit 7`,
	"arithmetic loop": `i=0; s=0; while [ $i -lt 200 ]; do i=$((i+1)); s=$((s+i*i)); done; echo $s`,
	"for and case":    `for x in a b c; do case $x in b) echo found;; *) echo no $x;; esac; done`,
	"functions":       `f() { local n=$1; [ $n -le 1 ] && { echo 1; return; }; echo $((n * $(f $((n-1))))); }; f 8`,
	"here document":   "cat <<EOF\nline $((1+1))\nEOF\ncat <<'EOF'\n$raw\nEOF",
	"pipe of five":    `seq 1 500 | grep 7 | sed 's/7/seven/g' | sort -r | head -n 5`,
	"pipe of eight":   `seq 1000 | cat | cat | cat | cat | cat | cat | wc -l`,
	"pipe status":     `false | true; echo $?; true | false; echo $?; set -o pipefail; false | true; echo $?`,
	"early end":       `yes | head -n 3`,
	"background":      `for i in 1 2 3; do (sleep 0.0$i; exit $i) & p="$p $!"; done; for j in $p; do wait $j; echo $?; done`,
	"background kill": `{ sleep 100 & kill $!; wait $!; } 2>/dev/null; echo $?`,
	"trap":            `trap 'echo caught; exit 3' TERM; kill $$; sleep 5; echo not reached`,
	"subshell":        `x=1; (x=2; echo $x); echo $x; { x=3; }; echo $x`,
	"redirections":    `cd /tmp && { echo out; echo err >&2; } >r1.$$ 2>&1; cat r1.$$; echo more >>r1.$$; wc -l <r1.$$; rm r1.$$`,
	"substitution":    `echo "$(echo "$(echo inner) middle") outer"; echo $(seq 5)`,
	"not found":       `no-such-command; echo $?; /etc; echo $?`,
	"find":            `d=$(mktemp -d) && cd $d && mkdir -p a/b/c d && touch a/1 a/b/2 a/b/c/3 d/4 && find . -type f | sort; find . -name '*3' -exec echo got {} \; ; cd / && rm -r $d; ls $d 2>/dev/null; echo $?`,
	"sed":             `printf 'one\ntwo\nthree\n' | sed -n '2{s/t/T/;p};$s/e*$/!/p'`,
	"awk":             `seq 100 | awk '{ s += $1; if ($1 % 10 == 0) n[$1 % 3]++ } END { print s; for (i = 0; i < 3; i++) print i, n[i] }'`,
	"sort":            `printf '10 b\n9 a\n100 c\n' | sort -n; printf 'b\na\nb\n' | sort -u; seq 2000 | sort -R | sort -n | md5sum`,
	"tar and back":    `d=$(mktemp -d) && cd $d && mkdir -p t/x/y && seq 5000 >t/x/n && ln -s n t/x/l && ln t/x/n t/h && chmod 751 t/x/y && tar cf a.tar t && mkdir o && tar xf a.tar -C o && cd o && find t | sort && cmp t/x/n ../t/x/n && ls -l t/x | awk '{print $1, $9, $10, $11}' && [ t/h -ef t/x/n ] && echo linked; rm -r $d`,
	"gzip":            `seq 20000 | gzip | gunzip | md5sum`,
	"dd":              `dd if=/dev/zero bs=4k count=256 2>/dev/null | wc -c; echo 0123456789 | dd bs=1 skip=3 count=4 2>/dev/null; echo`,
	"sha256sum":       `dd if=/dev/zero bs=1M count=64 2>/dev/null | sha256sum`,
	"file of 64 MiB":  `cd /tmp && dd if=/dev/zero of=big.$$ bs=1M count=64 2>/dev/null && sha256sum <big.$$; rm big.$$`,
	"xargs":           `seq 20 | xargs -n 3 echo; seq 5 | xargs -P 3 -I{} sh -c 'exit 0'; echo $?`,
	"links":           `d=$(mktemp -d) && cd $d && echo x >f && ln f h && ln -s f s && ln -s /nonexistent b && stat -c '%h %F %s' f h s b && readlink s && [ ! -e b ] && echo dangling; rm -r $d`,
	"permissions":     `d=$(mktemp -d) && cd $d && umask 027 && touch f && mkdir g && stat -c %a f g && chmod u+s,o+r f && stat -c %a f; rm -r $d`,
	"times":           `cd /tmp && touch -d '2001-02-03 04:05:06' t.$$ && stat -c %Y t.$$ && date -u -d @1000000000; rm t.$$`,
	"fifo":            `cd /tmp && mkfifo f.$$ && (echo through >f.$$ &) && cat f.$$; rm f.$$`,
	"devices":         `echo lost >/dev/null; head -c 3 /dev/zero | hexdump -C; echo x >/dev/full; echo $?; head -c 100 /dev/urandom | wc -c`,
	"processes":       `echo $PPID | grep -q '^[0-9]*$' && cat /proc/self/comm; tr '\0' ' ' </proc/self/cmdline; readlink /proc/self/fd/0 | cut -c1-5`,
	"uname":           `uname -sm`,
	"read loop":       `while read -r a b; do echo "$b-$a"; done; echo done`,
	"test":            `[ -d /tmp ] && [ -c /dev/null ] && [ ! -e /nonexistent ] && [ 3 -gt 2 ] && echo all`,
	"timeout":         `timeout 0.2 sleep 10; echo $?`,
	"printf":          `printf '%05d|%-6s|%x|%c\n' 42 ab 255 z`,
	"large arguments": `set -- $(seq 20000); echo $# ${#*}`,
	"expr and cut":    `expr 6 \* 7; echo a:b:c | cut -d: -f2; echo hello | tr a-y b-z; echo abc | rev`,
	"uniq and tee":    `cd /tmp && printf 'a\na\nb\n' | tee u.$$ | uniq -c; wc -l <u.$$; rm u.$$`,
	"diff and patch":  `d=$(mktemp -d) && cd $d && seq 10 >a && sed 's/5/five/' a >b && diff a b; cp a c && diff -u a b | patch -s c && cmp b c && echo same; rm -r $d`,
	"environment":     `X=1 env | grep ^X; export Y=2; sh -c 'echo $Y'; env -i /bin/busybox env`,
	"standard error":  `echo to-err >&2; ls /nonexistent; exit 3`,
	"cpio":            `d=$(mktemp -d) && cd $d && mkdir i && seq 3 >i/f && find i | cpio -o -H newc 2>/dev/null | (mkdir o && cd o && cpio -id 2>/dev/null) && cat o/i/f; rm -r $d`,
	"deep recursion":  `r() { [ $1 -eq 0 ] && echo bottom || r $(($1-1)); }; r 200`,
	"many forks":      `i=0; while [ $i -lt 100 ]; do (exit 0) || echo lost; i=$((i+1)); done; echo $i`,
	"job table":       `set +m; (sleep 0.1) & (sleep 0.1) & wait; echo $?; jobs`,
	"signals by name": `for s in HUP INT QUIT USR1 PIPE; do sh -c "kill -$s \$\$"; echo $?; done`,
	"stop":            `sh -c 'kill -STOP $$; exit 4' & p=$!; sleep 0.2; kill -CONT $p; wait $p; echo $?`,
	"rename and move": `d=$(mktemp -d) && cd $d && echo 1 >a && mkdir s && mv a s/b && cat s/b && mv s t && ls t; rm -r $d`,
	"globbing":        `d=$(mktemp -d) && cd $d && touch a1 a2 b1 .h && echo * a? [b]* .h* x*; rm -r $d`,
	"dates":           `[ $(date +%s) -gt 1700000000 ] && date -u -d '2024-02-29 12:00' +%j`,
	"sleep":           `s=$(date +%s); sleep 1.2; e=$(date +%s); [ $((e-s)) -ge 1 ] && [ $((e-s)) -le 30 ] && echo fine`,
	"proc":            `[ -e /proc/self/fd/2 ] && [ ! -e /proc/self/fd/99 ] && [ -d /proc/$$ ] && echo fds; grep -c processor /proc/cpuinfo >/dev/null && grep -q MemTotal /proc/meminfo && [ -n "$(cat /proc/uptime)" ] && echo read`,
	"vi":              `cd /tmp && printf 'one\ntwo\n' >v.$$ && printf ':2d\nifirst \033:wq\n' | vi v.$$ >/dev/null 2>&1; cat v.$$; rm v.$$`,
}

// oneCPU names the scripts that run with one CPU only: they take long or do not
// depend on the number of CPUs.
var oneCPU = map[string]bool{"sha256sum": true, "file of 64 MiB": true, "sleep": true}

func TestShellScriptsBehaveAsOnLinux(t *testing.T) {
	for name, script := range scripts {
		t.Run(name, func(t *testing.T) {
			cpus := processors
			if oneCPU[name] {
				cpus = processors[:1]
			}
			sameOn(t, cpus, "first line\nsecond one\n", "/bin/busybox", "sh", "-c", script)
		})
	}
}

func TestStandardStreamsBehaveAsOnLinux(t *testing.T) {
	everyByte := make([]byte, 256)
	for i := range everyByte {
		everyByte[i] = byte(i)
	}
	for name, stdin := range map[string]string{
		"empty":      "",
		"no newline": "no newline",
		"every byte": strings.Repeat(string(everyByte), 300),
		"200 KiB":    strings.Repeat("all work and no play makes a dull kernel\n", 5000),
	} {
		t.Run(name, func(t *testing.T) { same(t, stdin, "/bin/busybox", "cat") })
	}
	t.Run("unread", func(t *testing.T) { same(t, strings.Repeat("x", 1<<20), "/bin/busybox", "true") })
	t.Run("closed", func(t *testing.T) { same(t, "", "/bin/busybox", "sh", "-c", "exec <&- >&-; cat; echo x; exit 5") })
}
