# For the tests in tests/long that boot a system: systemd as process 1 of a container without a machine manager, so that it works
# on any host, whoever its process 1 is. Sourced after lib.sh.
#
#   boot ROOT            boots it with a network of its own that has only a loopback; sets $leader (its process 1)
#   inside COMMAND...    runs it in there
#   halt                 ends it; done at the end of the test, too
#
# systemd wants the unified cgroup tree, of which the host may have no controller (they can be in one hierarchy only): then
# `memory_unified` is empty, and limits are set in the host's own memory hierarchy.
# shellcheck shell=bash

leader=""
boot_process=""
boot_groups=()
boot_tree=$(findmnt -rno TARGET -t cgroup2 | head -n 1)
memory_unified=$(grep -wo memory "$boot_tree/cgroup.controllers" || true)

# The container's own place in the unified tree, and in the one named systemd where the host is of the older kind.
boot_make_groups() {
  local at
  boot_groups=()
  for at in "$boot_tree" "$(findmnt -rno TARGET -t cgroup -O name=systemd | head -n 1)"; do
    [ -n "$at" ] || continue
    mkdir "$at/rota-long.$$"
    boot_groups+=("$at/rota-long.$$")
  done
  [ -z "$memory_unified" ] || echo +memory +pids >"$boot_tree/cgroup.subtree_control"
}

boot() {
  local root=$1 group
  boot_make_groups
  long_at_end rm -f "$root.console"
  long_at_end halt
  (
    for group in "${boot_groups[@]}"; do echo "$BASHPID" >"$group/cgroup.procs"; done
    exec env SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_LOG_LEVEL=warning setsid systemd-nspawn --quiet --register=no --keep-unit \
      --private-network --machine="rota-long-$$" --directory="$root" --console=read-only --boot
  ) </dev/null >"$root.console" 2>&1 &
  boot_process=$!
  long_until 60 boot_has_leader || { tail -n 20 "$root.console" >&2; long_fail "the container does not start"; }
  long_until 120 boot_is_up || { tail -n 20 "$root.console" >&2; long_fail "the container does not come up"; }
}

boot_has_leader() { leader=$(long_child "$boot_process"); }

boot_is_up() {
  local state
  state=$(inside systemctl is-system-running 2>/dev/null) || true
  [ "$state" = running ] || [ "$state" = degraded ]
}

inside() {
  nsenter --target "$leader" --all env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
    SYSTEMD_PAGER=cat SYSTEMD_COLORS=0 "$@"
}

boot_is_gone() { [ ! -d "/proc/$leader" ]; }

halt() {
  local group
  [ -n "$boot_process" ] || return 0
  # RTMIN+4: poweroff.
  [ -z "$leader" ] || kill -s RTMIN+4 "$leader" 2>/dev/null || true
  long_until 30 boot_is_gone || kill -KILL "$leader" 2>/dev/null || true
  kill -KILL "$boot_process" 2>/dev/null || true
  wait "$boot_process" 2>/dev/null || true
  boot_process=""
  leader=""
  for group in "${boot_groups[@]}"; do find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true; done
}
