# 300 turn 3
valgrind ./threads-dyn 2>&1
