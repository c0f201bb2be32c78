#!/usr/bin/env bash
# Tests of deploy/host.sh on made-up trees: nothing of this machine is read or written.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=deploy/tests/tree.sh
. "$here/tree.sh"

# In memory where that is possible: every change waits for the disk.
work=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
trap 'rm -rf "$work"' EXIT
export SSH_CONNECTION=''
readonly all='--device 03:00.0 --cores 2-3 --hugepages-2m 100 --hugepages-1g 2 --user node --edit-boot'
passed=0

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    sed 's/^/    /' "$work/said" >&2
    exit 1
}

# host STATUS ARGUMENT...: runs it on the tree and wants this exit status.
host() {
    local wanted=$1 status=0
    shift
    "$here/../host.sh" --root "$work/tree" "$@" >"$work/said" 2>&1 || status=$?
    [ "$status" -eq "$wanted" ] || fail "host.sh $*: exit status $status, not $wanted"
}

said() { grep -qF -- "$1" "$work/said" || fail "not said: $1"; }
is() { [ "$(cat "$work/tree/$1")" = "$2" ] || fail "$1 is '$(cat "$work/tree/$1")', not '$2'"; }
driver() { [ "$(basename "$(readlink "$work/tree/sys/bus/pci/devices/0000:03:00.0/driver")")" = "$1" ] || fail "driver is not $1"; }

# fresh NAME: a new tree.
fresh() {
    rm -rf "$work/tree"
    cp -a "$work/pattern" "$work/tree"
    case_name=$1
}

orders() { printf '%s\n' "$@" >"$work/tree/orders"; }

# The tree is as it was.
as_before() {
    fingerprint "$work/tree" >"$work/after"
    diff "$work/before" "$work/after" >"$work/said" || fail "$case_name: not as before"
    passed=$((passed + 1))
}

# remember: this is what `as_before` compares with.
remember() { fingerprint "$work/tree" >"$work/before"; }

tree "$work/pattern"

fresh 'show changes nothing'; remember
# shellcheck disable=SC2086
host 0 $all
for command in 'echo vfio-pci > /sys/bus/pci/devices/0000:03:00.0/driver_override' 'modprobe vfio-pci' \
    "echo '100' > /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages" 'systemctl stop irqbalance' \
    "echo '3' > /proc/irq/default_smp_affinity" "echo '0-1' > /proc/irq/25/smp_affinity_list" 'mkdir /dev/hugepages1G' \
    "echo 'performance' > /sys/devices/system/cpu/cpu2/cpufreq/scaling_governor" 'update-grub' 'node - memlock unlimited' \
    'isolcpus=managed_irq,domain,2-3 nohz_full=2-3 rcu_nocbs=2-3 irqaffinity=0-1 hugepagesz=1G hugepages=4"'; do
    said "$command"
done
as_before

fresh 'apply, and again, and undo'; remember
# shellcheck disable=SC2086
host 0 apply $all
is proc/irq/default_smp_affinity 3
is proc/irq/24/smp_affinity_list 0-1
is proc/irq/25/smp_affinity_list 0-1
is sys/devices/system/cpu/cpu3/cpufreq/scaling_governor performance
is sys/devices/system/cpu/cpu0/cpufreq/scaling_governor powersave
is sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages 100
is sys/devices/system/node/node0/hugepages/hugepages-1048576kB/nr_hugepages 2
is etc/security/limits.d/60-hovercraft.conf 'node - memlock unlimited'
grep -q 'linux quiet isolcpus=managed_irq,domain,2-3 nohz_full=2-3' "$work/tree/boot/grub.cfg" || fail 'grub.cfg'
grep -q 'hovercraft /dev/hugepages hugetlbfs rw,pagesize=2M' "$work/tree/proc/mounts" || fail 'mounts'
[ ! -e "$work/tree/etc/irqbalance-runs" ] || fail 'irqbalance runs'
driver vfio-pci
fingerprint "$work/tree" >"$work/applied"
# shellcheck disable=SC2086
host 0 apply $all
said 'already so: 0000:03:00.0 has driver vfio-pci'
fingerprint "$work/tree" | diff "$work/applied" - >"$work/said" || fail 'a second apply changes something'
# Other wishes: what was before both is remembered.
host 0 apply --hugepages-2m 200 --cores 3
host 0
said 'changes of an earlier'
host 0 undo
as_before
host 0 undo
said 'nothing to undo'
as_before

