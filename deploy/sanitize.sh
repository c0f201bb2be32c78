#!/usr/bin/env bash
# The hand-over, the waker, the tables and whole nodes of one and of two threads (kernel UDP) under a sanitizer.
#
#   deploy/sanitize.sh [thread|address] [--keep]
#
# Builds into target/sanitize, which is removed in the end unless --keep. The standard library is not instrumented: a fault inside it
# is missed, and what it hides is named in sanitize-thread.supp. Not part of test.sh: it builds everything anew.
set -euo pipefail

cd "$(dirname "$(readlink -f "$0")")/.."
sanitizer=${1:-thread}
keep=${2:-}
case $sanitizer in
thread) flags='-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer' ;;
address) flags='-Zsanitizer=address' ;;
*)
    printf 'usage: %s [thread|address] [--keep]\n' "$0" >&2
    exit 2
    ;;
esac
target=$(rustc -vV | sed -n 's/^host: //p')
folder=target/sanitize/$sanitizer
[ "$keep" = --keep ] || trap 'rm -rf target/sanitize' EXIT

# A stable toolchain lets nobody ask for a sanitizer without it.
export RUSTC_BOOTSTRAP=1 RUSTFLAGS=$flags
export TSAN_OPTIONS="suppressions=$PWD/deploy/sanitize-thread.supp"
run() { cargo test --locked --target "$target" --target-dir "$folder" "$@"; }

run -p dataplane --lib -- waker net::table
run -p hovercraft --lib -- trace spans
run -p hovercraft-node --lib -- link board node::tests::threads --test-threads 1
run -p hovercraft-node --test cluster -- serves_in_both_thread_forms --test-threads 1
printf '%s sanitizer: nothing found\n' "$sanitizer"
