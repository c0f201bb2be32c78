#!/usr/bin/env bash
# Builds everything, starts a cluster on this machine, drives it with load, kills its leader in the middle, and prints
# what clients saw and whether the recorded history holds. Takes everything down again.
#
#   deploy/quickstart.sh [--mode raft|hovercraft|unreplicated] [--nodes 3|5|7] [--service kv|synthetic]
#                        [--wire udp|af_packet|vhost|inproc] [--rate REQUESTS_PER_SECOND] [--seconds N] [--keep] [--json FILE]
#
# As root each node has a network namespace of its own, and is on DPDK where that can be installed; otherwise nodes are
# processes on loopback addresses, on the kernel's UDP. It says which wire it took, and why.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
# shellcheck source=deploy/packages.sh
. "$here/packages.sh"

for argument in "$@"; do
    case $argument in
    -h | --help)
        sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"
        exit 0
        ;;
    esac
done

need_all
# Paths in the arguments are the caller's, so the build goes elsewhere and comes back.
(
    cd "$here/.."
    printf 'building (the first time takes some minutes)\n' >&2
    features=()
    if (need_dpdk) >&2; then
        features=(--features 'hovercraft-node/dpdk,hovercraft-lab/dpdk,lancet-rs/dpdk')
    else
        printf 'building without DPDK: nodes will be on kernel UDP\n' >&2
    fi
    cargo build --quiet --release --locked "${features[@]}" -p hovercraft-node -p lancet-rs -p hovercraft-lab -p kvctl
)
target=${CARGO_TARGET_DIR:-$here/../target}
exec "$target/release/hovercraft-lab" run "$@"
