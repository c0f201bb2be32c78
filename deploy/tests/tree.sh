# shellcheck shell=bash
# Sourced by host.sh beside it: a machine with two network cards, as a tree of files, and what stands for its kernel.

# tree DIR: four cores, two NUMA nodes; 0000:03:00.0 (eth1, idle, driver ixgbe) and 0000:01:00.0 (eth0, default route and SSH).
tree() {
    local root=$1 cpu node path
    mkdir -p "$root"/{dev,bin,etc/default/grub.d,etc/security/limits.d,boot,var/lib,proc/{irq,net,77/fd,sys/kernel/random}}
    mkdir -p "$root"/sys/{bus/pci/{devices,drivers/ixgbe},module,class/net,kernel/iommu_groups}
    echo 11111111-2222 >"$root/proc/sys/kernel/random/boot_id"
    echo 'quiet root=/dev/sda1' >"$root/proc/cmdline"
    echo '/dev/sda1 / ext4 rw 0 0' >"$root/proc/mounts"
    echo sshd >"$root/proc/77/comm"
    mkdir -p "$root/sys/devices/system/cpu"
    echo 0-3 >"$root/sys/devices/system/cpu/online"
    for cpu in 0 1 2 3; do
        path=$root/sys/devices/system/cpu/cpu$cpu
        mkdir -p "$path/cpufreq" "$path/topology" "$path/node$((cpu / 2))"
        echo powersave >"$path/cpufreq/scaling_governor"
        echo 'performance powersave' >"$path/cpufreq/scaling_available_governors"
        echo "$cpu" >"$path/topology/thread_siblings_list"
    done
    for node in 0 1; do
        path=$root/sys/devices/system/node/node$node/hugepages
        mkdir -p "$path/hugepages-2048kB" "$path/hugepages-1048576kB"
        echo 3 >"$path/hugepages-2048kB/nr_hugepages"
        echo 0 >"$path/hugepages-1048576kB/nr_hugepages"
    done
    echo f >"$root/proc/irq/default_smp_affinity"
    interrupt "$root" 24 0-3
    interrupt "$root" 25 3
    interrupt "$root" 26 0-1
    for path in bind unbind; do : >"$root/sys/bus/pci/drivers/ixgbe/$path"; done
    : >"$root/sys/bus/pci/drivers_probe"
    card "$root" 0000:01:00.0 ixgbe eth0 11
    card "$root" 0000:03:00.0 ixgbe eth1 12
    printf '%s\n' 'Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT' \
        'eth0	00000000	0101A8C0	0003	0	0	0	00000000	0	0	0' \
        'eth0	0001A8C0	00000000	0001	0	0	0	00FFFFFF	0	0	0' >"$root/proc/net/route"
    # Every interface has these; they mean nothing.
    printf 'fe800000000000000000000000000000 40 %032d 00 %032d 00000100 00000001 00000000 00000001 eth1\n' 0 0 \
        >"$root/proc/net/ipv6_route"
    printf 'ff000000000000000000000000000000 08 %032d 00 %032d 00000100 00000001 00000000 00000001 eth1\n' 0 0 \
        >>"$root/proc/net/ipv6_route"
    # 192.168.1.2:22 with 192.168.1.9.
    printf '%s\n' '  sl  local_address rem_address   st' '   0: 0201A8C0:0016 0901A8C0:C350 01 00' >"$root/proc/net/tcp"
    : >"$root/proc/net/tcp6"
    services "$root"
    kernel "$root"
    echo 'linux quiet' >"$root/boot/grub.cfg"
}

interrupt() {
    mkdir -p "$1/proc/irq/$2"
    echo "$3" >"$1/proc/irq/$2/smp_affinity_list"
}

# card ROOT DEVICE DRIVER INTERFACE GROUP
card() {
    local folder=$1/sys/bus/pci/devices/$2
    mkdir -p "$folder/net/$4" "$1/sys/class/net/$4" "$1/sys/kernel/iommu_groups/$5/devices"
    echo 0x020000 >"$folder/class"
    echo 0x8086 >"$folder/vendor"
    echo 1 >"$folder/numa_node"
    echo '(null)' >"$folder/driver_override"
    ln -s "../../drivers/$3" "$folder/driver"
    ln -s "../../../../kernel/iommu_groups/$5" "$folder/iommu_group"
    ln -s "../../../../bus/pci/devices/$2" "$1/sys/kernel/iommu_groups/$5/devices/$2"
}

