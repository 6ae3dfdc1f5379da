# 60 matched lines
# ripgrep and fd search with threads of Rust's standard library; hexyl reads by offset.
mkdir -p /tmp/tree/a/b /tmp/tree/.hidden
for i in 1 2 3 4 5 6 7 8; do seq 1 2000 >/tmp/tree/a/b/$i.txt; done
echo needle >/tmp/tree/.hidden/x
ln -s a/b /tmp/tree/link
rg --threads 4 -c '^1.*9$' /tmp/tree | sort
rg --threads 2 --mmap 1999 /tmp/tree/a | sort
rg --hidden --sort path needle /tmp/tree
rg --stats -U '1\n2\n3' /tmp/tree/a/b/1.txt | grep -v seconds
seq 1 50000 | rg --line-buffered '999$' | tail -n 2
rg x /tmp/none; echo $?
fdfind --threads 4 . /tmp/tree | sort
fdfind -HL -t f --size -1k . /tmp/tree
fdfind -e txt . /tmp/tree -x wc -l | sort
fdfind --changed-within 1h -1 5.txt /tmp/tree
hexyl --color never --border ascii --skip 8000 --length 64 /tmp/tree/a/b/1.txt
truncate -s 5G /tmp/big
printf end >>/tmp/big
hexyl --color never --border ascii --skip 5368709104 --length 32 /tmp/big
