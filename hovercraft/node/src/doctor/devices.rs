//! DPDK's libraries, VFIO and IOMMU, network devices with driver and NUMA node.

use super::memory::nodes_of_cores;
use super::{Machine, Verdict};

const PCI: &str = "sys/bus/pci/devices";
const GROUPS: &str = "sys/kernel/iommu_groups";
const NO_IOMMU: &str = "sys/module/vfio/parameters/enable_unsafe_noiommu_mode";

/// Where packagers put DPDK, but for the folder of the machine's kind below each.
const LIBRARIES: [&str; 4] = ["usr/lib", "usr/local/lib", "usr/lib64", "usr/local/lib64"];

/// Kernel drivers that leave a device to DPDK, and those beside which DPDK works.
const GIVES_UP: [&str; 3] = ["vfio-pci", "igb_uio", "uio_pci_generic"];
const SHARES: [&str; 4] = ["mlx5_core", "mlx4_core", "mana", "hv_netvsc"];

/// A network device on PCI.
struct Device {
    address: String,
    driver: Option<String>,
    numa: Option<usize>,
    in_group: bool,
}

impl Device {
    /// Whether DPDK can have it as it is.
    fn is_ours(&self) -> bool {
        let driver = self.driver.as_deref().unwrap_or_default();
        GIVES_UP.contains(&driver) || SHARES.contains(&driver)
    }

    fn describe(&self) -> String {
        let driver = self.driver.as_deref().unwrap_or("no driver");
        let numa = self.numa.map_or_else(String::new, |node| format!(" on NUMA node {node}"));
        format!("{} {driver}{numa}", self.address)
    }
}

/// Those of class 02.
fn devices(machine: &Machine) -> Vec<Device> {
    let root = &machine.root;
    let device = |address: String| {
        let place = format!("{PCI}/{address}");
        let class = root.text(&format!("{place}/class"))?;
        class.starts_with("0x02").then(|| Device {
            driver: root.link(&format!("{place}/driver")),
            numa: root.text(&format!("{place}/numa_node")).and_then(|node| node.parse().ok()),
            in_group: root.has(&format!("{place}/iommu_group")),
            address,
        })
    };
    root.names(PCI).into_iter().filter_map(device).collect()
}

/// Whether the kernel has left a device to DPDK.
pub(super) fn any_bound(machine: &Machine) -> bool {
    let given_up =
        |device: &Device| device.driver.as_deref().is_some_and(|driver| GIVES_UP.contains(&driver));
    devices(machine).iter().any(given_up)
}

/// Whether DPDK is installed, and its drivers.
pub(super) fn libraries(machine: &Machine) -> Verdict {
    let root = &machine.root;
    let mut places: Vec<String> = Vec::new();
    for library in LIBRARIES {
        places.push(library.to_owned());
        let kinds = root.names(library).into_iter().filter(|name| name.contains("linux"));
        places.extend(kinds.map(|kind| format!("{library}/{kind}")));
    }
    let drivers = places.iter().find_map(|place| {
        let names = root.names(&format!("{place}/dpdk")).into_iter();
        let folder = names.rev().find(|name| name.starts_with("pmds-"))?;
        let folder = format!("{place}/dpdk/{folder}");
        let count = root.names(&folder).iter().filter(|name| name.contains("librte_net_")).count();
        (count > 0).then_some((folder, count))
    });
    let version = places
        .iter()
        .find_map(|place| root.field(&format!("{place}/pkgconfig/libdpdk.pc"), "Version"));
    match (drivers, version) {
        (Some((folder, _)), version) => {
            let version =
                version.unwrap_or_else(|| "of an unknown release (no libdpdk.pc)".to_owned());
            Verdict::ok(format!("{version}, network drivers in /{folder}"))
        }
        (None, Some(version)) => Verdict::fail(
            format!("{version} without network drivers"),
            "apt-get install dpdk libdpdk-dev",
        ),
        (None, None) => Verdict::fail("not installed", "apt-get install dpdk libdpdk-dev"),
    }
}

/// Whether devices can be given to a process safely.
pub(super) fn vfio(machine: &Machine) -> Verdict {
    let root = &machine.root;
    let devices = devices(machine);
    if devices.is_empty() {
        return Verdict::not_applicable("no network device on PCI: virtual ones need no VFIO");
    }
    let groups = root.names(GROUPS).len();
    let module = root.has("sys/module/vfio_pci") || root.has("sys/bus/pci/drivers/vfio-pci");
    let no_iommu = root.text(NO_IOMMU).is_some_and(|text| text == "Y" || text == "1");
    let bound = devices.iter().filter(|device| device.driver.as_deref() == Some("vfio-pci"));
    let stranded = bound.clone().find(|device| !device.in_group && !no_iommu);
    if let Some(device) = stranded {
        return Verdict::fail(
            format!("{} is bound to vfio-pci and in no IOMMU group", device.address),
            "intel_iommu=on iommu=pt (AMD: iommu=pt) on the kernel's command line and IOMMU in the firmware, then reboot",
        );
    }
    match (groups, no_iommu, module) {
        (0, false, _) => Verdict::warn(
            "no IOMMU groups",
            "intel_iommu=on iommu=pt (AMD: iommu=pt) on the kernel's command line, then reboot; in a virtual machine: echo 1 > \
             /sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
        ),
        (_, _, false) => Verdict::warn(
            format!("{groups} IOMMU groups, vfio-pci not loaded"),
            "modprobe vfio-pci",
        ),
        (0, true, true) => {
            Verdict::ok("vfio-pci without an IOMMU: a device can write to any memory")
        }
        (groups, ..) => Verdict::ok(format!("vfio-pci, {groups} IOMMU groups")),
    }
}

/// Whether DPDK has a device, and which it could have.
pub(super) fn bound(machine: &Machine) -> Verdict {
    let devices = devices(machine);
    let all: Vec<String> = devices.iter().map(Device::describe).collect();
    let found = all.join("; ");
    match devices.first() {
        None => Verdict::warn(
            "no network device on PCI",
            "use a virtual one beside the kernel's: --vdev net_af_packet0,iface=eth0",
        ),
        Some(_) if devices.iter().any(Device::is_ours) => Verdict::ok(found),
        Some(Device { address, .. }) => Verdict::warn(
            format!("none is DPDK's: {found}"),
            format!(
                "dpdk-devbind.py --bind=vfio-pci {address}   (the kernel loses it), or --vdev net_af_packet0,iface=eth0"
            ),
        ),
    }
}

/// Whether cores and devices are on one NUMA node.
pub(super) fn numa(machine: &Machine) -> Verdict {
    let homes = nodes_of_cores(machine);
    let devices = devices(machine);
    let ours = devices.iter().filter(|device| device.is_ours());
    let known: Vec<(&Device, usize)> = ours.filter_map(|one| Some((one, one.numa?))).collect();
    if machine.subject.cores.is_empty() || homes.is_empty() {
        return Verdict::not_applicable(
            "which cores the node has is not known: give --config or --cores",
        );
    }
    let Some(&(device, node)) = known.iter().find(|(_, node)| !homes.contains(node)) else {
        if known.is_empty() {
            return Verdict::not_applicable("no device of DPDK's says which NUMA node it is on");
        }
        return Verdict::ok(format!("cores and devices on NUMA node {}", known[0].1));
    };
    Verdict::warn(
        format!("{} is on NUMA node {node}, the node's cores are not", device.address),
        format!("choose cores of /sys/devices/system/node/node{node}/cpulist"),
    )
}
