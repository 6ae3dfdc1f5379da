# 300 definitely lost
valgrind --leak-check=full ./leaks-dyn 2>&1
