# 60 = 30
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
break add
run
set $edi = 10
next
set var a = 10
set var b = 20
finish
set $rax = 5
print $rax
set $xmm3.v4_int32[0] = 9
print $xmm3.v4_int32[0]
set $mxcsr = 0x1f80
print $mxcsr
print $fctrl
print $st0
set $eflags = $eflags | 1
print $eflags & 1
print 10 + 20
continue
END
gdb -q -nx -batch -x /tmp/commands --args ./calls
