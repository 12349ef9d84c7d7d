# For the tests in tests/long that install rota: the package of the last commit, built on the Debian it is for. Sourced after
# lib.sh.
#
#   long_package SUITE             builds rota's package on that Debian, once for each state of the sources; sets $deb.
#                                  ROTA_DEB is a package made before, for one suite at a time
#   long_root_with SUITE PACKAGE...
#                                  as long_root, with these packages; prepared once, and kept for the next test. Sets $root
#   long_install ROOT PACKAGE...   installs packages there, a path to a .deb of ours among them, and starts no service
#
# The systems it is built on are kept beside the pristine ones, with the compiler's cache.
#   has PATTERN                    reads all of its input, and says whether the pattern is in it (`grep -q` in a pipe ends the
#                                  writer, which pipefail takes for a failure)
# shellcheck shell=bash

has() { grep -e "$1" >/dev/null; }

# What ends up in the package, as one word.
long_sources() {
  git -C "$long_tree" ls-tree HEAD CMakeLists.txt CMakePresets.json CHANGELOG.md CONTRIBUTING.md README.md LICENSE SECURITY.md bench cmake completion conf \
    deploy docs examples include man packaging scripts/package src systemd | sha256sum | cut -c 1-16
}

# Sets $builder.
long_builder() {
  local suite=$1 base
  builder=$long_roots/builder-$suite
  [ ! -f "$builder/.ready" ] || return 0
  long_base "$suite"
  long_say "making a $suite to build packages on"
  rm -rf --one-file-system "$builder"
  cp -a --reflink=auto "$base" "$builder"
  long_network "$builder"
  touch "$builder/.ready"
}

# Sets $deb.
long_package() {
  local suite=$1 state cache builder built
  deb=${ROTA_DEB:-}
  [ -z "$deb" ] || return 0
  state=$(long_sources)
  cache=$long_roots/packages-$suite
  mkdir -p "$cache/$state"
  exec 7>"$cache/lock"
  flock 7
  deb=$(find "$cache/$state" -name 'rota_*.deb')
  if [ -z "$deb" ]; then
    long_builder "$suite"
    long_network "$builder"
    long_clone "$builder"
    long_say "building the package on $suite"
    long_enter "$builder" bash -c 'cd /rota && DEBIAN_FRONTEND=noninteractive scripts/package' >&2
    built=("$builder"/rota/build/rota_*.deb)
    cp "${built[@]}" "$cache/$state/"
    rm -rf "$builder/rota"
    find "$cache" -mindepth 1 -maxdepth 1 -type d ! -name "$state" -mtime +2 -exec rm -rf {} +
    deb=$cache/$state/$(basename "${built[0]}")
  fi
  exec 7>&-
}

long_install() {
  local where=$1 package
  local -a packages=()
  shift
  for package; do
    case $package in
      *.deb)
        cp "$package" "$where/root/"
        packages+=("/root/${package##*/}")
        ;;
      *) packages+=("$package") ;;
    esac
  done
  # shellcheck disable=SC2016
  long_enter "$where" env DEBIAN_FRONTEND=noninteractive bash -c '
    printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    trap "rm /usr/sbin/policy-rc.d" EXIT
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "$@"' install "${packages[@]}"
}

# Sets $root.
long_root_with() {
  local suite=$1 prepared
  shift
  prepared=$long_roots/prepared-$suite-$(printf '%s ' "$@" | sha256sum | cut -c 1-12)
  if [ ! -d "$prepared" ]; then
    long_root "$suite"
    long_install "$root" "$@"
    rm -rf "$prepared.$$"
    cp -a --reflink=auto "$root" "$prepared.$$"
    rm -f "$prepared.$$"/var/cache/apt/archives/*.deb
    mv -T "$prepared.$$" "$prepared" 2>/dev/null || rm -rf "$prepared.$$" # another test was faster
    return
  fi
  root=$long_roots/copy.$$.${#long_made[@]}
  long_made[$root]=$suite
  cp -a --reflink=auto "$prepared" "$root"
  long_network "$root"
}
