# 60 call
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
disassemble add
break add
run
x/5i $pc
x/4xb $pc
info symbol add
info line add
list add
print/x $eflags & 0x100
stepi
print/x $eflags & 0x100
p $_exitcode
p/x $fs_base != 0
info all-registers mxcsr fctrl
continue
p $_exitcode
END
gdb -q -nx -batch -x /tmp/commands --args ./calls
