set -e
root=$1 cache=$2 architecture=$3
shift 3
mkdir -p "$cache/lists/partial" "$cache/archives/partial" "$root"
root=$(cd "$root" && pwd)
: >"$cache/status" # the system for which apt resolves the dependencies has no packages
apt() {
  apt-get -qq -y -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" \
    -o Dir::State="$cache" -o Dir::State::status="$cache/status" -o Dir::State::lists="$lists" \
    -o Dir::Cache="$cache" -o Dir::Cache::archives="$cache/archives" -o Debug::NoLocking=1 \
    -o APT::Sandbox::User= -o APT::Install-Recommends=0 "$@"
}
