# 90 fork
ltrace -o /tmp/log ./forks-dyn; sed 's/= [0-9]*$/= N/; s/pid(.*/pid/; s/vfork([0-9]*/vfork(PID/' /tmp/log | grep -v SIGCHLD
ltrace -f -e execl -o /tmp/log ./forks-dyn; sed 's/^[0-9]* *//' /tmp/log | grep execl
