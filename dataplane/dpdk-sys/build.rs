//! Finds DPDK by pkg-config, compiles the shim, generates the bindings, and links with the shared libraries.
//!
//! pkg-config is asked directly: the crate of that name drops `-include rte_config.h` and `-march`, without which the
//! headers describe another DPDK than the one that is installed.

/// Without the feature `bindings` there is nothing to build.
#[cfg(not(feature = "bindings"))]
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
}

#[cfg(feature = "bindings")]
fn main() {
    if let Err(why) = with_bindings::build() {
        // What cargo shows of a build script that fails is its standard error.
        eprintln!("\nerror: {why}\n");
        std::process::exit(1);
    }
}

#[cfg(feature = "bindings")]
mod with_bindings {
    use std::path::PathBuf;
    use std::process::Command;

    /// What to do where something is missing.
    const REMEDY: &str = "the DPDK back end needs DPDK 22.11 or later with its headers, and libclang:\n\n    \
        apt-get install dpdk libdpdk-dev libclang-dev clang\n\n\
        or build without the feature `dpdk`: the kernel's UDP needs nothing";

    /// Oldest release that this is built against.
    const OLDEST: &str = "22.11";

    const FUNCTIONS: &[&str] = &[
        "rte_dev_probe",
        "rte_dev_remove",
        "rte_eal_cleanup",
        "rte_eal_hotplug_add",
        "rte_eal_hotplug_remove",
        "rte_eal_init",
        "rte_eth_allmulticast_enable",
        "rte_eth_allmulticast_get",
        "rte_eth_dev_adjust_nb_rx_tx_desc",
        "rte_eth_dev_callback_register",
        "rte_eth_dev_callback_unregister",
        "rte_eth_dev_close",
        "rte_eth_dev_default_mac_addr_set",
        "rte_eth_dev_get_name_by_port",
        "rte_eth_dev_get_port_by_name",
        "rte_eth_dev_is_valid_port",
        "rte_eth_dev_set_mtu",
        "rte_eth_dev_start",
        "rte_eth_dev_stop",
        "rte_eth_find_next",
        "rte_eth_from_rings",
        "rte_eth_promiscuous_enable",
        "rte_get_main_lcore",
        "rte_get_next_lcore",
        "rte_lcore_to_socket_id",
        "rte_mempool_avail_count",
        "rte_mempool_free",
        "rte_pktmbuf_copy",
        "rte_pktmbuf_pool_create",
        "rte_ring_create",
        "rte_ring_free",
        "rte_socket_count",
        "rte_strerror",
        "rte_thread_register",
        "rte_thread_unregister",
        "rte_vdev_uninit",
        "rte_version",
        "shim_.*",
    ];

    /// Loaded by the program; whatever else a driver needs, the driver itself loads.
    const LIBRARIES: &[&str] = &[
        "rte_ethdev",
        "rte_mbuf",
        "rte_mempool",
        "rte_ring",
        "rte_eal",
        "rte_bus_vdev",
        "rte_net_ring",
    ];

    pub(crate) fn build() -> Result<(), String> {
        for file in ["build.rs", "shim.c", "shim.h", "wrapper.h"] {
            println!("cargo:rerun-if-changed={file}");
        }
        println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
        pkg_config(&[&format!("--atleast-version={OLDEST}")])?;
        let flags = pkg_config(&["--cflags"])?;
        let flags: Vec<&str> = flags.split_whitespace().collect();
        compile_shim(&flags)?;
        generate(&flags)?;
        for word in pkg_config(&["--libs-only-L"])?.split_whitespace() {
            println!("cargo:rustc-link-search=native={}", word.trim_start_matches("-L"));
        }
        println!("cargo:rustc-link-arg=-Wl,--as-needed");
        for library in LIBRARIES {
            println!("cargo:rustc-link-lib=dylib={library}");
        }
        Ok(())
    }

    fn pkg_config(arguments: &[&str]) -> Result<String, String> {
        let output = Command::new("pkg-config").args(arguments).arg("libdpdk").output();
        let output = output.map_err(|why| format!("pkg-config cannot be run: {why};\n{REMEDY}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!(
                "no libdpdk {OLDEST} or later by pkg-config: {}\n{REMEDY}",
                said.trim()
            ));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn compile_shim(flags: &[&str]) -> Result<(), String> {
        let mut compiler = cc::Build::new();
        compiler.file("shim.c").opt_level(2).warnings(true).warnings_into_errors(false);
        for flag in flags {
            compiler.flag(flag);
        }
        compiler.try_compile("dpdk_sys_shim").map_err(|why| format!("shim.c: {why};\n{REMEDY}"))
    }

    fn generate(flags: &[&str]) -> Result<(), String> {
        let mut builder = bindgen::Builder::default()
            .header("wrapper.h")
            .clang_args(flags)
            .allowlist_var("SHIM_.*|rte_eth_fp_ops")
            .allowlist_type("shim_.*|rte_eth_event_type|rte_eth_fp_ops")
            // Touched by DPDK and by the offsets in wrapper.h only.
            .opaque_type("rte_mbuf|rte_mempool|rte_ring|_IO_FILE")
            .derive_default(true)
            .prepend_enum_name(false)
            .layout_tests(true)
            .generate_comments(false)
            .use_core();
        for function in FUNCTIONS {
            builder = builder.allowlist_function(function);
        }
        let bindings = builder.generate().map_err(|why| format!("bindgen: {why};\n{REMEDY}"))?;
        let out =
            PathBuf::from(std::env::var_os("OUT_DIR").ok_or("no OUT_DIR")?).join("bindings.rs");
        // Its own lint attributes give no reasons, which the workspace asks for; ffi.rs allows for all of it.
        let text = bindings.to_string();
        let kept = text.lines().filter(|line| !line.trim_start().starts_with("#[allow("));
        let text: String = kept.flat_map(|line| [line, "\n"]).collect();
        std::fs::write(&out, text).map_err(|why| format!("{}: {why}", out.display()))
    }
}
