# quick 60 +++ killed by SIGSEGV
strace -e trace=none ./calls crash; strace -f -e trace=exit_group sh -c './calls crash; kill -TERM $$'
