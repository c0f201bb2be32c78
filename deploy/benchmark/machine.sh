# shellcheck shell=bash
# Sourced by ../benchmark.sh: what this machine and this build are, as JSON. Only what is asked for by name is taken, so that
# names, addresses and serial numbers of machine and owner are not among it.
#
# Of the caller: a tree with sys, proc and etc.
: "${root=}"

# A file's one line; nothing where there is none.
line_of() {
    local line=''
    if [ -r "$root$1" ]; then IFS= read -r line 2>/dev/null <"$root$1" || true; fi
    printf '%s' "$line"
}

# How often each line comes, as an object.
counted() { jq -Rn '[inputs] | group_by(.) | map({key: .[0], value: length}) | from_entries'; }

# Boot arguments that change how fast things are; others may name machines and disks, and are counted only.
boot_arguments() {
    local words='isolcpus|nohz_full|nohz|rcu_nocbs|irqaffinity|(default_)?hugepages(z|sz)?|transparent_hugepage|mitigations'
    words+='|intel_iommu|amd_iommu|iommu(\.[a-z]+)?|intel_pstate|amd_pstate|intel_idle\.[a-z_]+|processor\.[a-z_]+|idle'
    words+='|cpuidle[._a-z]*|nosmt|maxcpus|nr_cpus|numa_balancing|skew_tick|tsc|clocksource|nosoftlockup|nmi_watchdog|nowatchdog'
    words+='|preempt|threadirqs|pcie_aspm|audit|selinux|apparmor|swiotlb|haltpoll[._a-z]*|kvm[-_a-z]*\.[a-z_]+|spectre_v2|pti|nopti'
    tr ' ' '\n' <"$root/proc/cmdline" | jq -Rn --arg words "^($words)(=|\$)" \
        '[inputs | select(. != "")] | {known: map(select(test($words))), left_out: map(select(test($words) | not)) | length}'
}

numa_nodes() {
    local path
    for path in "$root"/sys/devices/system/node/node[0-9]*; do
        path=${path#"$root"}
        jq -n --arg node "${path##*node}" --arg cpus "$(line_of "$path/cpulist")" \
            --arg memory "$(awk '/MemTotal/ { print $(NF - 1) }' "$root$path/meminfo" 2>/dev/null || true)" \
            '{node: $node, cpus: $cpus, memory_kib: $memory}'
    done | jq -s .
}

huge_pages() {
    local path
    for path in "$root"/sys/kernel/mm/hugepages/hugepages-*; do
        path=${path#"$root"}
        jq -n --arg size "${path##*hugepages-}" --arg pages "$(line_of "$path/nr_hugepages")" \
            --arg free "$(line_of "$path/free_hugepages")" '{size: $size, pages: $pages, free: $free}'
    done | jq -s .
}

# What ethtool says of the interface's driver, without anything else.
driver_of_interface() {
    { ethtool -i "$1" 2>/dev/null || true; } |
        jq -Rn '[inputs | capture("^(?<key>driver|version|firmware-version): *(?<value>.*)$")] | from_entries'
}

interfaces() {
    local path
    for path in "$root/sys/bus/pci/devices/$1"/net/* "$root/sys/bus/pci/devices/$1"/virtio*/net/*; do
        path=${path#"$root"}
        # Its name may have the address in it.
        jq -n --arg mtu "$(line_of "$path/mtu")" --arg speed "$(line_of "$path/speed")" --arg state "$(line_of "$path/operstate")" \
            --argjson ethtool "$(driver_of_interface "${path##*/}")" \
            '{mtu: $mtu, speed_mbit: $speed, state: $state, ethtool: $ethtool}'
    done | jq -s .
}

network_cards() {
    local folder device driver
    for folder in "$root"/sys/bus/pci/devices/*; do
        folder=${folder#"$root"} device=${folder##*/}
        [[ $(line_of "$folder/class") == 0x02* ]] || continue
        driver=$(basename "$(readlink "$root$folder/driver" || true)")
        jq -n --arg pci "$device" --arg vendor "$(line_of "$folder/vendor")" --arg id "$(line_of "$folder/device")" \
            --arg name "$({ lspci -s "$device" 2>/dev/null || true; } | head -1 | cut -d' ' -f2-)" \
            --arg driver "$driver" --arg node "$(line_of "$folder/numa_node")" \
            --arg speed "$(line_of "$folder/current_link_speed")" --arg width "$(line_of "$folder/current_link_width")" \
            --argjson interfaces "$(interfaces "$device")" \
            '{pci: $pci, vendor: $vendor, device: $id, name: $name, driver: $driver, numa_node: $node,
              pcie_speed: $speed, pcie_width: $width, interfaces: $interfaces}'
    done | jq -s .
}

