#!/usr/bin/env bash
# Tests of deploy/benchmark.sh with programs that stand for cargo and what it builds, on a made-up tree: what is collected,
# what is skipped or fails, and that nobody's names and addresses are in the file.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=deploy/tests/tree.sh
. "$here/tree.sh"
work=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/tree
tree "$root"

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    sed 's/^/    /' "$work/said" >&2
    exit 1
}

# bench STATUS ARGUMENT...: runs it with the programs of this test, and unpacks what it wrote.
bench() {
    local wanted=$1 status=0
    shift
    rm -rf "$work/hovercraft-benchmark" "$work/out.tar.gz"
    env PATH="$work/bin:$PATH" HOME=/home/jane HOSTNAME=bastion CARGO_TARGET_DIR="$work/target" \
        "$here/../benchmark.sh" --root "$root" --output "$work/out.tar.gz" "$@" >"$work/said" 2>&1 || status=$?
    [ "$status" -eq "$wanted" ] || fail "benchmark.sh $*: exit status $status, not $wanted"
    [ ! -e "$work/out.tar.gz" ] || tar -xzf "$work/out.tar.gz" -C "$work"
}

said() { grep -qF -- "$1" "$work/said" || fail "not said: $1"; }

# has FILE JQ: the expression is true of the file.
has() { jq -e "$2" "$work/hovercraft-benchmark/$1" >"$work/said" 2>&1 || fail "$1: not $2: $(jq -c . "$work/hovercraft-benchmark/$1")"; }

# A machine that has names and addresses everywhere.
sed -i 's|.*|quiet root=UUID=1234 ip=10.1.2.3::10.1.2.1:255.255.255.0:bastion isolcpus=2-3 nohz_full=2-3|' "$root/proc/cmdline"
echo bastion.example.org >"$root/proc/sys/kernel/hostname"
echo 'model name	: A Processor @ 3.00GHz' >"$root/proc/cpuinfo"
echo 'MemTotal:       1000 kB' >"$root/proc/meminfo"
echo '0.50 0.40 0.30 1/100 7' >"$root/proc/loadavg"
echo 'PRETTY_NAME="Debian GNU/Linux 12"' >"$root/etc/os-release"
echo 'Node 0 MemTotal:       500 kB' >"$root/sys/devices/system/node/node0/meminfo"
card "$root" 0000:05:00.0 mlx5_core enp5s0np0 13
echo 02:4a:be:ef:00:17 >"$root/sys/class/net/enp5s0np0/address"
echo 25000 >"$root/sys/bus/pci/devices/0000:05:00.0/net/enp5s0np0/speed"

