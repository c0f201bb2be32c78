#!/usr/bin/env bash
# Tests of what deploy/soak.sh makes of its samples, on made-up ones: what has filled up passes, what grows does not. And of its
# command line.
set -euo pipefail
here=$(dirname "$(dirname "$(readlink -f "$0")")")
# shellcheck source=deploy/soak/judge.sh
. "$here/soak/judge.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

# shellcheck disable=SC2034 # Variables of soak.sh, for judge.sh.
minutes=10 wire=af_packet nodes=3 rate=1000 seed=1 every=10

# samples EXPRESSION...: of a healthy run, but for these assignments in awk (t: seconds, of them `late` in this half's later part;
# node; half: 1, 2, at rest before and after 0 and 3).
samples() {
    awk -v "draw=$RANDOM" "
        function noise(most) { return int(rand() * most) }
        function line(era) {
            memory = 80e6 + (half == 1 ? 0 : 5e6) + (late < 0 ? (100 + late) * 2e4 : 2e6) + noise(3e5); bodies = 4e6 + noise(3e5)
            unordered = half % 3 ? noise(40) : 0; receive = half % 3 ? noise(20) : 0; transmit = half % 3 ? noise(20) : 0; applied = t * 990
            $*
            printf \"%s %d %d %d %d %d %d %d %d %d %d\\n\", era, t, node, memory, bodies, unordered, applied, receive, 1728 - receive, \\
                transmit, 3264 - transmit
        }
        BEGIN {
            srand(draw)
            for (node = 1; node <= 3; node++) {
                half = t = 0; late = -100; line(\"rest-before\")
                half = 1; for (t = 0; t < 300; t += 10) { late = t - 100; line(\"all-alive\") }
                if (node == 2) continue
                half = 2; for (t = 300; t < 600; t += 10) { late = t - 400; line(\"one-dead\") }
                half = 3; late = 200; line(\"rest-after\")
            }
        }" >"$work/samples"
    : >"$work/failures"
    printf 'loss\nloss\nstop\n' >"$work/faults"
}

passes() {
    judge "$work" >"$work/result" || fail "$1: not judged"
    show "$work/result" >"$work/shown"
    jq -e '.passed and .failures == []' "$work/result" >/dev/null || fail "$1: $(jq -c .failures "$work/result")"
}

# fails WHAT WORDS: it is one thing that fails on each node that has it, and it says so.
fails() {
    judge "$work" >"$work/result" || fail "$1: not judged"
    show "$work/result" >"$work/shown"
    jq -e --arg words "$2" '(.passed | not) and .failures != [] and (.failures | all(contains($words)))' "$work/result" >/dev/null ||
        fail "$1: not '$2' alone: $(jq -c .failures "$work/result")"
    grep -q '^FAILED' "$work/shown" || fail "$1: the table does not say that it failed"
}

RANDOM=1
for _ in 1 2 3 4 5; do
    samples ''
    passes 'a healthy run'
done
[ "$(jq -c .faults "$work/result")" = '{"loss":2,"stop":1}' ] || fail "faults: $(jq -c .faults "$work/result")"
jq -e '[.eras[] | .nodes | length] == [3, 2] and ([.eras[].nodes[].metrics[].judged] | all)' "$work/result" >/dev/null ||
    fail 'a number of a living node was not judged'

samples 'if (late > 0) memory += late * 16e3'
fails 'sixteen bytes per request lost' 'resident_bytes grows'
samples 'if (half == 2 && late > 0) bodies += late * 9e3'
fails 'bodies kept for a dead node without end' 'one-dead: body_bytes grows'
samples 'if (half == 1) unordered += late'
fails 'requests never let go' 'unordered grows'
samples 'if (half % 3) receive += int(t / 3)'
fails 'a receive buffer lost every three seconds' 'receive_buffers grows'
samples 'if (half % 3) transmit += int(t / 3)'
fails 'a transmit buffer lost every three seconds' 'transmit_buffers grows'
samples 'if (half == 3) receive += 20'
fails 'twenty buffers not at home at the end' 'receive_buffers at rest'
samples 'if (half == 3) unordered = 1'
fails 'a request that waits for ever' 'unordered at rest'
samples 'if (half == 2 && node == 3 && late > -90) next_node = 1; if (next_node) { next_node = 0; return }'
fails 'a node that does not answer' 'answered too seldom'
samples 'if (t % 100 == 90 && t > 200 && node == 3) unordered = 1000'
passes 'looks during a fault'
samples 'if (half == 1) applied = t * 10'
fails 'a cluster that serves little' 'requests applied in'
samples ''
echo 'node 2 ended' >"$work/failures"
fails 'whatever failed on the way' 'node 2 ended'
samples 'if (late > 0) memory += late * 16e3'
minutes=1
judge "$work" | jq -e '[.eras[].nodes[].metrics[] | select(.metric | endswith("_bytes")) | .judged] | any | not' >/dev/null ||
    fail 'memory of a run that is too short was judged'
# A node on kernel UDP has no pools.
minutes=10
samples ''
sed -i -E 's/( [0-9]+){4}$/ null null null null/' "$work/samples"
passes 'a run on kernel UDP'
jq -e '[.rest[] | select(.metric != "unordered")] == []' "$work/result" >/dev/null || fail 'pools of a node that has none'

for arguments in '--minutes 0' '--minutes' '--wire wet' '--nodes 4' '--rate x' '--seed y' '--json /no/such/folder/x' '--fast'; do
    status=0
    # shellcheck disable=SC2086 # Words.
    "$here/soak.sh" $arguments >"$work/said" 2>&1 || status=$?
    [ "$status" -eq 2 ] || fail "soak.sh $arguments: status $status"
    grep -q '^soak.sh: .*see --help' "$work/said" || fail "soak.sh $arguments: said $(cat "$work/said")"
done
"$here/soak.sh" --help | grep -q 'Slopes are fitted' || fail 'no help'
echo 'deploy/soak.sh: all tests passed'
