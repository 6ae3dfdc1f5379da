# quick 60 = 30
cat >/tmp/commands <<'END'
set width 0
set debuginfod enabled off
handle SIGUSR1 nostop noprint pass
set confirm off
break add
run
info registers
x/4i $pc
backtrace
set $ebx = 0x12345678
print/x $ebx
print/x $bx
set $eflags = $eflags | 1
print $eflags & 1
print $cs
print $ss
print $gs
print $st0
print $fctrl
set $xmm3.v4_int32[0] = 9
print $xmm3.v4_int32[0]
set $mxcsr = 0x1f80
print $mxcsr
set var a = 10
set var b = 20
finish
print $eax
stepi
stepi
next
continue
END
gdb -q -nx -batch -x /tmp/commands --args ./calls-32 2>&1 | grep -v '^k[0-7]' | sed 's/^\(esp\|ebp\|eax\|ecx\|edx\|ebx\|esi\|edi\) .*/\1 VALUE/'
