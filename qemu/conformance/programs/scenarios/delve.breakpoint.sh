# 180 main.work
cat >/tmp/commands <<'END'
break main.work
continue
print id
stack
next
step
stepout
clearall
continue
exit
END
HOME=/tmp dlv --check-go-version=false --allow-non-terminal-interactive=true exec ./goroutines --init /tmp/commands </dev/null 2>&1 | grep -v 'Goroutine.*runtime\|^Type .help'