# Killed right before and right after every one of the kernel's writes; `undo` gives everything back, and so it does after
# another, whole `apply`.
readonly few='--device 03:00.0 --cores 3 --hugepages-2m 100 --user node --edit-boot'
fresh 'count'; orders none
# shellcheck disable=SC2086
host 0 apply $few
writes=$(cat "$work/tree/count")
[ "$writes" -ge 9 ] || fail "only $writes writes"
for moment in die die-after; do
    for ((number = 1; number <= writes; number++)); do
        fresh "killed ($moment) at write $number"; remember
        orders "$moment $number"
        # shellcheck disable=SC2086
        host 137 apply $few 2>/dev/null
        rm "$work/tree/orders" "$work/tree/count"
        if [ $((number % 4)) -eq 0 ]; then
            # shellcheck disable=SC2086
            host 0 apply $few
            driver vfio-pci
        fi
        host 0 undo
        as_before
    done
done

# And undo itself, killed at each write of its own, goes on when it is called again.
for ((number = 1; number <= writes; number += 3)); do
    fresh "undo killed at write $number"; remember
    # shellcheck disable=SC2086
    host 0 apply $few
    orders "die-after $number"
    host 137 undo 2>/dev/null
    rm "$work/tree/orders" "$work/tree/count"
    host 0 undo
    as_before
done

fresh 'the cards that carry us are refused'; remember
host 1 apply --device 01:00.0 --force --cores 2
said 'the default route is on eth0'
as_before
sed -i '/00000000	0101A8C0/d' "$work/tree/proc/net/route"; remember
host 1 --device 01:00.0 --force
said 'an SSH connection goes over eth0'
sed -i 's/:0016 /:1F90 /' "$work/tree/proc/net/tcp"; remember
host 1 --device 01:00.0
said 'a route is on eth0, a TCP connection goes over eth0 (own port 8080); --force takes it'
SSH_CONNECTION='192.168.1.9 50000 192.168.1.2 8080' host 1 --device 01:00.0 --force
said 'an SSH connection goes over eth0'
as_before
host 0 apply --device 01:00.0 --force
host 0 undo
as_before

fresh 'what is built upon a card counts as the card'
# A bridge with the default route upon a bond upon eth1, by IPv6.
mkdir -p "$work/tree"/sys/class/net/{eth1/upper_bond0,bond0/upper_br0,br0}
printf '%032d 00 %032d 00 %032d 00000400 00000001 00000000 00000003 br0\n' 0 0 0 >"$work/tree/proc/net/ipv6_route"
remember
host 1 apply --device 03:00.0 --force
said 'the default route is on br0'
as_before

fresh 'SSH by IPv6'
# fe80::9 on eth1, a link-local peer: port 22.
printf 'fe800000000000000000000000000000 40 %032d 00 %032d 00000100 00000001 00000000 00000001 eth1\n' 0 0 \
    >"$work/tree/proc/net/ipv6_route"
printf '  sl\n   0: %s:0016 %s:C350 01 00\n' 000080FE000000000000000001000000 000080FE000000000000000009000000 \
    >"$work/tree/proc/net/tcp6"
remember
host 1 apply --device 03:00.0 --force
said 'an SSH connection goes over eth1'
as_before

fresh 'IOMMU groups'
card "$work/tree" 0000:03:00.1 ixgbe eth2 12
remember
host 1 apply --device 03:00.0
said '0000:03:00.1 is in its IOMMU group, with driver ixgbe: add --device 0000:03:00.1'
as_before
host 0 apply --device 03:00.0 --device 03:00.1
host 0 undo
as_before

fresh 'no IOMMU'
rm "$work/tree/sys/bus/pci/devices/0000:03:00.0/iommu_group"
remember
host 1 --device 03:00.0
said 'no IOMMU is on'
host 0 --device 03:00.0 --no-iommu
said 'echo Y > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode'
host 0 apply --device 03:00.0 --no-iommu
is sys/module/vfio/parameters/enable_unsafe_noiommu_mode Y
driver vfio-pci
host 0 undo
as_before

fresh 'bound already'
"$work/tree/bin/modprobe" vfio-pci
host 0 apply --device 03:00.0 --hugepages-2m 0
rm -r "$work/tree/var/lib/hovercraft-host"; remember
host 0 apply --device 03:00.0 --hugepages-2m 0
said 'already so: 0000:03:00.0 has driver vfio-pci'
said "already so: /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor is performance"
as_before

fresh 'a driver that holds on'; remember
orders 'busy /sys/bus/pci/devices/0000:03:00.0/driver/unbind'
host 1 apply --device 03:00.0
said 'PROBLEM: 0000:03:00.0: ixgbe does not let go of it'
host 0 undo
as_before

