# shellcheck shell=bash
# Sourced by ../soak.sh: faults that no node has to be started again after, one at a time. `fault_turn` begins and ends them.
# shellcheck disable=SC2154 # Variables of soak.sh and cluster.sh.

# What undoes the fault that holds, as a command with arguments; empty while none does. When the state ends.
undo=() fault_until=0

# note KIND: counts a fault.
note() { printf '%s\n' "$1" >>"$work/faults"; }

# What this wire can suffer.
kinds() {
    case $wire in
    af_packet) echo 'loss loss node-link node-link own-end clients-link stop generator' ;;
    udp) echo 'loss loss node-link node-link clients-link stop generator' ;;
    vhost) echo 'clients-loss clients-link switch switch stop generator' ;;
    esac
}

# begin KIND: it holds from now on, until `heal`.
begin() {
    local living=("${!node_process[@]}") number share
    # Drawn in this shell: in others the seed means nothing.
    number=${living[RANDOM % ${#living[@]}]} share=$((5 + RANDOM % 26))
    note "$1"
    case $1 in
    loss)
        # Between the lab's own links only: the bridge is in the lab's namespace.
        outer nft -f - <<<"table bridge soak {
            chain lose { type filter hook forward priority 0; numgen random mod 100 < $share drop;
            }
        }"
        undo=(outer nft delete table bridge soak)
        ;;
    clients-loss)
        inside 0 nft -f - <<<"table inet soak {
            chain lose { type filter hook input priority 0; meta l4proto udp numgen random mod 100 < $share drop;
            }
        }"
        undo=(inside 0 nft delete table inet soak)
        ;;
    node-link)
        outer ip link set "v$number" down
        undo=(outer ip link set "v$number" up)
        ;;
    own-end)
        inside "$number" ip link set eth0 down
        undo=(inside "$number" ip link set eth0 up)
        ;;
    clients-link)
        outer ip link set v0 down
        undo=(outer ip link set v0 up)
        ;;
    stop)
        kill -STOP "${node_process[$number]}"
        undo=(kill -CONT "${node_process[$number]}")
        ;;
    generator)
        number=$((1 + RANDOM % 2))
        kill -KILL "${generator[$number]}" 2>/dev/null || true
        wait "${generator[$number]}" 2>/dev/null || true
        unset "generator[$number]"
        undo=(restart_generator "$number")
        ;;
    switch)
        lab kill --node switch >/dev/null
        undo=(lab start-switch)
        ;;
    esac
}

# Ends the fault that holds.
heal() {
    [ "${#undo[@]}" -gt 0 ] || return 0
    "${undo[@]}" >/dev/null || fail "a fault could not be undone: ${undo[*]}"
    undo=()
}

# Begins or ends a fault when it is time to: each holds for 1 to 4 seconds, and as long is between two of them.
fault_turn() {
    local all
    [ "$SECONDS" -ge "$fault_until" ] || return 0
    if [ "${#undo[@]}" -gt 0 ]; then
        heal
    else
        read -ra all <<<"$(kinds)"
        begin "${all[RANDOM % ${#all[@]}]}"
    fi
    fault_until=$((SECONDS + 1 + RANDOM % 4))
}