mkdir -p "$work/bin" "$work/target/release"
# program NAME: a script, from standard input.
program() {
    { printf '#!/bin/sh\n'; cat; } >"$1"
    chmod +x "$1"
}
program "$work/bin/ethtool" <<'END'
printf 'driver: mlx5_core\nversion: 6.1.0\nfirmware-version: 16.35.2000 (MT_0000000080)\nbus-info: 0000:05:00.0\n'
END
program "$work/bin/lspci" <<'END'
echo "05:00.0 Ethernet controller: Mellanox ConnectX-5"
END
program "$work/bin/ip" <<'END'
echo '2: enp5s0np0    inet 10.20.30.40/24 brd 10.20.30.255 scope global enp5s0np0'
echo '2: enp5s0np0    inet6 2001:db8::17/64 scope global'
END
program "$work/bin/pkg-config" <<'END'
[ -z "$NO_DPDK" ] && echo 22.11.11
END
program "$work/bin/rustc" <<'END'
echo rustc 1.95.0
END
program "$work/bin/cargo" <<'END'
[ "$1" = -V ] && exec echo cargo 1.95.0
[ "$1 $FAILS" != 'build build' ] || exit 101
case "$*" in *--no-run*) ;; *"$FAILS"*) [ -z "$FAILS" ] || { echo "it broke at 10.20.30.40"; exit 101; } ;; esac
echo "   Compiling x (/home/jane/src/x) on bastion.example.org for jane@bastion, 127.0.0.1 and 127.0.0.2"
echo "peer 10.20.30.40:8000, 02:4A:BE:EF:00:17, [2001:db8::17]:80, fe80::4a:beff:feef:17%eth0, std::fs::read 0000:05:00.0"
while [ $# -gt 0 ]; do [ "$1" != --json ] || echo '{"rows": [{"ns": 1.5}]}' >"$2"; shift; done
END
for name in hovercraft-bench hovercraft-lab; do cp "$work/bin/cargo" "$work/target/release/$name"; done
program "$work/target/release/hovercraft-node" <<'END'
echo '{"for": "udp", "failures": 0, "checks": [{"found": "enx024abeef0017 on bastion"}]}'
END
program "$work/bin/valgrind" <<'END'
echo valgrind-3.19.0
END

echo '{"from": "10.20.30.41", "p50_us": 7.5}' >"$work/open-1.json"
bench 0 --add "$work/open-1.json"
has steps.json 'length == 7 and all(.[:6][]; .status == "ran") and .[6].status == "added"'
has steps.json '.[0].command == "cargo bench --locked -p raft-core -- --json RESULTS/hovercraft-benchmark/results/raft-core.json"'
has steps.json '.[1].command == "TARGET/release/hovercraft-bench --split --json RESULTS/hovercraft-benchmark/results/operations.json"'
for name in raft-core operations hand-over end-to-end; do has "results/$name.json" '.rows[0].ns == 1.5'; done
has machine.json '.boot_arguments == {known: ["isolcpus=2-3", "nohz_full=2-3"], left_out: 3}'
has machine.json '.governors == {powersave: 4} and .numa_nodes[0].memory_kib == "500" and .cpu == "A Processor @ 3.00GHz"'
has machine.json '.network_cards | length == 3 and .[2].name == "Ethernet controller: Mellanox ConnectX-5"
    and .[2].interfaces[0].ethtool["firmware-version"] == "16.35.2000 (MT_0000000080)" and .[2].interfaces[0].speed_mbit == "25000"'
has build.json '(.dpdk == "22.11.11") and (.profile | startswith("[profile.release]\n")) and (.commit | length >= 10)'
has doctor.json '.checks[0].found == "INTERFACE on HOST"'
has added/1-open-1.json '.from == "ADDRESS" and .p50_us == 7.5'
grep -q '^| end-to-end | clusters of processes on kernel UDP, beside an echo | ran' "$work/hovercraft-benchmark/README.md" || fail README
# Everything that tells whose machine it is.
if grep -rniE 'bastion|jane|example\.org|10\.20\.|10\.1\.2|2001:db8|fe80|4a:be|beff|0017|1234|enp5s0' "$work/hovercraft-benchmark" >"$work/said"; then
    fail 'names or addresses are in the file'
fi
printf '%s\n' '   Compiling x (HOME/src/x) on HOST for SOMEBODY, 127.0.0.1 and 127.0.0.2' \
    'peer ADDRESS:8000, MAC, [ADDRESS]:80, ADDRESS%eth0, std::fs::read 0000:05:00.0' >"$work/wanted"
diff "$work/wanted" "$work/hovercraft-benchmark/results/packets.txt" >"$work/said" || fail 'cleaning'
tar -tvzf "$work/out.tar.gz" | awk '$2 != "0/0"' >"$work/said"
[ ! -s "$work/said" ] || fail 'owners are in the file'

# What fails is in the file, said, and the exit status; the rest goes on.
FAILS=hand_over bench 1
said '1 steps failed; their output is in the file'
has steps.json '.[2].status == "failed" and .[2].reason == "exit status 101" and .[5].status == "ran"'
grep -q 'it broke at ADDRESS' "$work/hovercraft-benchmark/results/hand-over.txt" || fail 'its output'
FAILS=build bench 1
said 'the build failed'
[ ! -e "$work/out.tar.gz" ] || fail 'packed without a build'

# What cannot run is skipped, with the reason.
NO_DPDK=1 bench 0 --steps packets-dpdk,raft-core
has steps.json 'map(.status) == ["ran", "skipped", "skipped", "skipped", "skipped", "skipped", "skipped"]'
has steps.json '(.[4].reason | startswith("no DPDK 22.11")) and .[1].reason == "not asked for"'
has steps.json '.[6].reason | startswith("needs several machines")'
bench 0 --quick --steps packets-dpdk,end-to-end
has steps.json '.[4].reason == "it has no short form" and (.[5].command | contains("--where loopback --open 1,16 --modes hovercraft"))'
grep -q 'Quick run' "$work/hovercraft-benchmark/README.md" || fail 'README says nothing of the quick run'

# An address that cleaning does not know is seen before anything is packed.
program "$work/bin/ip" <<'END'
echo '2: ib0    inet ADDRESS-OF-A-NEW-KIND:77 scope global'
END
echo 'on ADDRESS-OF-A-NEW-KIND:77' >"$work/new.txt"
bench 1 --steps packets --add "$work/new.txt"
said 'not packed: this is left of names and addresses of this machine'
[ ! -e "$work/out.tar.gz" ] || fail 'packed'

# Several machines: a file and commands.
(
    cd "$work"
    hosts='--hosts 10.0.0.1,10.0.0.2,10.0.0.3 --admin 10.1.0.1,10.1.0.2,10.1.0.3 --port 0000:05:00.0'
    # shellcheck disable=SC2086
    "$here/../benchmark.sh" $hosts --cores 4-5 >"$work/said" 2>&1 || fail 'no commands'
    said '10.0.0.3:        target/release/hovercraft-node --dpdk -l 4-5 -a 0000:05:00.0 -- --config cluster.ron --id 3'
    said 'deploy/host.sh apply --device 0000:05:00.0 --cores 4-5'
    grep -qF '(id: 2, data: "10.0.0.2:8000", admin: "10.1.0.2:9000"),' cluster.ron || fail cluster.ron
    # shellcheck disable=SC2086
    ! "$here/../benchmark.sh" $hosts >"$work/said" 2>&1 || fail 'a file was written over'
    said 'cluster.ron is there already'
)
for line in '--hosts 10.0.0.1' '--steps all' '--add /none' '--output' 'now' '--hosts a,b,c --admin a,b,c --port 0000:05:00.0'; do
    # shellcheck disable=SC2086
    bench 2 $line
done
printf 'benchmark.sh: tested in %s s\n' "$SECONDS"
