# The host's lists of packages are used if the packages can be downloaded by them.
lists=/var/lib/apt/lists
if ! apt --download-only install "$@" >/dev/null 2>&1; then
  lists=$cache/lists
  apt update
  apt --download-only install "$@"
fi
cd "$root"
# A package may be unpacked through a link, such as /bin, that base-files would create.
mkdir -p usr/bin usr/sbin usr/lib usr/lib64 usr/lib/x86_64-linux-gnu usr/lib/i386-linux-gnu dev/pts dev/shm etc proc root run sys tmp var/tmp
chmod 1777 tmp var/tmp
for link in bin sbin lib lib64; do ln -sfn usr/$link $link; done
apt --simulate install "$@" | sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1_\2/p' | sed 's/:/%3a/g' | while read -r package; do
  dpkg-deb --fsys-tarfile "$cache/archives/$package"_*.deb |
    tar -x --no-same-owner --keep-directory-symlink --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' \
      --exclude='./usr/share/locale/*' --exclude='./usr/share/info/*'
done
[ -e usr/bin/bash ] && ln -sfn bash usr/bin/sh || true
[ -e usr/bin/dash ] && ln -sfn dash usr/bin/sh || true
[ -e usr/bin/mawk ] && ln -sfn mawk usr/bin/awk || true
[ -e usr/bin/gawk ] && ln -sfn gawk usr/bin/awk || true
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n' >etc/passwd
printf 'root:x:0:\ntty:x:5:\nnogroup:x:65534:\n' >etc/group
printf '127.0.0.1\tlocalhost\n' >etc/hosts
# Of the character sets, gdb needs UTF-32. All together have 8 MB.
find usr/lib/x86_64-linux-gnu/gconv -name '*.so' ! -name 'UTF-*' -delete 2>/dev/null || true
