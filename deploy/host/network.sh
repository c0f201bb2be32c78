# shellcheck shell=bash
# Sourced by ../host.sh: what a network card carries, read from /sys and /proc, so that nobody is cut off.
#
# Routes are those of the main table: a machine with more of them (policy routing, VRFs) is not understood.
#
# Of the caller: the tree.
: "${root=}"

# interfaces_of DEVICE: the kernel's interfaces on a PCI device and all that is built upon them (bonds, bridges, VLANs).
interfaces_of() {
    local folder=$root/sys/bus/pci/devices/$1 path waiting=() name found=' '
    for path in "$folder"/net/* "$folder"/virtio*/net/*; do
        waiting+=("$(basename "$path")")
    done
    while [ "${#waiting[@]}" -gt 0 ]; do
        name=${waiting[0]}
        waiting=("${waiting[@]:1}")
        [[ $found != *" $name "* ]] || continue
        found+="$name "
        printf '%s\n' "$name"
        for path in "$root/sys/class/net/$name"/upper_*; do
            path=$(basename "$path")
            waiting+=("${path#upper_}")
        done
    done
}

# Routes as `interface destination length`, in hex digits and bits: IPv4 as 8 digits in the kernel's order, IPv6 as 32.
routes() {
    local interface to mask bits flags
    if [ -r "$root/proc/net/route" ]; then
        while read -r interface to _ _ _ _ _ mask _; do
            [ "$interface" != Iface ] || continue
            bits=0
            for ((mask = 16#$mask; mask > 0; mask >>= 1)); do bits=$((bits + (mask & 1))); done
            printf '%s %s %s\n' "$interface" "${to^^}" "$bits"
        done <"$root/proc/net/route"
    fi
    if [ -r "$root/proc/net/ipv6_route" ]; then
        while read -r to mask _ _ _ _ _ _ flags interface; do
            # Rejected ones lead nowhere; multicast ones are on every interface.
            ((16#$flags & 16#200)) || [[ $to == ff00* || $interface == lo ]] ||
                printf '%s %s %s\n' "$interface" "${to^^}" "$((16#$mask))"
        done <"$root/proc/net/ipv6_route"
    fi
}

# swapped DIGITS: 32-bit words with their bytes turned round.
swapped() {
    local digits=$1 place out=''
    for ((place = 0; place < ${#digits}; place += 8)); do
        out+=${digits:place+6:2}${digits:place+4:2}${digits:place+2:2}${digits:place:2}
    done
    printf '%s' "$out"
}

# same_bits A B LENGTH: whether two addresses, in network order, agree in so many bits.
same_bits() {
    local whole=$(($3 / 4)) left=$(($3 % 4))
    [ "${1:0:whole}" = "${2:0:whole}" ] || return 1
    [ "$left" -eq 0 ] || [ $((16#${1:whole:1} >> (4 - left))) -eq $((16#${2:whole:1} >> (4 - left))) ]
}

# Established TCP connections as `interface local-port`: where the way back to the other end leads.
connections() {
    local table own other status address port line interface to bits best length
    local -a known
    mapfile -t known < <(routes)
    for table in "$root"/proc/net/tcp "$root"/proc/net/tcp6; do
        [ -r "$table" ] || continue
        while read -r _ own other status _; do
            [ "$status" = 01 ] || continue
            address=$(swapped "${other%:*}")
            port=$((16#${own#*:}))
            # An IPv4 peer of an IPv6 socket.
            [ "${address:0:24}" != 00000000000000000000FFFF ] || address=${address:24}
            best='' length=-1
            for line in "${known[@]}"; do
                read -r interface to bits <<<"$line"
                [ "${#to}" -ne 8 ] || to=$(swapped "$to")
                if [ "${#to}" -ne "${#address}" ] || ! same_bits "$to" "$address" "$bits"; then
                    continue
                elif [ "$bits" -gt "$length" ]; then
                    best=$interface length=$bits
                elif [ "$bits" -eq "$length" ]; then
                    # Which of them it is cannot be told, as of a link-local address: all of them.
                    best+=" $interface"
                fi
            done
            for interface in $best; do printf '%s %s\n' "$interface" "$port"; done
        done <"$table"
    done
}

# carries INTERFACE: why this interface must not go, one reason per line: `always …` or `unless-forced …`.
carries() {
    local interface to bits port ssh=${SSH_CONNECTION:-}
    while read -r interface to bits; do
        [ "$interface" = "$1" ] || continue
        if [ "$bits" -eq 0 ]; then
            printf 'always the default route is on %s\n' "$1"
        elif [[ $to != FE80* ]]; then
            printf 'unless-forced a route is on %s\n' "$1"
        fi
    done < <(routes) | sort -u
    while read -r interface port; do
        [ "$interface" = "$1" ] || continue
        if [ "$port" -eq 22 ] || [ "$port" = "${ssh##* }" ]; then
            printf 'always an SSH connection goes over %s\n' "$1"
        else
            printf 'unless-forced a TCP connection goes over %s (own port %s)\n' "$1" "$port"
        fi
    done < <(connections) | sort -u
}
