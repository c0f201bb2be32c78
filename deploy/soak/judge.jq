# From samples, a line each (`era seconds node resident body unordered applied receive receive_free transmit transmit_free`), to
# figures and a verdict.
#
# A number grows when the slope of a line through the last two thirds of a half is above `per_hour` and the line rises by more
# than `least` within them. The line is that of least squares for bytes, which once taken are rarely given back; for what waits at
# the moment of a look it has the middle slope of all pairs of looks (Theil and Sen), since one look during a fault sees a thousand.

{
    resident_bytes: {per_hour: 16777216, least: 2097152},
    body_bytes: {per_hour: 8388608, least: 1048576},
    unordered: {per_hour: 600, least: 100},
    receive_buffers: {per_hour: 60, least: 32},
    transmit_buffers: {per_hour: 60, least: 32}
} as $bounds |
# What there may be when nothing is under way, more than before the first request: buffers out of a pool, waiting requests. A
# virtio queue gives sent buffers back when it needs the place: 256.
{unordered: 0, receive_buffers: 16, transmit_buffers: (if $wire == "vhost" then 272 else 16 end)} as $rest_bounds |
# Requests after which log and tables of a lab with --small-tables have been gone round.
90000 as $round |

def number: if . == "null" then null else tonumber end;
def slope:
    length as $n | (map(.[0]) | add / $n) as $t | (map(.[1]) | add / $n) as $v |
    (map((.[0] - $t) * (.[0] - $t)) | add) as $spread |
    if $spread == 0 then 0 else (map((.[0] - $t) * (.[1] - $v)) | add) / $spread end;
def middle_slope:
    . as $all |
    [range(length) as $i | range($i) as $j | select($all[$i][0] != $all[$j][0]) |
        ($all[$i][1] - $all[$j][1]) / ($all[$i][0] - $all[$j][0])] | sort | .[length / 2 | floor];

[inputs | split(" ") | {
    era: .[0], t: (.[1] | number), node: (.[2] | number), applied: (.[6] | number), numbers: {
        resident_bytes: (.[3] | number), body_bytes: (.[4] | number), unordered: (.[5] | number),
        receive_buffers: (.[7] | number), transmit_buffers: (.[9] | number)
    }, free: {receive_buffers: (.[8] | number), transmit_buffers: (.[10] | number)}
}] as $samples |
($minutes * 30) as $half |
($half / 3 * $rate >= $round) as $is_warm |

# One number of one node in one half, from its samples in order.
def figures($metric):
    [.[] | [.t, .numbers[$metric]] | select(.[1] != null)] as $all |
    ($all[0][0] + $half / 3) as $from |
    [$all[] | select(.[0] >= $from)] as $late |
    if ($late | length) < 3 then empty else
        ($metric | endswith("_bytes")) as $is_memory | $bounds[$metric] as $bound |
        ($late | if $is_memory then slope else middle_slope end) as $slope |
        (($is_memory | not) or $is_warm) as $judged |
        ($slope * 3600) as $per_hour | ($slope * ($late[-1][0] - $late[0][0])) as $rise |
        {metric: $metric, samples: ($late | length), min: ($late | map(.[1]) | min), max: ($late | map(.[1]) | max),
            slope_per_hour: ($per_hour | round), rise: ($rise | round), judged: $judged,
            grows: ($judged and $per_hour > $bound.per_hour and $rise > $bound.least)}
    end;

[("all-alive", "one-dead") as $era | {era: $era, nodes: [
    $samples | map(select(.era == $era)) | group_by(.node)[] |
    {node: .[0].node, samples: length, applied: (.[-1].applied - .[0].applied), seconds: (.[-1].t - .[0].t),
        metrics: [figures($bounds | keys_unsorted[])]}
]}] as $eras |

[$samples | map(select(.era == "rest-after"))[] | .node as $node |
    ($samples | map(select(.era == "rest-before" and .node == $node))[0]) as $before |
    ("unordered", "receive_buffers", "transmit_buffers") as $metric | select(.numbers[$metric] != null) |
    {node: $node, metric: $metric, before: $before.numbers[$metric], after: .numbers[$metric],
        of: (if .free[$metric] == null then null else .numbers[$metric] + .free[$metric] end),
        left: (.numbers[$metric] > $before.numbers[$metric] + $rest_bounds[$metric])}
] as $rest |

($faults | split("\n") | map(select(. != "")) | group_by(.) | map({key: .[0], value: length}) | from_entries) as $faults |
([$eras[] | .era as $era | .nodes[] | .node as $node | .metrics[] | select(.grows) |
    "node \($node), \($era): \(.metric) grows by \(.slope_per_hour) per hour"] +
 [$rest[] | select(.left) | "node \(.node): \(.metric) at rest: \(.before) before the load, \(.after) after it"] +
 [$eras[] | .era as $era |
    if (.nodes | map(select(.samples * $every >= $half * 0.7)) | length) == (if $era == "one-dead" then $nodes - 1 else $nodes end)
    then empty else "\($era): nodes answered too seldom: \([.nodes[] | {(.node | tostring): .samples}] | add)" end] +
 [$eras[] | .era as $era | .nodes[] | select(.applied < .seconds * $rate / 4) |
    "node \(.node), \($era): \(.applied) requests applied in \(.seconds) s"] +
 ($failures | split("\n") | map(select(. != "")))) as $failed |

{wire: $wire, nodes: $nodes, minutes: $minutes, rate: $rate, seed: $seed, faults: $faults, bounds: $bounds, eras: $eras,
    rest: $rest, failures: $failed, passed: ($failed == []), samples: $samples}
