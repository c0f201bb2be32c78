#!/usr/bin/env bash
# House rules that no compiler checks: length of files, place of unsafe code, words, licences, scripts. Writes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
complain() {
    printf 'tidy: %s\n' "$*" >&2
    failed=1
}

# Files that belong to the project, one per line, of a name pattern.
files() {
    if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git ls-files --cached --others --exclude-standard -- "$1" | while IFS= read -r file; do
            [ -f "$file" ] && printf '%s\n' "$file"
        done
    else
        find . -path ./target -prune -o -type f -name "$1" -print | sed 's|^\./||'
    fi
}

while IFS= read -r file; do
    lines=$(wc -l <"$file")
    [ "$lines" -le 500 ] || complain "$file: $lines lines, at most 500 fit in a head; split it"
    [ "$(basename "$file")" = ffi.rs ] && continue
    # Comments may say it, lints must.
    found=$(grep -nE '(^|[^_[:alnum:]"])unsafe($|[^_[:alnum:]"])' "$file" | grep -vE '^[0-9]+: *//' || true)
    [ -z "$found" ] || complain "$file: unsafe outside a file named ffi.rs: $found"
    # A module may let its ffi.rs do it, and nobody else.
    allowed=$(awk '/(allow|expect)\(unsafe_code/ { line = NR; next }
        line && /^#\[path/ { next }
        line { if ($0 !~ /^(pub(\([a-z]+\))? )?mod ffi;$/) print line; line = 0 }' "$file")
    [ -z "$allowed" ] || complain "$file: unsafe allowed outside a file named ffi.rs, line $allowed"
done < <(files '*.rs')

# No stubs and no marks of work left undone; this file has to name them.
words='TO''DO|FIX''ME|XX''X|HA''CK|unimple''mented!|to''do!|dbg''!'
for pattern in '*.rs' '*.sh' '*.md' '*.toml' '*.ron'; do
    while IFS= read -r file; do
        found=$(grep -nE "(^|[^[:alnum:]_])($words)" "$file" || true)
        [ -z "$found" ] || complain "$file: left undone: $found"
        if grep -nE '[[:blank:]]+$' "$file" >/dev/null; then
            complain "$file: blanks at the end of line $(grep -nE '[[:blank:]]+$' "$file" | head -1 | cut -d: -f1)"
        fi
    done < <(files "$pattern")
done

for file in LICENSE-MIT LICENSE-APACHE README.md ARCHITECTURE.md CHANGELOG.md CONTRIBUTING.md deny.toml; do
    [ -s "$file" ] || complain "$file is missing"
done
while IFS= read -r manifest; do
    grep -q '^\[package\]' "$manifest" || continue
    grep -q '^license.workspace = true' "$manifest" || complain "$manifest: no license.workspace = true"
    grep -A1 '^\[lints\]' "$manifest" | grep -q 'workspace = true' || complain "$manifest: no [lints] workspace = true"
done < <(files '*Cargo.toml')

for script in .ci/run deploy/*.sh; do
    [ "$script" = deploy/packages.sh ] || [ -x "$script" ] || complain "$script cannot be executed"
done
if command -v shellcheck >/dev/null; then
    shellcheck -x .ci/run deploy/*.sh deploy/{benchmark,host,soak,tests}/*.sh || complain "shellcheck finds fault with the scripts"
else
    printf 'tidy: NOT CHECKED: scripts, for shellcheck is not installed\n' >&2
fi

exit "$failed"
