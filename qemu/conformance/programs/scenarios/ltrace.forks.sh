# 90 fork
ltrace -f -o /tmp/log ./forks-dyn; sed 's/^[0-9]* *//; s/= [0-9]*$/= N/; s/<unfinished ...>//' /tmp/log | sort
