# quick 60 (INJECTED)
strace -e trace=openat -e inject=openat:retval=42 ./calls
strace -e trace=write -e inject=write:error=ENOSPC ./calls
strace -e trace=write -e inject=write:error=EIO:when=2 ./forks
strace -e trace=openat -e inject=openat:signal=SIGUSR1 ./calls
strace -e trace=openat -e inject=openat:poke_exit=@arg2=2f746d70 ./calls
strace -e trace=write -e inject=write:delay_enter=1000:delay_exit=1000 ./calls
strace -e trace=rt_sigaction -e fault=rt_sigaction:error=EINVAL ./calls