# The programs of the tree.
services() {
    cat >"$1/bin/mount" <<'END'
#!/bin/sh
echo "$5 $6 $2 rw,$4 0 0" >>"${0%/bin/mount}/proc/mounts"
END
    cat >"$1/bin/umount" <<'END'
#!/bin/sh
root=${0%/bin/umount}
grep -v "^hovercraft $1 " "$root/proc/mounts" >"$root/bin/left"
cat "$root/bin/left" >"$root/proc/mounts"
rm "$root/bin/left"
END
    cat >"$1/bin/modprobe" <<'END'
#!/bin/sh
root=${0%/bin/modprobe}
if [ "$1" = -r ]; then
    readlink "$root"/sys/bus/pci/devices/*/driver | grep -q '/vfio-pci$' && exit 1
    rm -r "$root/sys/bus/pci/drivers/vfio-pci" "$root/sys/module/vfio"
else
    mkdir -p "$root/sys/bus/pci/drivers/$1" "$root/sys/module/vfio/parameters"
    for file in bind unbind; do : >"$root/sys/bus/pci/drivers/$1/$file"; done
    echo N >"$root/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
fi
END
    cat >"$1/bin/systemctl" <<'END'
#!/bin/sh
file=${0%/bin/systemctl}/etc/irqbalance-runs
case $1 in
is-active) [ -e "$file" ] ;;
start) : >"$file" ;;
stop) rm "$file" ;;
esac
END
    cat >"$1/bin/update-grub" <<'END'
#!/bin/sh
root=${0%/bin/update-grub}
cat "$root"/etc/default/grub.d/*.cfg 2>/dev/null | sed -e 's/.*GRUB_CMDLINE_LINUX /linux quiet /' -e 's/"$//' >"$root/boot/grub.cfg"
[ -s "$root/boot/grub.cfg" ] || echo 'linux quiet' >"$root/boot/grub.cfg"
END
    : >"$1/etc/irqbalance-runs"
    chmod +x "$1"/bin/*
}

# What the kernel does with a value that is written to one of its files. It can be told to be in the way:
#   busy PATH       files of that name refuse; fewer N: gives no more huge pages than N
#   die N           the script that writes is killed (by -9) right before the Nth write; die-after N: right after it
kernel() {
    cat >"$1/kernel" <<'END'
#!/bin/sh
root=${0%/kernel} path=$1 value=$2
told() { sed -n "s|^$1 ||p" "$root/orders"; }
busy=' ' most='' die='' die_after='' count=0
if [ -e "$root/orders" ]; then
    busy=" $(told busy | tr '\n' ' ') " most=$(told fewer) die=$(told die) die_after=$(told die-after)
    [ ! -e "$root/count" ] || read -r count <"$root/count"
    count=$((count + 1))
    echo "$count" >"$root/count"
fi
[ "$die" != "$count" ] || kill -9 "$PPID"
case $busy in *" $path "*) exit 1 ;; esac
devices=$root/sys/bus/pci/devices drivers=$root/sys/bus/pci/drivers
case $path in
*/driver/unbind)
    rm "$devices/$value/driver"
    rmdir "$devices/$value"/net/* 2>/dev/null
    rmdir "$devices/$value/net" 2>/dev/null
    ;;
*/drivers_probe)
    name=$(cat "$devices/$value/driver_override")
    [ "$name" != '(null)' ] && [ -d "$drivers/$name" ] || exit 1
    ln -s "../../drivers/$name" "$devices/$value/driver"
    ;;
*/bind)
    name=$(basename "$(dirname "$path")")
    override=$(cat "$devices/$value/driver_override")
    [ "$override" = '(null)' ] || [ "$override" = "$name" ] || exit 1
    ln -s "../../drivers/$name" "$devices/$value/driver"
    case $name-$value in
    ixgbe-0000:01:*) mkdir -p "$devices/$value/net/eth0" ;;
    ixgbe-*) mkdir -p "$devices/$value/net/eth$((${value##*.} + 1))" ;;
    esac
    ;;
*/driver_override) echo "${value:-(null)}" >"$root$path" ;;
*/nr_hugepages)
    [ -z "$most" ] || [ "$value" -le "$most" ] || value=$most
    echo "$value" >"$root$path"
    ;;
*) echo "$value" >"$root$path" ;;
esac
[ "$die_after" != "$count" ] || kill -9 "$PPID"
exit 0
END
    chmod +x "$1/kernel"
}

# fingerprint DIR: every name, kind, right, link and byte.
fingerprint() {
    (
        cd "$1" || exit
        find . \( -path ./orders -o -path ./count \) -prune -o -printf '%p %y %m %l\n' | sort
        find . \( -path ./orders -o -path ./count \) -prune -o -type f -print0 | sort -z | xargs -0 sha256sum
    )
}
