# What judge.jq found, for people.
def pad($width): tostring | . + (" " * ([0, $width - length] | max));
def left($width): tostring | (" " * ([0, $width - length] | max)) + .;

"faults: \([.faults | to_entries[] | "\(.key) \(.value)"] | join(", "))",
"",
"half       node  what              samples          min          max   slope per hour",
(.eras[] | .era as $era | .nodes[] | .node as $node | .metrics[] |
    "\($era | pad(10)) \($node | pad(5)) \(.metric | pad(17)) \(.samples | left(7)) \(.min | left(12)) \(.max | left(12)) \(.slope_per_hour | left(16))\(
        if .grows then "  GROWS" elif .judged then "" else "  not judged: too short to have gone round all tables" end)"),
"",
(.eras[] | .era as $era | .nodes[] | "\($era | pad(10)) \(.node | pad(5)) \(.applied) requests applied in \(.seconds) s"),
"",
(.rest[] | "at rest: node \(.node), \(.metric): \(.before) before the load, \(.after) after it\(if .of then ", of \(.of)" else "" end)"),
"",
(if .passed then "PASSED: nothing grows" else "FAILED:", (.failures[] | "  " + .) end)
