# 240 main.result
cat >/tmp/commands <<'END'
break main.main
continue
next
call main.work(7)
clearall
continue
exit
END
HOME=/tmp dlv --check-go-version=false --allow-non-terminal-interactive=true exec ./goroutines --init /tmp/commands </dev/null 2>&1 | grep -v 'Goroutine.*runtime\|^Type .help'
