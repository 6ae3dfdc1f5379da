# 90 SYS_write
ltrace -S -e 'open*' -o /tmp/log ./calls-dyn; grep SYS_ /tmp/log
