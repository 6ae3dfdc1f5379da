# The host's lists of packages are used if the packages can be downloaded by them.
cd "$cache/archives"
lists=/var/lib/apt/lists
if ! apt download "$@" >/dev/null 2>&1; then
  lists=$cache/lists
  apt update
  apt download "$@"
fi
for package; do
  dpkg-deb --fsys-tarfile "$package"_*_"$architecture".deb | tar -x --no-same-owner -C "$root"
done
