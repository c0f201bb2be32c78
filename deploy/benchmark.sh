#!/usr/bin/env bash
# Runs every benchmark on this machine, and packs results, versions and hardware into one file that can be published.
#
#   deploy/benchmark.sh [OPTION...]
#
#   --quick           everything small: to see that it runs, not for figures
#   --steps LIST      only these, of: raft-core operations hand-over packets packets-dpdk end-to-end
#   --output FILE     the file (default: hovercraft-benchmark-DATE.tar.gz here)
#   --built           do not build first; the programs in the target folder are taken as they are
#   --add FILE        put a result measured elsewhere in too, such as lancet's --json; may be repeated
#   --hosts A,B,C --admin A,B,C --port PCI [--cores 2-3]
#                     instead of all that: write cluster.ron for nodes on DPDK on these machines into the current folder,
#                     and print the commands to type on each. Nodes on several machines are not started from here.
#
# Needs a Rust toolchain, jq and perl; with valgrind instructions are counted, with DPDK (libdpdk-dev) its part is measured.
# What cannot run is listed as skipped, with the reason; what failed is in the file too.
#
# The file has no host name, user, MAC or IP address: see deploy/benchmark/clean.sh. Look at it before you publish it.
#
# Exit status: 0 all ran or was skipped; 1 a step failed, or nothing could be packed; 2 wrong command line.
#
# On several machines, or with a card on DPDK, none of this has been run: none were at hand.
set -euo pipefail
shopt -s nullglob

here=$(dirname "$(readlink -f "$0")")
repository=$(dirname "$here")
root=''
# shellcheck source=deploy/packages.sh
. "$here/packages.sh"
# shellcheck source=deploy/benchmark/machine.sh
. "$here/benchmark/machine.sh"
# shellcheck source=deploy/benchmark/clean.sh
. "$here/benchmark/clean.sh"
# shellcheck source=deploy/benchmark/cluster.sh
. "$here/benchmark/cluster.sh"

readonly all=(raft-core operations hand-over packets packets-dpdk end-to-end)
quick='' built='' steps=("${all[@]}") output='' added=() hosts='' admin='' port='' cores=2-3

wrong() {
    printf 'benchmark.sh: %s; see --help\n' "$*" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"
        exit 0
        ;;
    --quick) quick=yes ;;
    --built) built=yes ;;
    --steps | --output | --add | --hosts | --admin | --port | --cores | --root)
        [ $# -gt 1 ] || wrong "$1 needs a value"
        case $1 in
        --steps)
            IFS=, read -ra steps <<<"$2"
            for name in "${steps[@]}"; do
                [[ " ${all[*]} " == *" $name "* ]] || wrong "--steps: there is no '$name', only: ${all[*]}"
            done
            ;;
        --output) output=$2 ;;
        --add)
            [ -f "$2" ] || wrong "--add: no file '$2'"
            added+=("$2")
            ;;
        --hosts) hosts=$2 ;;
        --admin) admin=$2 ;;
        --port) port=$2 ;;
        --cores) cores=$2 ;;
        # Another tree with sys, proc and etc, for the tests.
        --root) root=$2 ;;
        esac
        shift
        ;;
    *) wrong "unknown argument '$1'" ;;
    esac
    shift
done

# Several machines: files and commands, and no more.
if [ -n "$hosts$admin$port" ]; then
    [[ -n $hosts && -n $admin && -n $port ]] || wrong '--hosts, --admin and --port go together'
    [[ $port =~ ^[0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]$ ]] || wrong "--port: '$port' is no PCI address"
    [[ $cores =~ ^[0-9]+[-,][0-9]+$ ]] || wrong "--cores: '$cores' is not two cores"
    hosts=$(a_list "$hosts" --hosts) || exit
    admin=$(a_list "$admin" --admin) || exit
    [ "$(wc -l <<<"$hosts")" = "$(wc -l <<<"$admin")" ] || wrong '--hosts and --admin: not as many'
    [ ! -e cluster.ron ] || missing 'cluster.ron is there already, and is left'
    cluster_file hovercraft "$hosts" "$admin" >cluster.ron
    cluster_commands "$port" "$cores" "$hosts" | tee cluster-commands.txt
    printf '\nwritten: cluster.ron, cluster-commands.txt\n' >&2
    exit 0
fi

