# 300 children 7 9
valgrind --trace-children=no ./forks-dyn 2>&1 | sort
