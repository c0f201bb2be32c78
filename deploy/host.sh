#!/usr/bin/env bash
# Prepares a machine with a network card for nodes on DPDK, and takes that back.
#
#   deploy/host.sh [show] OPTION...   prints what `apply` would do, as commands; changes nothing (the default)
#   deploy/host.sh apply  OPTION...   does it, as root; what is so already stays
#   deploy/host.sh undo               takes back what `apply` did, last change first
#
#   --device PCI        give this card to vfio-pci, for DPDK (as in 0000:03:00.0); may be repeated
#   --cores LIST        cores of the node's threads (as in 2-3): interrupts leave them, and boot arguments isolate them
#   --hugepages-2m N    pages of 2 MiB for each NUMA node, at least (default 512; 0: leave them alone)
#   --hugepages-1g N    pages of 1 GiB for each NUMA node, at least (default 0)
#   --user NAME         may lock memory without bound: for nodes that do not run as root
#   --edit-boot         write the boot arguments to /etc/default/grub.d; without it they are printed only
#   --no-iommu          VFIO without an IOMMU: the card can then write to all of the memory, and the kernel is tainted
#   --force             take a card with routes or TCP connections too; never with the default route or an SSH connection
#   --root DIR          work on the tree DIR/sys, DIR/proc, DIR/etc, with programs of DIR: to rehearse
#
# With an IOMMU (intel_iommu=on or amd_iommu=on) VFIO confines the card to the memory that the node gave it, and whole
# groups of devices move together. Where there is none, as in most virtual machines, --no-iommu is the other way.
#
# Each change is written to /var/lib/hovercraft-host/state, with what was before, and then made, and then looked at.
# Files stay over a reboot; the rest is gone with it and wants `apply` again. A card's addresses are gone once it was
# bound: after `undo` bring its interface up as you did before.
#
# Exit status: 0 all is as asked; 1 something is not, or was refused; 2 wrong command line.
#
# Rehearsed on made-up trees only (deploy/tests/host.sh): no machine with a card to bind was at hand.
set -euo pipefail
shopt -s nullglob
# Paths and lists are compared.
export LC_ALL=C

here=$(dirname "$(readlink -f "$0")")
# shellcheck source=deploy/host/state.sh
. "$here/host/state.sh"
# shellcheck source=deploy/host/network.sh
. "$here/host/network.sh"

readonly BOOT_FILE=/etc/default/grub.d/60-hovercraft.cfg
readonly STATE_FOLDER=/var/lib/hovercraft-host

mode=show root='' devices=() cores='' pages_2m=512 pages_1g=0 user='' edit_boot='' no_iommu='' force=''

wrong() {
    printf 'host.sh: %s; see --help\n' "$*" >&2
    exit 2
}

refuse() {
    printf 'REFUSED: %s\n' "$*" >&2
    exit 1
}

number() { [[ $1 =~ ^[0-9]{1,7}$ ]] || wrong "$2: '$1' is no number of pages"; }

while [ $# -gt 0 ]; do
    case $1 in
    show | apply | undo) mode=$1 ;;
    --edit-boot) edit_boot=yes ;;
    --no-iommu) no_iommu=yes ;;
    --force) force=yes ;;
    -h | --help)
        sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"
        exit 0
        ;;
    --device | --cores | --hugepages-2m | --hugepages-1g | --user | --root)
        [ $# -gt 1 ] || wrong "$1 needs a value"
        case $1 in
        --device)
            [[ $2 =~ ^([0-9a-fA-F]{4}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]$ ]] || wrong "'$2' is no PCI address"
            name=${2,,}
            [[ $name == *:*:* ]] || name=0000:$name
            devices+=("$name")
            ;;
        --cores) cores=$2 ;;
        --hugepages-2m) number "$2" "$1" && pages_2m=$((10#$2)) ;;
        --hugepages-1g) number "$2" "$1" && pages_1g=$((10#$2)) ;;
        --user)
            [[ $2 =~ ^[a-z_][a-z0-9_-]*$ ]] || wrong "'$2' is no user's name"
            user=$2
            ;;
        --root)
            root=$(readlink -f "$2") || wrong "--root: no '$2'"
            if [ ! -d "$root/sys" ] || [ ! -d "$root/proc" ]; then wrong "--root: no sys and proc in '$2'"; fi
            [ "$root" != / ] || root=''
            ;;
        esac
        shift
        ;;
    *) wrong "unknown argument '$1'" ;;
    esac
    shift
