# For the tests in tests/long: systems of their own to try rota in. Sourced by each of them; must be root.
#
#   long_base SUITE [VARIANT]      a pristine Debian made by debootstrap, once; sets $base. VARIANT: "" (a Debian base system) or minbase
#   long_root SUITE [VARIANT]      a copy of it to spoil, gone when the test ends; sets $root
#   long_clone ROOT                this repository's last commit, cloned to ROOT/rota
#   long_enter ROOT COMMAND...     runs it in ROOT, in mounts and processes of its own; all of them end with it
#   long_enter_background ROOT COMMAND...   does not wait for it; sets $entered, a process whose death ends it all and
#                                  whose child (long_child $entered) is process 1 in there
#   long_child PID                 the child of a process
#   long_until SECONDS COMMAND...  waits until it succeeds
#   long_result TEXT               a line of the summary that tests/long/run prints at the end
#   long_at_end COMMAND...         run when the test ends, however it ends; the last one first
#   long_fail TEXT                 says what is wrong and ends the test
#
# long_private_network=1 before long_enter: a network of its own, with nothing but 127.0.0.1.
#
# A root has the machine's network: its resolver and hosts, its apt settings and proxies, its npm and pip settings, its
# certificates; and its own file system, processes, /tmp and /run. What apt downloaded is kept for the next root.
#
# ROTA_ROOTS (/var/tmp/rota-roots) is where pristine systems, downloads and copies are; ROTA_KEEP=1 leaves the copies there.
# shellcheck shell=bash
set -eEuo pipefail

long_tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
long_roots=${ROTA_ROOTS:-/var/tmp/rota-roots}
long_name=$(basename "$0")
declare -A long_made=()  # copy -> suite

long_say() { printf '%s: %s\n' "$long_name" "$*" >&2; }

long_fail() {
  long_say "FAILED: $*"
  exit 1
}

long_result() {
  printf '%s: %s\n' "$long_name" "$*"
  [ -z "${ROTA_LONG_SUMMARY:-}" ] || printf '%s: %s\n' "$long_name" "$*" >>"$ROTA_LONG_SUMMARY"
}

long_undo=()
long_at_end() { long_undo=("$(printf '%q ' "$@")" "${long_undo[@]}"); }

long_clean() {
  local status=$? command made
  set +e
  trap - ERR
  for command in "${long_undo[@]}"; do eval "$command" 2>/dev/null; done
  for made in "${!long_made[@]}"; do
    long_save_downloads "$made" "${long_made[$made]}"
    if [ -n "${ROTA_KEEP:-}" ]; then long_say "kept: $made"; else rm -rf --one-file-system "$made"; fi
  done
  exit "$status"
}