need_rust
packages=()
command -v jq >/dev/null || packages+=(jq)
command -v perl >/dev/null || packages+=(perl)
[ "${#packages[@]}" -eq 0 ] || install "${packages[@]}"

for place in "${!added[@]}"; do added[place]=$(readlink -f "${added[place]}"); done
date=$(date -u +%Y-%m-%dT%H-%M-%SZ)
output=$(readlink -f "${output:-hovercraft-benchmark-$date.tar.gz}") || missing '--output: no such folder'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
pack=$work/hovercraft-benchmark
mkdir -p "$pack/results"
cd "$repository"
target=${CARGO_TARGET_DIR:-target}
failed=0

# note NAME STATUS REASON SECONDS COMMAND...: a line of the summary.
note() {
    local name=$1 status=$2 reason=$3 seconds=$4
    shift 4
    jq -n --arg name "$name" --arg status "$status" --arg reason "$reason" --argjson seconds "$seconds" --arg command "$*" \
        '{name: $name, status: $status, reason: $reason, seconds: $seconds, command: $command}' >>"$work/steps.json"
    printf '%-14s %-8s %5s s  %s\n' "$name" "$status" "$seconds" "$reason" >&2
}

wants() { [[ " ${steps[*]} " == *" $1 "* ]]; }

# run NAME NOTE COMMAND...: a benchmark; its output is results/NAME.txt, its JSON, if it writes any, results/NAME.json.
run() {
    local name=$1 said=$2 start=$SECONDS status=0
    shift 2
    printf '%s: %s\n' "$name" "$*" >&2
    "$@" >"$pack/results/$name.txt" 2>&1 </dev/null || status=$?
    if [ "$status" -eq 0 ]; then
        note "$name" ran "$said" "$((SECONDS - start))" "$@"
    else
        failed=$((failed + 1))
        tail -5 "$pack/results/$name.txt" >&2
        note "$name" failed "exit status $status" "$((SECONDS - start))" "$@"
    fi
}

skip() { note "$1" skipped "$2" 0; }

# What is measured, as users build it; the DPDK back end where it is to be had. Before the steps: their times are without.
build_all() {
    local features=()
    if has_dpdk; then features=(--features hovercraft-node/dpdk); fi
    if wants operations || wants end-to-end; then
        cargo build --release --locked "${features[@]}" -p hovercraft-node -p lancet-rs -p hovercraft-lab -p hovercraft-bench ||
            return
    fi
    if wants raft-core; then cargo bench --no-run --locked -p raft-core || return; fi
    if wants hand-over; then cargo bench --no-run --locked -p hovercraft-node --bench hand_over || return; fi
    if wants packets; then cargo bench --no-run --locked -p dataplane --bench net || return; fi
}

has_dpdk() { pkg-config --atleast-version=22.11 libdpdk >/dev/null 2>&1; }

raft_core() {
    local effort=()
    [ -z "$quick" ] || effort=(--entries 16384 --repetitions 2)
    run raft-core "$uncounted" cargo bench --locked -p raft-core -- --json "$pack/results/raft-core.json" "${effort[@]}"
}

operations() {
    local effort=(--split) said=$uncounted
    if [ -n "$quick" ]; then
        effort=(--nodes 3 --request 24 --reply 8 --ops 1000 --rounds 1 --no-instructions)
        said='a quick run: instructions are not counted'
    fi
    run operations "$said" "$target/release/hovercraft-bench" "${effort[@]}" --json "$pack/results/operations.json"
}

hand_over() {
    local effort=()
    [ -z "$quick" ] || effort=(--entries 16384 --repetitions 2)
    run hand-over "$uncounted" cargo bench --locked -p hovercraft-node --bench hand_over -- \
        --json "$pack/results/hand-over.json" "${effort[@]}"
}

packets() {
    local rows=()
    [ -z "$quick" ] || rows=(-- receive)
    run packets '' cargo bench --locked -p dataplane --bench net "${rows[@]}"
}

packets_dpdk() {
    if ! has_dpdk; then
        skip packets-dpdk 'no DPDK 22.11 or later (Debian: dpdk libdpdk-dev libclang-dev clang)'
    elif [ -n "$quick" ]; then
        skip packets-dpdk 'it has no short form'
    else
        run packets-dpdk 'a cable in one process, no card' cargo bench --locked -p dataplane --features dpdk --bench dpdk
    fi
}