done

# expand LIST: cores as `0-2,5`, one per line, in order.
expand() {
    local part
    tr ',' '\n' <<<"$1" | while IFS= read -r part; do
        [ -z "$part" ] || seq "${part%-*}" "${part#*-}"
    done | sort -nu
}

# compress: the other way round, as the kernel writes it.
compress() {
    awk 'function flush() { if (n++) printf ","; printf(from == to ? "%d" : "%d-%d", from, to) }
        NR == 1 { from = to = $1; next }
        $1 == to + 1 { to = $1; next }
        { flush(); from = to = $1 }
        END { if (NR) flush() }'
}

# Sets cores, others (compressed) and isolated (a line each).
check_cores() {
    local online path core
    path='[0-9]{1,4}(-[0-9]{1,4})?'
    [[ $cores =~ ^$path(,$path)*$ ]] || wrong "--cores: '$cores' is no list of cores"
    isolated=$(expand "$cores")
    online=$(expand "$(value /sys/devices/system/cpu/online)")
    [ -n "$isolated" ] || wrong "--cores: '$cores' has no core"
    [ -z "$(comm -23 <(sort <<<"$isolated") <(sort <<<"$online"))" ] ||
        refuse "--cores $cores: online are $(compress <<<"$online")"
    ! grep -qx 0 <<<"$isolated" || refuse "--cores $cores: the kernel needs core 0 for itself"
    cores=$(compress <<<"$isolated")
    others=$(comm -13 <(sort <<<"$isolated") <(sort <<<"$online") | sort -n | compress)
    [ -n "$others" ] || refuse "--cores $cores: no core is left for the rest"
    for core in $isolated; do
        path=/sys/devices/system/cpu/cpu$core/topology/thread_siblings_list
        [ ! -r "$root$path" ] || [ -z "$(comm -13 <(sort <<<"$isolated") <(expand "$(value "$path")" | sort))" ] ||
            say "note: core $core shares its execution units with $(value "$path"); name all of them, or turn SMT off"
    done
}