long_start() {
  local old pid
  [ "$(id -u)" = 0 ] || long_fail "needs root: it installs systems of its own below $long_roots"
  mkdir -p "$long_roots"
  trap long_clean EXIT
  # shellcheck disable=SC2154
  trap 'status=$?; long_say "${BASH_SOURCE[0]}:$LINENO: status $status: ${BASH_COMMAND:0:200}"' ERR
  trap 'exit 130' INT
  trap 'exit 143' TERM
  # Left by a test that was killed.
  for old in "$long_roots"/copy.*; do
    pid=${old##*/copy.}
    pid=${pid%%.*}
    if [ -d "$old" ] && [ -z "${ROTA_KEEP:-}" ] && [ ! -d "/proc/$pid" ]; then rm -rf --one-file-system "$old"; fi
  done
}

# The machine's own mirror, whatever it is: the one it has its own system from.
long_mirror() {
  local codename
  codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
  "$long_tree/scripts/debian-source" "$codename" || long_fail "no Debian source for '$codename' in /etc/apt"
}

# Sets $base.
long_base() {
  local suite=$1 variant=${2:-} source key
  base=$long_roots/base-$suite${variant:+-$variant}
  [ ! -d "$base" ] || return 0
  command -v debootstrap >/dev/null || long_fail "debootstrap is not installed (scripts/setup --long)"
  exec 8>"$long_roots/base.lock"
  flock 8
  if [ ! -d "$base" ]; then
    source=$(long_mirror)
    key=${source#*|}
    long_say "making a pristine $suite ${variant:-base system}"
    rm -rf "$base.new"
    debootstrap ${variant:+--variant="$variant"} --keyring="${key:-/usr/share/keyrings/debian-archive-keyring.gpg}" \
      "$suite" "$base.new" "${source%%|*}" >"$base.log" 2>&1 || { tail -n 20 "$base.log" >&2; long_fail "debootstrap failed, see $base.log"; }
    rm -rf "$base.new"/var/cache/apt/archives/*.deb
    mv "$base.new" "$base"
  fi
  exec 8>&-
}

# Sets $root.
long_root() {
  local suite=$1 variant=${2:-}
  long_base "$suite" "$variant"
  root=$long_roots/copy.$$.${#long_made[@]}
  long_made[$root]=$suite
  cp -a --reflink=auto "$base" "$root"
  long_network "$root"
  # Nobody misses a copy after a power cut.
  echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
  mkdir -p "$root/var/cache/apt/archives" "$long_roots/downloads-$suite"
  find "$long_roots/downloads-$suite" -name '*.deb' -exec cp -lf -t "$root/var/cache/apt/archives" {} +
}

long_save_downloads() {
  find "$1/var/cache/apt/archives" -maxdepth 1 -name '*.deb' -exec cp -ln -t "$long_roots/downloads-$2" {} +
}

# A mirror behind a proxy, a resolver, a company's certificate: what this machine reaches its network by.
long_network() {
  local to=$1 file
  cp -L /etc/resolv.conf "$to/etc/resolv.conf"
  cp -L /etc/hosts "$to/etc/hosts"
  { grep -lsE '^[[:space:]]*Acquire::' /etc/apt/apt.conf /etc/apt/apt.conf.d/* || true; } | while read -r file; do
    cp "$file" "$to/etc/apt/apt.conf.d/80machine-$(basename "$file")"
  done
  # The bundle for programs, what it is made of for the package that makes it anew when it is installed.
  for file in /etc/npmrc /etc/pip.conf "$HOME/.npmrc" /etc/ssl/certs/ca-certificates.crt /usr/local/share/ca-certificates/*.crt; do
    [ -f "$file" ] || continue
    case $file in
      "$HOME"/*) install -D "$file" "$to/root/${file##*/}" ;;
      *) install -D "$file" "$to$file" ;;
    esac
  done
}

long_clone() {
  rm -rf "$1/rota"
  git clone --quiet "file://$long_tree" "$1/rota"
  long_say "commit $(git -C "$long_tree" log -1 --format='%h %s')"
}

long_command() {
  local where=$1 keep=() name
  shift
  for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY PIP_FIND_LINKS PIP_CERT GOPROXY GOFLAGS; do
    [ -z "${!name:-}" ] || keep+=("$name=${!name}")
  done
  # shellcheck disable=SC2016
  entering=(
    unshare --mount --pid --ipc --uts ${long_private_network:+--net} --fork --kill-child bash -c '
      set -e
      [ -z "${long_private_network:-}" ] || ip link set lo up
      where=$1; shift
      mount --bind "$where" "$where"
      mount -t proc proc "$where/proc"
      mount --rbind /sys "$where/sys"
      mount --rbind /dev "$where/dev"
      mount -t tmpfs -o mode=1777 tmpfs "$where/dev/shm"
      mount -t tmpfs -o mode=1777 tmpfs "$where/tmp"
      mount -t tmpfs -o mode=755 tmpfs "$where/run"
      cd "$where"
      # A root like any other: in one that was only changed by chroot(2), no namespace can be made.
      pivot_root . .
      umount -l .
      exec chroot . "$@"' enter "$where"
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8
    "${keep[@]}" "$@")
}

long_enter() {
  local entering
  long_command "$@"
  "${entering[@]}"
}

long_enter_background() {
  local entering
  long_command "$@"
  "${entering[@]}" &
  entered=$!
  long_at_end kill -KILL "$entered"
}

# The first child of a process.
long_child() {
  local children=""
  read -r children 2>/dev/null <"/proc/$1/task/$1/children" || true
  [ -n "$children" ] && printf '%s\n' "${children%% *}"
}

# Waits until a command succeeds: long_until SECONDS COMMAND...
long_until() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.2
  done
}

long_start
