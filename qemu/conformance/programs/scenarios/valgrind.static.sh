# 180 ERROR SUMMARY
valgrind --tool=memcheck ./leaks 2>&1
