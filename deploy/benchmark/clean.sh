# shellcheck shell=bash
# Sourced by ../benchmark.sh: nothing of the machine's or its owner's identity leaves with the results.
#
# - C1. In every file MAC addresses become MAC, IP addresses ADDRESS (but 127.x and 0.0.0.0), the host's names HOST, people
#   at hosts (as in name@host) SOMEBODY, home folders HOME, the folders of this run REPOSITORY, TARGET and RESULTS. A version of
#   four numbers below 256 looks like an address, and goes with them.
# - C2. Then all files are searched for what this machine has of these; if anything is found, nothing is packed.
#
# Of the caller: a tree with sys and proc, the repository, cargo's target folder, the folder of results.
: "${root=}" "${repository=}" "${target=}" "${work=}"

# The host's names, short and long, one per line; not such that say nothing.
host_names() {
    local name short
    name=$(cat "$root/proc/sys/kernel/hostname" 2>/dev/null || true)
    short=${name%%.*}
    for name in "$name" "$short" "${HOSTNAME:-}"; do
        case $name in '' | ? | localhost | localhost.*) ;; *) printf '%s\n' "$name" ;; esac
    done | sort -u
}

# Addresses that this machine has: of interfaces, as the kernel and `ip` know them.
own_addresses() {
    {
        cat "$root"/sys/class/net/*/address 2>/dev/null || true
        { ip -o addr 2>/dev/null || true; } | awk '{ sub("/.*", "", $4); print $4 }'
    } | grep -vE '^(127\.|::1$|00:00:00:00:00:00$|0\.0\.0\.0$|$)' | sort -u
}

# clean FILE...: C1.
clean() {
    HIDE_NAMES=$(host_names) HIDE_HOME=${HOME:-} HIDE_REPOSITORY=$repository HIDE_TARGET=$target \
        HIDE_WORK=$work perl -i -pe '
        BEGIN {
            for my $name ("WORK", "TARGET", "REPOSITORY", "HOME") {
                my $path = $ENV{"HIDE_$name"};
                my $instead = $name eq "WORK" ? "RESULTS" : $name;
                push @hide, [qr{\Q$path\E(?![-\w.])}, $instead] if $path =~ m{^/.};
            }
            push @hide, [qr{/home/[^/\s":]+}, "HOME"];
            push @hide, [qr{(?<![\w-])\Q$_\E(?![\w-])}i, "HOST"]
                for sort { length $b <=> length $a } split /\n/, $ENV{HIDE_NAMES};
            push @hide, [qr{[\w.+-]+\@(?:HOST|[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,})(?![\w-])}, "SOMEBODY"];
            push @hide, [qr{(?<![0-9A-Fa-f:-])(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:-])}, "MAC"];
            # Names of interfaces that are made of theirs.
            push @hide, [qr{\b(?:en|wl|ww)x[0-9a-f]{12}\b}, "INTERFACE"];
            my $byte = qr{(?:25[0-5]|2[0-4]\d|1?\d?\d)};
            push @hide, [qr{(?<![\d.])(?!127\.|0\.0\.0\.0)(?:$byte\.){3}$byte(?!\d|\.\d)}, "ADDRESS"];
            my $word = qr{[0-9A-Fa-f]{1,4}};
            push @hide, [qr{(?<![\w:])(?:$word:){7}$word(?![\w:])}, "ADDRESS"];
            push @hide, [qr{(?<![\w:])$word(?::$word){0,6}::(?:$word(?::$word){0,6})?(?![\w:])}, "ADDRESS"];
        }
        for my $one (@hide) { s/$one->[0]/$one->[1]/g; }
    ' "$@"
}

# personal FILE...: what is left of this machine, one finding per line (C2).
personal() {
    local word
    while IFS= read -r word; do
        grep -HniF -- "$word" "$@" || true
    done < <(own_addresses)
    while IFS= read -r word; do
        grep -HniwF -- "$word" "$@" || true
    done < <(host_names)
    for word in "${HOME:-}" "$repository" "$target" "$work"; do
        [[ $word != /?* ]] || grep -HnF -- "$word/" "$@" || true
    done
}
