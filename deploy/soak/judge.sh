# shellcheck shell=bash
# Sourced by ../soak.sh and its test: from samples to a verdict.
# shellcheck disable=SC2154 # Variables of soak.sh.

# judge FOLDER: what the samples, faults and failures in its files come to, as JSON.
judge() {
    jq -n -R -f "$here/soak/judge.jq" --arg wire "$wire" --argjson minutes "$minutes" --argjson nodes "$nodes" \
        --argjson rate "$rate" --argjson seed "$seed" --argjson every "$every" --rawfile failures "$1/failures" \
        --rawfile faults "$1/faults" "$1/samples"
}

# show FILE: the same for people.
show() { jq -r -f "$here/soak/table.jq" "$1"; }
