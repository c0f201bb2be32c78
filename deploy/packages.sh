# shellcheck shell=bash
# Sourced by the scripts beside it: finds what the machine lacks, installs Debian packages when root, else names them.

# Prints that something is missing, and ends the script.
missing() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# Whether a C program can be compiled and linked (some crates and every Rust program are linked by cc).
compiles() {
    local out
    out=$(mktemp) || return 1
    echo 'int main(void) { return 0; }' | cc -x c - -o "$out" 2>/dev/null
    local status=$?
    rm -f "$out"
    return "$status"
}

# install PACKAGE...: installs Debian packages when we may, else says which are missing.
install() {
    if [ "$(id -u)" -ne 0 ]; then
        missing "missing Debian packages: $*; as root: apt-get install $*"
    fi
    command -v apt-get >/dev/null || missing "missing: $* (no apt-get here to install them with)"
    printf 'installing Debian packages: %s\n' "$*" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2 || missing "apt-get update failed; missing Debian packages: $*"
    apt-get install -y -qq --no-install-recommends "$@" >&2 || missing "cannot install: $*"
}

# The Rust toolchain: named, not installed, for it belongs to the user.
need_rust() {
    if ! command -v cargo >/dev/null && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
        PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
        export PATH
    fi
    command -v cargo >/dev/null ||
        missing "cargo is missing: install Rust (version in rust-toolchain.toml) from https://rustup.rs"
}

# Everything that building and running on this machine needs.
need_all() {
    local packages=()
    need_rust
    compiles || packages+=(gcc libc6-dev)
    # Without root the nodes share the host's loopback interface, and nobody sets up a network.
    if [ "$(id -u)" -eq 0 ]; then
        command -v ip >/dev/null || packages+=(iproute2)
        command -v ethtool >/dev/null || packages+=(ethtool)
    fi
    if [ "${#packages[@]}" -gt 0 ]; then
        install "${packages[@]}"
    fi
}

# What the DPDK back end (feature `dpdk`) builds against: DPDK with its headers, and what generates bindings from them.
need_dpdk() {
    local packages=()
    command -v pkg-config >/dev/null || packages+=(pkg-config)
    # Tests of DPDK beside the kernel turn its checksum offload off.
    command -v ethtool >/dev/null || packages+=(ethtool)
    pkg-config --atleast-version=22.11 libdpdk 2>/dev/null || packages+=(dpdk libdpdk-dev)
    command -v clang >/dev/null || packages+=(clang)
    compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null || packages+=(libclang-dev)
    if [ "${#packages[@]}" -gt 0 ]; then
        install "${packages[@]}"
    fi
}