fresh 'a process on the card'; remember
host 0 apply --device 03:00.0
ln -s /dev/vfio/12 "$work/tree/proc/77/fd/9"
host 1 undo
said 'PROBLEM: 0000:03:00.0: in use by process 77; end it, then undo again'
driver vfio-pci
rm "$work/tree/proc/77/fd/9"
host 0 undo
as_before

fresh 'too little memory, an interrupt of its driver'; remember
orders 'fewer 40' 'busy /proc/irq/24/smp_affinity_list'
host 1 apply --hugepages-2m 100 --cores 2-3
said "PROBLEM: /sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages: is '40' after '100' was written"
said "PROBLEM: /proc/irq/24/smp_affinity_list: the kernel refused '0-1'"
is proc/irq/25/smp_affinity_list 0-1
rm "$work/tree/orders" "$work/tree/count"
host 0 undo
as_before

fresh 'missing files'
rm -r "$work/tree"/{etc/default,etc/security,sys/devices/system/node/node1/hugepages/hugepages-1048576kB,bin/update-grub}
rm -r "$work/tree"/sys/devices/system/cpu/cpu?/cpufreq
remember
# shellcheck disable=SC2086
host 1 apply $all
said 'PROBLEM: /etc/security/limits.d: not there'
said 'PROBLEM: --edit-boot: no /etc/default/grub.d'
said 'node1/hugepages/hugepages-1048576kB/nr_hugepages: not there: no pages of 1G on this machine'
said 'no cpufreq here'
driver vfio-pci
host 0 undo
as_before

fresh 'edited since'; remember
host 0 apply --user node
echo '# mine' >>"$work/tree/etc/security/limits.d/60-hovercraft.conf"
host 1 undo
said 'edited since, and left'
rm "$work/tree/etc/security/limits.d/60-hovercraft.conf"
host 0 undo
as_before

fresh 'a file of that name'
echo 'GRUB_CMDLINE_LINUX="old"' >"$work/tree/etc/default/grub.d/60-hovercraft.cfg"
"$work/tree/bin/update-grub"; remember
host 0 apply --cores 2 --edit-boot
grep -q nohz_full=2 "$work/tree/boot/grub.cfg" || fail 'grub.cfg'
host 0 undo
as_before

fresh 'after a reboot'; remember
# shellcheck disable=SC2086
host 0 apply $all
# The kernel is new, the disk is not; interrupt 25 is another one now.
rm -r "$work/tree"/{proc,sys}
cp -a "$work/pattern"/{proc,sys} "$work/tree"
rmdir "$work/tree"/dev/*
: >"$work/tree/etc/irqbalance-runs"
echo 33333333-4444 >"$work/tree/proc/sys/kernel/random/boot_id"
echo 2 >"$work/tree/proc/irq/25/smp_affinity_list"
echo 'quiet isolcpus=managed_irq,domain,2-3 nohz_full=2-3 rcu_nocbs=2-3 irqaffinity=0-1 hugepagesz=1G hugepages=4' \
    >"$work/tree/proc/cmdline"
# shellcheck disable=SC2086
host 0 apply $all
said 'already so: booted with isolcpus'
host 0 undo
is proc/irq/25/smp_affinity_list 2
echo 3 >"$work/tree/proc/irq/25/smp_affinity_list"
cp "$work/pattern/proc/cmdline" "$work/tree/proc/"
echo 11111111-2222 >"$work/tree/proc/sys/kernel/random/boot_id"
as_before

fresh 'many cores'
echo 0-39 >"$work/tree/sys/devices/system/cpu/online"
echo 'ff,ffffffff' >"$work/tree/proc/irq/default_smp_affinity"; remember
host 0 apply --cores 30-33,36 --hugepages-2m 0
is proc/irq/default_smp_affinity ec,3fffffff
host 0 undo
as_before

fresh 'wrong command lines'; remember
for line in '--cores 2-' '--device eth1' '--hugepages-2m many' '--user a;b' 'aply' '--cores'; do
    # shellcheck disable=SC2086
    host 2 $line
done
for line in '--cores 0' '--cores 7' '--device 09:00.0' '--cores 3-2'; do
    # shellcheck disable=SC2086
    "$here/../host.sh" --root "$work/tree" apply $line >"$work/said" 2>&1 && fail "$line was taken"
done
as_before

fresh 'one at a time'; remember
mkdir "$work/tree/var/lib/hovercraft-host"
exec {lock}<"$work/tree/var/lib/hovercraft-host"
flock "$lock"
host 1 apply --cores 2
said 'another one is at work'
exec {lock}<&-
host 0 undo
as_before

printf 'host.sh: %s trees as before, %s writes killed in, in %s s\n' "$passed" "$writes" "$SECONDS"
