# shellcheck shell=bash
# Sourced by ../soak.sh: the cluster that `hovercraft-lab` keeps up, seen from outside: its namespaces, its nodes' processes and
# what they say of themselves, the load on it.
# shellcheck disable=SC2154 # Variables of soak.sh.

# Processes by number: of nodes that should live, of generators.
declare -A node_process=() generator=() generator_options=()
holder='' descriptors=() admins=() directory=''

lab() { "$programs/hovercraft-lab" --name "$name" "$@"; }

# outer COMMAND...: runs it in the namespace of the lab's bridges.
outer() { nsenter --net="/proc/$holder/fd/${descriptors[0]}" "$@"; }

# inside N COMMAND...: runs it in the namespace of node N, or of clients (0).
inside() {
    local place=$1
    shift
    nsenter --net="/proc/$holder/fd/${descriptors[place + 1]}" "$@"
}

# Learns where everything is.
find_cluster() {
    local number process
    directory=$(lab exec -- pwd)
    holder=$(jq -r .namespaces.holder.pid "$directory/state.json")
    mapfile -t descriptors < <(jq -r '.namespaces.descriptors[]' "$directory/state.json")
    while read -r number process; do node_process[$number]=$process; done \
        < <(jq -r '.nodes[] | "\(.[0]) \(.[1].pid)"' "$directory/state.json")
    mapfile -t admins < <(grep -o 'admin: *"[^"]*"' "$directory/cluster.ron" | cut -d'"' -f2)
    [ "${#admins[@]}" -eq "$nodes" ] || missing "cluster.ron of the lab has ${#admins[@]} members, not $nodes"
}

# ask N PATH: what node N answers, head and body; nothing when it does not.
ask() {
    local admin=${admins[$1 - 1]}
    # shellcheck disable=SC2016 # The inner shell's.
    inside 0 timeout 2 bash -c 'exec 3<>"/dev/tcp/$1/$2"
        printf "GET %s HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n" "$3" >&3
        cat <&3' - "${admin%:*}" "${admin##*:}" "$2" 2>/dev/null || true
}

# A line of each living node: where we are, and its numbers; one that does not answer has none.
sample() {
    local number resident numbers
    for number in "${!node_process[@]}"; do
        resident=$(awk '/^VmRSS:/ { print $2 * 1024 }' "/proc/${node_process[$number]}/status" 2>/dev/null || true)
        numbers=$(ask "$number" /metrics | awk '
            { sub(/\r$/, "") }
            $1 == "hovercraft_body_bytes" { body = $2 }
            $1 == "hovercraft_unordered_requests" { unordered = $2 }
            $1 == "hovercraft_applied_index" { applied = $2 }
            $1 == "hovercraft_receive_buffers_in_use" { receive = $2 }
            $1 == "hovercraft_receive_buffers_free" { receive_free = $2 }
            $1 == "hovercraft_transmit_buffers_in_use" { transmit = $2 }
            $1 == "hovercraft_transmit_buffers_free" { transmit_free = $2 }
            function or_none(value) { return value == "" ? "null" : value }
            END {
                if (applied == "") exit
                print or_none(body), or_none(unordered), or_none(applied), or_none(receive), or_none(receive_free), \
                    or_none(transmit), or_none(transmit_free)
            }')
        if [ -z "$numbers" ] || [ -z "$resident" ]; then continue; fi
        printf '%s %s %s %s %s\n' "$era" "$((SECONDS - began))" "$number" "$resident" "$numbers" >>"$work/samples"
    done
}

# start_generator N OPTION...: half of the load, until it is killed.
start_generator() {
    local number=$1
    shift
    generator_options[$number]=$*
    # In the lab's folder, as cluster.ron names the key's file; killed with us by `finish`.
    (
        cd "$directory" || exit
        exec nsenter --net="/proc/$holder/fd/${descriptors[1]}" "$programs/lancet" --config cluster.ron \
            --rate "$((rate / 2))" --duration "$((minutes * 60 + 600))s" --workload kv --idle sleep --quiet \
            --json "$work/generator-$number.json" "$@" >"$work/generator-$number.log" 2>&1
    ) &
    generator[$number]=$!
}

# restart_generator N: another life of it.
restart_generator() {
    local options=()
    read -ra options <<<"${generator_options[$1]}"
    start_generator "$1" "${options[@]}"
}

# Ends the load, and asks that no reply was another than what was asked for.
stop_generators() {
    local number status report
    for number in "${!generator[@]}"; do kill -TERM "${generator[$number]}" 2>/dev/null || true; done
    for number in "${!generator[@]}"; do
        status=0 report=$work/generator-$number.json
        wait "${generator[$number]}" 2>/dev/null || status=$?
        unset "generator[$number]"
        if [ ! -s "$report" ]; then
            fail "generator $number left no report, status $status: $(tail -1 "$work/generator-$number.log")"
        elif ! jq -e '.total.bad_replies == 0 and .total.answered > 0' "$report" >/dev/null; then
            fail "generator $number: of its requests $(jq -c '.total | {answered, bad_replies}' "$report")"
        fi
    done
}

# alive PID: it runs; one that has ended and that nobody has waited for does not.
alive() {
    local state=''
    read -r _ _ state _ 2>/dev/null <"/proc/$1/stat" || return 1
    [ "$state" != Z ]
}

# Whoever should live does; a generator that gave up begins again.
check_processes() {
    local number
    for number in "${!node_process[@]}"; do
        if ! alive "${node_process[$number]}"; then
            fail "node $number ended: $(tail -2 "$directory/node-$number.log")"
            unset "node_process[$number]"
        fi
    done
    for number in "${!generator[@]}"; do
        if ! alive "${generator[$number]}"; then
            if jq -e '.total.bad_replies > 0' "$work/generator-$number.json" >/dev/null 2>&1; then
                fail "generator $number got replies that it had not asked for"
            fi
            printf 'generator %s gave up: %s\n' "$number" "$(tail -1 "$work/generator-$number.log")" >&2
            note generator-gave-up
            restart_generator "$number"
        fi
    done
}

# The leader dies, and is not missed.
kill_for_good() {
    local number
    for _ in {1..40}; do
        if lab kill --node leader 2>"$work/said" >&2; then break; fi
        sleep 0.25
    done
    # Its process is gone a moment later.
    sleep 0.5
    for number in "${!node_process[@]}"; do
        if alive "${node_process[$number]}"; then continue; fi
        unset "node_process[$number]"
        note killed-for-good
    done
    [ "${#node_process[@]}" -eq "$((nodes - 1))" ] || fail "the leader was not killed: $(cat "$work/said")"
}

# When nothing disturbs them any more, all living nodes come to the same point.
check_agreement() {
    local number applied='' index differ
    for _ in {1..40}; do
        differ='' applied=''
        for number in "${!node_process[@]}"; do
            index=$(ask "$number" /metrics | awk '$1 == "hovercraft_applied_index" { print $2 + 0 }')
            [ -n "$index" ] && [ "$index" = "${applied:-$index}" ] || differ=yes
            applied=${index:-$applied}
        done
        [ -n "$differ" ] || return 0
        sleep 0.5
    done
    fail "20 seconds after the last fault the nodes have not applied the same: $(lab status | tr -s ' ' | tr '\n' ';')"
}

# Takes everything down, whatever happened.
finish() {
    local number
    for number in "${!generator[@]}"; do kill -KILL "${generator[$number]}" 2>/dev/null || true; done
    for number in "${!node_process[@]}"; do kill -CONT "${node_process[$number]}" 2>/dev/null || true; done
    lab down >/dev/null 2>&1 || true
}
