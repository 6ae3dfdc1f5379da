# 240 watchpoint
cat >/tmp/commands <<'END'
break main.go:38
continue
watch -w total
continue
clearall
continue
exit
END
HOME=/tmp dlv --check-go-version=false --allow-non-terminal-interactive=true exec ./goroutines --init /tmp/commands </dev/null 2>&1 | grep -v 'Goroutine.*runtime\|^Type .help'
