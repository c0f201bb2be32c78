#!/usr/bin/env bash
# Formats (as a check), lints, documents and tests the whole workspace. Writes nothing but the target folder.
#
#   deploy/test.sh
#
# Installs what it needs from Debian when root; needs a Rust toolchain and nothing else.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
# shellcheck source=deploy/packages.sh
. "$here/packages.sh"
cd "$here/.."

# step NAME COMMAND...: runs a command, with its name before and its time after.
step() {
    local name=$1 start=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    "$@" || missing "FAILED: $name"
    printf -- '-- %s: %d s\n' "$name" "$((SECONDS - start))"
}

# Everything is linted, tested and run with every back end.
features=(--features 'hovercraft-bench/dpdk,hovercraft-lab/dpdk,hovercraft-node/dpdk,lancet-rs/dpdk')

documentation() {
    RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace "${features[@]}" --no-deps
}

tests() {
    if command -v cargo-nextest >/dev/null; then
        cargo nextest run --locked --workspace "${features[@]}" --no-fail-fast
    else
        printf 'cargo-nextest is not installed: running the same tests with cargo test\n'
        cargo test --locked --workspace "${features[@]}" --lib --bins --tests --examples --no-fail-fast
    fi
}

# What an operation costs in instructions must not grow unnoticed; --json of the same run gives a new reference.
instructions() {
    target/release/hovercraft-bench --nodes 3 --request 24 --reply 8 --ops 2000 --rounds 1 \
        --against hovercraft/bench/reference.json
}

# The model without a bug is among the tests; here are four bugs that it must find (status 1).
model() {
    local scope bug status
    for bug in R3:figure8 R4:change R8:change H8:reuse; do
        scope=${bug#*:} status=0
        cargo xtask model --scope "$scope" --plant "${bug%:*}" >target/model-planted.txt || status=$?
        [ "$status" -eq 1 ] || missing "the model ended with $status, bug ${bug%:*} planted: see target/model-planted.txt"
    done
}

dependencies() {
    # Advisories need a database from the network, the rest does not.
    PATH="$PWD/target/tools/bin:$PATH" cargo deny --locked check bans licenses sources
}

# The checker of licences and sources: built once, beside the rest.
need_cargo_deny() {
    if ! command -v cargo-deny >/dev/null && [ ! -x target/tools/bin/cargo-deny ]; then
        cargo install --quiet --locked --debug --root target/tools cargo-deny@0.20.2
    fi
}

need_all
need_dpdk
# Tests hold bounds on instruction counts, and fail without it.
command -v valgrind >/dev/null || install valgrind
command -v jq >/dev/null || install jq
if ! command -v shellcheck >/dev/null && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    install shellcheck
fi

step 'format' cargo fmt --all -- --check
step 'tidy' deploy/tidy.sh
step 'host preparation' deploy/tests/host.sh
step 'benchmark script' deploy/tests/benchmark.sh
step 'soak, its verdict' deploy/tests/soak.sh
step 'lint' cargo clippy --locked --workspace "${features[@]}" --all-targets -- -D warnings
step 'lint without DPDK' cargo clippy --locked -p dataplane -p hovercraft-bench -p hovercraft-lab -p hovercraft-node -p lancet-rs --all-targets -- -D warnings
step 'documentation' documentation
step 'programs' cargo build --locked --release "${features[@]}" -p hovercraft-node -p lancet-rs -p hovercraft-lab -p kvctl \
    -p hovercraft-bench
step 'benchmark, small' deploy/benchmark.sh --quick --built --steps operations,end-to-end \
    --output target/benchmark-quick.tar.gz
step 'tests' tests
step 'simulator' cargo xtask sim --seeds 2000
step 'planted bugs' cargo xtask plant --seeds 3000
step 'model, bugs planted' model
step 'instructions' instructions
step 'documentation tests' cargo test --locked --workspace "${features[@]}" --doc
step 'cargo-deny' need_cargo_deny
step 'dependencies' dependencies
printf '\nall passed in %d s\n' "$SECONDS"