# An IOMMU's group moves as one: all of it must be VFIO's, or nobody's, or a bridge.
check_group() {
    local path other driver
    for path in "$root/sys/bus/pci/devices/$1"/iommu_group/devices/*; do
        other=$(basename "$path")
        driver=$(driver_of "$other")
        [[ " ${devices[*]} " == *" $other "* ]] || [[ $driver =~ ^(|vfio-pci|pcieport)$ ]] ||
            refuse "$1: $other is in its IOMMU group, with driver $driver: add --device $other, or use another slot"
    done
}

# A card that may be taken; else the script ends. False: nothing to do.
check_device() {
    local folder=/sys/bus/pci/devices/$1 driver interface word reason reasons='' node core
    [ -d "$root$folder" ] || refuse "$1: no such PCI device"
    [[ $(value "$folder/class") == 0x02* ]] || refuse "$1: no network card (class $(value "$folder/class"))"
    driver=$(driver_of "$1")
    node=$(value "$folder/numa_node") || node=-1
    for core in ${isolated:-}; do
        [ "$node" -lt 0 ] || [ -e "$root/sys/devices/system/cpu/cpu$core/node$node" ] ||
            say "note: $1 is on NUMA node $node, core $core is not: each packet crosses over"
    done
    if [ "$(value "$folder/vendor")" = 0x15b3 ]; then
        say "note: $1 keeps its driver ${driver:-(none)}: DPDK drives these cards beside the kernel, through ibverbs"
        return 1
    fi
    [ "$driver" != vfio-pci ] || return 0
    while IFS= read -r interface; do
        while read -r word reason; do
            [ "$word" != always ] || refuse "$1: $reason"
            reasons+=", $reason"
        done < <(carries "$interface")
    done < <(interfaces_of "$1")
    [ -z "$reasons" ] || [ -n "$force" ] || refuse "$1: ${reasons#, }; --force takes it"
    if [ -e "$root$folder/iommu_group" ]; then
        check_group "$1"
    elif [ -z "$no_iommu" ]; then
        refuse "$1: no IOMMU is on: boot with intel_iommu=on (or amd_iommu=on) iommu=pt, or use --no-iommu"
    fi
}

lock_memory() {
    [ -n "$user" ] || return 0
    say "memory that $user may lock"
    if [ ! -d "$root/etc/security/limits.d" ]; then
        problem '/etc/security/limits.d: not there; raise the limit memlock where this system keeps it'
        return
    fi
    set_file /etc/security/limits.d/60-hovercraft.conf "$user - memlock unlimited"
}

boot_arguments() {
    local wanted=() missing=() argument line
    if [ -n "$cores" ]; then
        wanted+=("isolcpus=managed_irq,domain,$cores" "nohz_full=$cores" "rcu_nocbs=$cores" "irqaffinity=$others")
    fi
    [ "$pages_1g" -eq 0 ] || wanted+=("hugepagesz=1G" "hugepages=$((pages_1g * $(nodes | wc -l)))")
    [ "${#wanted[@]}" -gt 0 ] || return 0
    say 'boot arguments'
    line=" $(value /proc/cmdline) "
    for argument in "${wanted[@]}"; do
        [[ $line == *" $argument "* ]] || missing+=("$argument")
    done
    if [ "${#missing[@]}" -eq 0 ]; then
        already "booted with ${wanted[*]}"
        return
    fi
    say "  this kernel was booted without: ${missing[*]}"
    if [ ! -d "$root/etc/default/grub.d" ]; then
        say '  there is no /etc/default/grub.d here: give them to whatever boots this machine'
        [ -z "$edit_boot" ] || problem '--edit-boot: no /etc/default/grub.d'
        return
    fi
    line="GRUB_CMDLINE_LINUX=\"\$GRUB_CMDLINE_LINUX ${wanted[*]}\""
    if [ -z "$edit_boot" ]; then
        say "  $BOOT_FILE would have them with --edit-boot:"
        say "  $line"
        return
    fi
    if ! program update-grub >/dev/null; then
        problem '--edit-boot: no program update-grub'
        return
    fi
    # Before the file: undone after it.
    if [ "$mode" = apply ] && [ "$(value "$BOOT_FILE" || true)" != "$line" ]; then record program update-grub - -; fi
    set_file "$BOOT_FILE" "$line"
    would update-grub
    [ "$mode" != apply ] || call update-grub || problem 'update-grub failed'
    say '  REBOOT for them to hold, then apply again'
}

governors() {
    local path core found='' chosen
    say 'clock of the cores'
    chosen=${isolated:-$(expand "$(value /sys/devices/system/cpu/online)")}
    for core in $chosen; do
        path=/sys/devices/system/cpu/cpu$core/cpufreq
        [ -d "$root$path" ] || continue
        found=yes
        if [[ " $(value "$path/scaling_available_governors" || true) " == *' performance '* ]]; then
            set_value "$path/scaling_governor" performance
        else
            problem "$path: its driver has no governor 'performance'"
        fi
    done
    [ -n "$found" ] || say '  nothing to set: no cpufreq here, as in most virtual machines'
}

# without_cores MASK: a mask of cores as the kernel writes it, without the isolated ones.
without_cores() {
    local words word place core bits out=''
    IFS=, read -ra words <<<"$1"
    for place in "${!words[@]}"; do
        word=${words[place]} bits=$((16#${words[place]}))
        for core in $isolated; do
            if [ $((core / 32)) -eq $((${#words[@]} - 1 - place)) ]; then bits=$((bits & ~(1 << (core % 32)))); fi
        done
        out+=$(printf ',%0*x' "${#word}" "$bits")
    done
    printf '%s' "${out#,}"
}

interrupts() {
    local path now left
    [ -n "$cores" ] || return 0
    say "interrupts away from cores $cores"
    if program systemctl >/dev/null && service_active irqbalance; then
        would 'systemctl stop irqbalance' 'it would move them back'
        if [ "$mode" = apply ]; then
            record service irqbalance active stopped
            call systemctl stop irqbalance || true
            ! service_active irqbalance || problem 'irqbalance: cannot be stopped'
        fi
    elif grep -qx irqbalance "$root"/proc/[0-9]*/comm 2>/dev/null; then
        problem 'irqbalance runs and is no service of systemd: stop it by hand'
    fi
    path=/proc/irq/default_smp_affinity
    [ ! -e "$root$path" ] || set_value "$path" "$(without_cores "$(value "$path")")"
    for path in "$root"/proc/irq/*/smp_affinity_list; do
        path=${path#"$root"}
        now=$(value "$path") || continue
        left=$(comm -23 <(expand "$now" | sort) <(sort <<<"$isolated") | sort -n | compress)
        [ "$left" != "$now" ] || continue
        # The kernel refuses for some: their driver places them, by `managed_irq` of the boot arguments.
        set_value "$path" "${left:-$others}"
    done
}

nodes() {
    local path
    for path in "$root"/sys/devices/system/node/node[0-9]*; do printf '%s\n' "${path#"$root"}"; done
}

# huge_pages NUMBER KIB WORD FOLDER: so many pages of that size for each NUMA node, and a mount to have them from.
huge_pages() {
    local node path now
    [ "$1" -gt 0 ] || return 0
    say "huge pages of $3"
    while IFS= read -r node; do
        path=$node/hugepages/hugepages-$2kB/nr_hugepages
        if ! now=$(value "$path"); then
            problem "$path: not there: no pages of $3 on this machine"
        elif [ "$now" -ge "$1" ]; then
            already "$path is $now"
        else
            set_value "$path" "$1"
            [ "$mode" = show ] || [ "$(value "$path")" -ge "$1" ] ||
                say '  memory is in pieces: apply right after the boot, or give hugepages= to the boot'
        fi
    done < <(nodes)
    if grep -qE "^[^ ]+ [^ ]+ hugetlbfs [^ ]*pagesize=($3|$(($2 / 1024))M)([, ]|$)" "$root/proc/mounts"; then
        already "pages of $3 are mounted"
        return
    fi
    set_folder "$4"
    would "mount -t hugetlbfs -o pagesize=$3 hovercraft $4"
    [ "$mode" = apply ] || return 0
    record mount "$4" - -
    call mount -t hugetlbfs -o "pagesize=$3" hovercraft "$4" || true
    mounted "$4" || problem "$4: cannot be mounted"
}

# take_device DEVICE: its driver becomes vfio-pci.
take_device() {
    local folder=/sys/bus/pci/devices/$1 driver
    driver=$(driver_of "$1")
    if [ "$driver" = vfio-pci ]; then
        already "$1 has driver vfio-pci"
        return
    fi
    would "echo vfio-pci > $folder/driver_override" "'$(override_of "$1")'"
    [ -z "$driver" ] || would "echo $1 > $folder/driver/unbind" "driver $driver"
    would "echo $1 > /sys/bus/pci/drivers_probe"
    [ "$mode" = apply ] || return 0
    record driver "$1" "$driver,$(override_of "$1")" vfio-pci
    write "$folder/driver_override" vfio-pci || { problem "$1: driver_override cannot be set"; return; }
    [ -z "$driver" ] || write "$folder/driver/unbind" "$1" || { problem "$1: $driver does not let go of it"; return; }
    write /sys/bus/pci/drivers_probe "$1" || true
    driver=$(driver_of "$1")
    [ "$driver" = vfio-pci ] || problem "$1: has driver '$driver' after vfio-pci was to take it; \`undo\` gives it back"
}

network_cards() {
    local device path=/sys/module/vfio/parameters/enable_unsafe_noiommu_mode
    [ "${#devices[@]}" -gt 0 ] || return 0
    say 'network cards'
    if [ ! -d "$root/sys/bus/pci/drivers/vfio-pci" ]; then
        would 'modprobe vfio-pci'
        if [ "$mode" = apply ]; then
            record module vfio-pci - -
            call modprobe vfio-pci || true
            if [ ! -d "$root/sys/bus/pci/drivers/vfio-pci" ]; then
                problem 'vfio-pci: cannot be loaded'
                return
            fi
        fi
    fi
    for device in "${devices[@]}"; do
        [ ! -e "$root/sys/bus/pci/devices/$device/iommu_group" ] || continue
        if [ "$mode" = show ] && [ ! -e "$root$path" ]; then
            would "echo Y > $path" 'there once vfio is loaded'
        else
            set_value "$path" Y
        fi
        break
    done
    for device in "${devices[@]}"; do take_device "$device"; done
}

# What was changed before, and nobody else at work.
open_state() {
    [ -n "$root" ] || [ "$(id -u)" -eq 0 ] || refuse "\`$mode\` needs root; \`show\` does not"
    mkdir -p "$root$STATE_FOLDER"
    exec {lock}<"$root$STATE_FOLDER"
    # A program that was called holds it too: after a kill its end is waited for.
    flock -w 3 "$lock" || refuse 'another one is at work'
    trap 'printf "interrupted: \`undo\` takes back what was done\n" >&2; exit 1' INT TERM HUP
    load_state
}

undo() {
    if [ ! -d "$root$STATE_FOLDER" ]; then
        say 'nothing to undo'
        return
    fi
    open_state
    undo_all
    [ -e "$state_file" ] || rmdir "$root$STATE_FOLDER"
    [ "$problems" -eq 0 ] || say "$problems of it could not be undone and stays in $STATE_FOLDER/state"
}

show_or_apply() {
    local device taken=()
    # All that can be refused is, before anything is changed.
    if [ -n "$cores" ]; then check_cores; fi
    for device in "${devices[@]}"; do
        if check_device "$device"; then taken+=("$device"); fi
    done
    [ "${#devices[@]}" -gt 0 ] || say 'no --device: no card is bound'
    [ -n "$cores" ] || say 'no --cores: no core is isolated, interrupts stay'
    devices=("${taken[@]}")
    if [ "$mode" = apply ]; then open_state; fi
    lock_memory
    boot_arguments
    governors
    interrupts
    huge_pages "$pages_2m" 2048 2M /dev/hugepages
    huge_pages "$pages_1g" 1048576 1G /dev/hugepages1G
    network_cards
    if [ "$mode" = show ]; then
        say "nothing was changed: \`apply\` does it, \`undo\` takes it back"
        if [ -r "$state_file" ]; then say "$(wc -l <"$state_file") changes of an earlier \`apply\` are recorded"; fi
        return
    fi
    [ -e "$state_file" ] || rmdir "$root$STATE_FOLDER"
    [ "$problems" -eq 0 ] || say "$problems not as asked; \`undo\` takes everything back"
}

state_file=$root$STATE_FOLDER/state
case $mode in
undo) undo ;;
*) show_or_apply ;;
esac
[ "$problems" -eq 0 ]