end_to_end() {
    local effort=() places=namespaces,loopback said=''
    if ! unshare --net true 2>/dev/null; then
        places=loopback said='no network namespaces without root: loopback only'
    fi
    [ -z "$quick" ] || effort=(--open "1,16" --modes hovercraft --rounds 1 --seconds 0.2)
    [ -z "$quick" ] || places=loopback
    run end-to-end "$said" "$target/release/hovercraft-lab" bench --where "$places" "${effort[@]}" \
        --json "$pack/results/end-to-end.json"
}

# What is in the file, for people.
readme() {
    cat <<END
# HovercRaft: benchmark of one machine, $date

Commit $(jq -r .commit "$pack/build.json").${quick:+ **Quick run: shows that everything runs; its figures say nothing.**}

$(jq -r '"\(.cpu), cores \(.cores_online) (isolated: \(.cores_isolated | if . == "" then "none" else . end)), "
    + "\(.memory_kib) KiB, \(.kernel)"' "$pack/machine.json")

| step | what | | seconds | command |
|---|---|---|---:|---|
$(jq -r --argjson titles "$titles" '.[] | "| \(.name) | \($titles[.name]) "
    + "| \(.status)\(if .reason == "" then "" else ": " + .reason end) "
    + "| \(.seconds) | \(if .command == "" then "" else "`\(.command)`" end) |"' "$pack/steps.json")

machine.json, lscpu.json: the hardware and how it was set; build.json: commit, compiler, profile; doctor.json: what
\`hovercraft-node doctor\` found; steps.json: the table above; results/: each step's output, and its rows as JSON;
added/: results measured elsewhere. What the columns mean, and figures to compare with: docs/performance.md in the repository.

Left out or replaced: names of the host, users and folders, MAC and IP addresses (also what only looks like them, such as a
version of four small numbers), serial numbers, boot arguments that do not concern speed.
END
}

readonly titles='{"raft-core": "the consensus core alone, per committed entry",
  "operations": "whole nodes in one thread, per ordered operation", "hand-over": "between the two threads of a node, per entry",
  "packets": "the network stack, per packet", "packets-dpdk": "the DPDK back end, per packet",
  "end-to-end": "clusters of processes on kernel UDP, beside an echo", "cluster": "nodes on DPDK on several machines"}'

uncounted=''
command -v valgrind >/dev/null || uncounted='no valgrind: instructions are not counted'

if [ -z "$built" ]; then
    printf 'building\n' >&2
    build_all >"$pack/results/build.txt" 2>&1 || { tail -20 "$pack/results/build.txt" >&2; missing 'the build failed'; }
fi
machine >"$pack/machine.json"
build >"$pack/build.json"
lscpu -J >"$pack/lscpu.json" 2>/dev/null || rm "$pack/lscpu.json"
if [ -x "$target/release/hovercraft-node" ]; then
    # Whether something fails is part of what it says.
    "$target/release/hovercraft-node" doctor --json >"$pack/doctor.json" 2>/dev/null || true
fi
: >"$work/steps.json"
for name in "${all[@]}"; do
    if wants "$name"; then "${name//-/_}"; else skip "$name" 'not asked for'; fi
done
if [ "${#added[@]}" -gt 0 ]; then
    mkdir "$pack/added"
    for place in "${!added[@]}"; do
        cp "${added[place]}" "$pack/added/$((place + 1))-$(basename "${added[place]}")"
    done
    note cluster added "${#added[@]} files measured elsewhere" 0
else
    skip cluster 'needs several machines: deploy/benchmark.sh --hosts prints the commands, --add puts their results in'
fi
jq -s . "$work/steps.json" >"$pack/steps.json"
readme >"$pack/README.md"

mapfile -d '' files < <(find "$pack" -type f -print0)
clean "${files[@]}"
left=$(personal "${files[@]}")
if [ -n "$left" ]; then
    printf '%s\n' "$left" >&2
    missing 'not packed: this is left of names and addresses of this machine'
fi
tar --create --gzip --owner=0 --group=0 --numeric-owner --mtime="$(date -u +%Y-%m-%d)" --sort=name --mode=u=rwX,go=rX \
    --file "$output" --directory "$work" hovercraft-benchmark
printf '%s\n' "$output"
[ "$failed" -eq 0 ] || missing "$failed steps failed; their output is in the file"
