# shellcheck shell=bash
# Sourced by ../benchmark.sh: what needs several machines, as a file cluster.ron and the commands to type.

# a_list WORD NAME: addresses in a list, one per line; ends the script where they are none.
a_list() {
    local address found=0
    while IFS= read -r address; do
        [[ $address =~ ^[0-9]{1,3}(\.[0-9]{1,3}){3}$ ]] || wrong "$2: '$address' is no IPv4 address"
        found=$((found + 1))
    done < <(tr ',' '\n' <<<"$1")
    case $found in 3 | 5 | 7 | 9) ;; *) wrong "$2: $found addresses, not 3, 5, 7 or 9" ;; esac
    tr ',' '\n' <<<"$1"
}

# cluster_file MODE DATA ADMIN: cluster.ron; lists of addresses.
cluster_file() {
    local -a addresses kernel_addresses
    local place
    mapfile -t addresses <<<"$2"
    mapfile -t kernel_addresses <<<"$3"
    cat <<END
// Written by deploy/benchmark.sh: one node on each of ${#addresses[@]} machines, its data address on DPDK, its admin address the kernel's.
(
  name: "benchmark",
  // openssl rand -hex 32 > cluster.key, and copy it beside this file on every machine.
  key_file: "cluster.key",
  groups: [(
    mode: $1,
    multicast: "239.255.71.1:8000",
    service: synthetic,
    // Each thread has a core of its own.
    idle: spin,
    members: [
END
    for place in "${!addresses[@]}"; do
        printf '      (id: %d, data: "%s:8000", admin: "%s:9000"),\n' "$((place + 1))" "${addresses[place]}" "${kernel_addresses[place]}"
    done
    printf '    ],\n  )],\n)\n'
}

# cluster_commands PORT CORES DATA ADMIN: what to type where.
cluster_commands() {
    local port=$1 cores=$2 network=${2%%[,-]*} place=0 address n
    cat <<END
On every machine of the cluster, as root, in the same commit of this repository:

  deploy/host.sh apply --device $port --cores $cores          # shows it first: without \`apply\`
  cargo build --release --locked --features hovercraft-node/dpdk -p hovercraft-node
  target/release/hovercraft-node doctor --for dpdk --config cluster.ron --id N --cores ${cores//-/,}

Then one node on each (the first core polls the network, the second executes):

END
    while IFS= read -r address; do
        place=$((place + 1))
        printf '  %-16s target/release/hovercraft-node --dpdk -l %s -a %s -- --config cluster.ron --id %d\n' \
            "$address:" "$cores" "$port" "$place"
    done <<<"$3"
    cat <<END

On another machine of the same network, on kernel UDP (its own kernel is part of what it measures):

  target/release/hovercraft-ctl --config cluster.ron status
END
    for n in 1 16 64 256; do
        printf '  target/release/lancet --config cluster.ron --open %s --duration 30s' "$n"
        printf ' --workload stss_0_0_0 --json open-%s.json\n' "$n"
    done
    cat <<END
  target/release/lancet --config cluster.ron --rate 100000 --duration 30s --workload stss_0_0_0 --json rate-100000.json

Do the same with mode raft, and unreplicated with the first member alone. Then, on one of the machines of the cluster:

  deploy/benchmark.sh --add open-1.json --add open-16.json --add open-64.json --add open-256.json --add rate-100000.json
  deploy/host.sh undo

Core $network and the next must be on the card's NUMA node; \`doctor\` and \`host.sh\` say when they are not.
END
}
