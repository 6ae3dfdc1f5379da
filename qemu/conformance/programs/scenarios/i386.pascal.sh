# 120 stat 5368709121
# Free Pascal's compiler is a 32-bit program too.
cd /tmp
/usr/lib/i386-linux-gnu/fpc/3.2.2/ppc386 -v0 -Tlinux "-Fu/usr/lib/i386-linux-gnu/fpc/3.2.2/units/i386-linux/*" -FE/tmp /opt/debuggee/pascal/kernel.pas
./kernel
