# 180 main.worker
cat >/tmp/commands <<'END'
break main.work
continue
goroutines -with user
goroutine
print id
on 1 print id
condition 1 id == 3
continue
set id = 5
print id
clearall
continue
exit
END
HOME=/tmp dlv --check-go-version=false --allow-non-terminal-interactive=true exec ./goroutines --init /tmp/commands </dev/null 2>&1 | grep -v 'Goroutine.*runtime\|^Type .help'
