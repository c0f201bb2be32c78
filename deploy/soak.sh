#!/usr/bin/env bash
# A cluster under load and faults for as long as asked, and whether anything in its nodes grows: memory, packet buffers, bodies,
# requests that wait.
#
#   deploy/soak.sh [OPTION...]
#
#   --minutes N         length (default 30)
#   --wire NAME         af_packet, vhost or udp (default af_packet)
#   --nodes 3|5         members (default 3)
#   --rate N            requests per second, of two generators together (default 1000)
#   --seed N            which faults, and when (default: a new one, which is printed)
#   --json FILE         write the figures and the verdict as JSON, too
#   --built             do not build first; the programs in the target folder are taken as they are
#
# Faults, one after the other, seconds each: frames lost on the bridge or on the clients' link, links of nodes and of clients
# down, nodes stopped and continued, generators killed with -9, on vhost the switch killed with -9. In the middle the leader is
# killed for good. Nodes are asked every 10 seconds (2 where N < 5). Slopes are fitted to the last two thirds of each half: in
# the first third a half's bounded tables are still filling (those of bodies that the dead node will not fetch in the second).
# Nodes have a log and tables so small that this takes a minute and a half at the default rate.
#
# Needs root and jq, nftables and util-linux. `nice deploy/soak.sh` lets others go first.
#
# Exit status: 0 nothing grows; 1 something does, or a node or a generator failed, or the cluster did not carry on; 2 wrong
# command line.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
# shellcheck source=deploy/packages.sh
. "$here/packages.sh"
# shellcheck source=deploy/soak/cluster.sh
. "$here/soak/cluster.sh"
# shellcheck source=deploy/soak/faults.sh
. "$here/soak/faults.sh"
# shellcheck source=deploy/soak/judge.sh
. "$here/soak/judge.sh"

wrong() {
    printf 'soak.sh: %s; see --help\n' "$*" >&2
    exit 2
}

minutes=30 wire=af_packet nodes=3 rate=1000 seed=$((RANDOM)) json='' built=''
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"
        exit 0
        ;;
    --built) built=yes ;;
    --minutes | --wire | --nodes | --rate | --seed | --json)
        [ $# -gt 1 ] || wrong "$1 needs a value"
        case $1 in
        --minutes) minutes=$2 ;;
        --wire) wire=$2 ;;
        --nodes) nodes=$2 ;;
        --rate) rate=$2 ;;
        --seed) seed=$2 ;;
        --json) json=$2 ;;
        esac
        shift
        ;;
    *) wrong "unknown argument '$1'" ;;
    esac
    shift
done
[[ $minutes =~ ^[1-9][0-9]{0,3}$ ]] || wrong "--minutes: '$minutes' is not 1 to 9999"
[[ $rate =~ ^[1-9][0-9]{1,6}$ ]] || wrong "--rate: '$rate' is not 10 to 9999999"
[[ $seed =~ ^[0-9]{1,5}$ ]] || wrong "--seed: '$seed' is not 0 to 99999"
case $nodes in 3 | 5) ;; *) wrong "--nodes: '$nodes' is not 3 or 5" ;; esac
case $wire in af_packet | vhost | udp) ;; *) wrong "--wire: '$wire' is not af_packet, vhost or udp" ;; esac
if [ -n "$json" ]; then json=$(readlink -f "$json") || wrong '--json: no such folder'; fi

[ "$(id -u)" -eq 0 ] || missing 'network namespaces need root'
packages=()
command -v jq >/dev/null || packages+=(jq)
command -v nft >/dev/null || packages+=(nftables)
command -v nsenter >/dev/null || packages+=(util-linux)
[ "${#packages[@]}" -eq 0 ] || install "${packages[@]}"

cd "$here/.."
if [ -z "$built" ]; then
    need_all
    need_dpdk
    cargo build --quiet --release --locked --features hovercraft-node/dpdk,lancet-rs/dpdk \
        -p hovercraft-node -p lancet-rs -p hovercraft-lab
fi
target=$(readlink -f "${CARGO_TARGET_DIR:-target}")
programs=$target/release name=soak-$$
RANDOM=$seed
work=$(mktemp -d)
trap 'finish; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

# fail WORDS: the soak has failed, and goes on.
fail() {
    printf 'FAILED: %s\n' "$*" >&2
    printf '%s\n' "$*" >>"$work/failures"
}

# turns SECONDS: faults and samples until then.
turns() {
    local end=$((SECONDS + $1))
    while [ "$SECONDS" -lt "$end" ]; do
        check_processes
        fault_turn
        if [ "$SECONDS" -ge "$next_sample" ]; then
            sample
            next_sample=$((next_sample + every))
        fi
        sleep 0.5
    done
    heal
}

touch "$work/samples" "$work/failures" "$work/faults"
printf 'soak: %s minutes on %s, %s nodes, %s requests per second, seed %s\n' "$minutes" "$wire" "$nodes" "$rate" "$seed" >&2
lab up --wire "$wire" --nodes "$nodes" --idle sleep --threads inline --small-tables >/dev/null
find_cluster
sleep 3
# As many looks in a short rehearsal as it takes for a slope.
every=$((minutes < 5 ? 2 : 10))
began=$SECONDS next_sample=$SECONDS
era='rest-before'
sample
start_generator 1
start_generator 2 --plain
half=$((minutes * 30))
era='all-alive'
turns "$half"
kill_for_good
era='one-dead'
turns "$half"
# A generator that was started a moment ago has nothing to report yet; and nothing disturbs the cluster any more.
sleep 10
check_processes
stop_generators
check_processes
check_agreement
era='rest-after'
sample

judge "$work" >"$work/result.json"
[ -z "$json" ] || cp "$work/result.json" "$json"
show "$work/result.json"
jq -e .passed "$work/result.json" >/dev/null