# The newest of pkg-config's and Debian's knowledge; empty without DPDK.
dpdk_version() {
    pkg-config --modversion libdpdk 2>/dev/null || { dpkg-query -W -f '${Version}' dpdk 2>/dev/null || true; }
}

governors() {
    local path
    for path in "$root"/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor; do
        line_of "${path#"$root"}"
        printf '\n'
    done | counted
}

# The machine, as one object.
machine() {
    jq -n \
        --arg kernel "$(uname -srmv)" \
        --arg os "$(sed -nE 's/^PRETTY_NAME="?([^"]*)"?$/\1/p' "$root/etc/os-release" 2>/dev/null || true)" \
        --arg cpu "$(awk -F': ' '/^model name/ { print $2; exit }' "$root/proc/cpuinfo" 2>/dev/null || true)" \
        --arg system "$(line_of /sys/class/dmi/id/sys_vendor) $(line_of /sys/class/dmi/id/product_name)" \
        --arg bios "$(line_of /sys/class/dmi/id/bios_version)" \
        --arg online "$(line_of /sys/devices/system/cpu/online)" \
        --arg isolated "$(line_of /sys/devices/system/cpu/isolated)" \
        --arg smt "$(line_of /sys/devices/system/cpu/smt/active)" \
        --arg no_turbo "$(line_of /sys/devices/system/cpu/intel_pstate/no_turbo)" \
        --arg boost "$(line_of /sys/devices/system/cpu/cpufreq/boost)" \
        --arg memory "$(awk '/^MemTotal/ { print $2 }' "$root/proc/meminfo" 2>/dev/null || true)" \
        --arg load "$(line_of /proc/loadavg | cut -d' ' -f1-3)" \
        --argjson governors "$(governors)" --argjson numa "$(numa_nodes)" --argjson huge "$(huge_pages)" \
        --argjson boot "$(boot_arguments)" --argjson cards "$(network_cards)" \
        '{kernel: $kernel, os: $os, system: $system, bios: $bios, cpu: $cpu, cores_online: $online, cores_isolated: $isolated,
          smt_active: $smt, intel_no_turbo: $no_turbo, boost: $boost, memory_kib: $memory, load_before: $load,
          governors: $governors, numa_nodes: $numa, huge_pages: $huge, boot_arguments: $boot, network_cards: $cards}'
}

# What was built, and with what.
build() {
    local commit='' changed=''
    if commit=$(git rev-parse HEAD 2>/dev/null); then
        [ -z "$(git status --porcelain 2>/dev/null)" ] || changed=' with changes'
    fi
    jq -n --arg commit "${commit:-not in git}$changed" --arg rustc "$(rustc -Vv)" --arg cargo "$(cargo -V)" \
        --arg dpdk "$(dpdk_version)" --arg valgrind "$(valgrind --version 2>/dev/null || true)" \
        --arg flags "${RUSTFLAGS:-}" \
        --arg profile "$(awk '/^\[/ { on = /^\[profile\.release/ } on && NF && !/^#/' Cargo.toml)" \
        '{commit: $commit, rustc: $rustc, cargo: $cargo, rustflags: $flags, dpdk: $dpdk, valgrind: $valgrind, profile: $profile}'
}
