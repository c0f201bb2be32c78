# shellcheck shell=bash
# Sourced by ../host.sh: changes of a machine, each recorded before it is made, and the way back.
#
# - S1. A line of the state file is on disk before the change that it describes begins: `kind|boot|path|old|new`. So an
#   `apply` that was interrupted anywhere can be undone: what was recorded and not made is found as it was.
# - S2. A path that is changed again keeps its first old value.
# - S3. What lives in the kernel is undone only in the boot in which it was changed: the numbers of interrupts, say, are
#   others afterwards. What lives on disk is undone in any.
# - S4. A line goes when its undoing was seen to have worked. A file that was edited since is left.
#
# Of the caller: the tree, show, apply or undo, and where changes are recorded.
: "${root=}" "${mode=show}" "${state_file=}"

problems=0
state=()

say() { printf '%s\n' "$*"; }

# Something is not as it was asked to be; the rest goes on.
problem() {
    printf 'PROBLEM: %s\n' "$*" >&2
    problems=$((problems + 1))
}

# would COMMAND [WAS]: what is done, or would be, as one types it.
would() { printf '  %-76s%s\n' "$1" "${2:+  # was $2}"; }

already() { printf '  already so: %s\n' "$*"; }

# A file's one line; fails where it cannot be read.
value() {
    local line=''
    [ -r "$root$1" ] || return 1
    { IFS= read -r line <"$root$1" || [ -n "$line" ] || [ -f "$root$1" ]; } 2>/dev/null || return 1
    printf '%s' "$line"
}

# write PATH VALUE: as `echo VALUE > PATH`. A made-up tree may have a program `kernel` that does what a kernel would.
write() {
    [ -e "$root$1" ] || return 1
    if [ -n "$root" ] && [ -x "$root/kernel" ]; then
        "$root/kernel" "$1" "$2"
    else
        { printf '%s\n' "$2" >"$root$1"; } 2>/dev/null
    fi
}

# The path of a program of this machine, or of the made-up tree: a rehearsal never runs the machine's own.
program() {
    local folder
    if [ -z "$root" ]; then
        PATH="$PATH:/usr/sbin:/sbin" command -v "$1"
        return
    fi
    for folder in usr/sbin usr/bin sbin bin; do
        if [ -x "$root/$folder/$1" ]; then
            printf '%s' "$root/$folder/$1"
            return
        fi
    done
    return 1
}

boot_id() { value /proc/sys/kernel/random/boot_id || printf 'unknown'; }

load_state() {
    state=()
    if [ -e "$state_file" ]; then
        mapfile -t state <"$state_file"
    fi
}

save_state() {
    if [ "${#state[@]}" -eq 0 ]; then
        rm -f "$state_file" "$state_file.new"
        return
    fi
    printf '%s\n' "${state[@]}" >"$state_file.new"
    sync "$state_file.new"
    mv "$state_file.new" "$state_file"
}

on_disk() { case $1 in file | folder | program) true ;; *) false ;; esac }

# record KIND PATH OLD NEW: S1 and S2.
record() {
    local kind boot path old new place now
    now=$(boot_id)
    for place in "${!state[@]}"; do
        IFS='|' read -r kind boot path old new <<<"${state[place]}"
        if [ "$kind|$path" = "$1|$2" ] && { [ "$boot" = "$now" ] || on_disk "$kind"; }; then
            [ "$new" != "$4" ] || return 0
            state[place]="$kind|$boot|$path|$old|$4"
            save_state
            return
        fi
    done
    state+=("$1|$now|$2|$3|$4")
    save_state
}

# set_value PATH VALUE: a value that the kernel keeps.
set_value() {
    local old now
    if ! old=$(value "$1"); then
        problem "$1: cannot be read"
        return 0
    fi
    if [ "$old" = "$2" ]; then
        already "$1 is $2"
        return
    fi
    would "echo '$2' > $1" "'$old'"
    [ "$mode" = apply ] || return 0
    record value "$1" "$old" "$2"
    write "$1" "$2" || { problem "$1: the kernel refused '$2'"; return 0; }
    now=$(value "$1") || true
    [ "$now" = "$2" ] || problem "$1: is '$now' after '$2' was written"
}

# set_file PATH CONTENT: a file of our own name.
set_file() {
    local old=- new
    new=$(printf '%s\n' "$2" | sha256sum | cut -d' ' -f1)
    if [ -e "$root$1" ]; then
        if [ "$(hash_of "$1")" = "$new" ]; then
            already "$1 is written"
            return
        fi
        old=$(base64 -w0 <"$root$1")
    fi
    would "cat > $1 <<'END'" "$([ "$old" = - ] || printf 'a file with other content, which is kept')"
    printf '%s\nEND\n' "$2"
    [ "$mode" = apply ] || return 0
    record file "$1" "$old" "$new"
    { printf '%s\n' "$2" >"$root$1"; } 2>/dev/null || true
    [ "$(hash_of "$1")" = "$new" ] || problem "$1: cannot be written"
}

hash_of() { { sha256sum <"$root$1" | cut -d' ' -f1; } 2>/dev/null || true; }

set_folder() {
    [ ! -d "$root$1" ] || return 0
    would "mkdir $1"
    [ "$mode" = apply ] || return 0
    record folder "$1" - -
    mkdir "$root$1" 2>/dev/null || problem "$1: cannot be made"
}

# call NAME ARGUMENT...: runs a program.
call() {
    local path name=$1
    shift
    path=$(program "$name") || return 127
    "$path" "$@" >/dev/null
}

driver_of() {
    local link
    link=$(readlink "$root/sys/bus/pci/devices/$1/driver") || return 0
    basename "$link"
}

override_of() {
    local name
    name=$(value "/sys/bus/pci/devices/$1/driver_override") || name=''
    [ "$name" = '(null)' ] || printf '%s' "$name"
}

mounted() { grep -qE "^[^ ]+ $1 hugetlbfs " "$root/proc/mounts"; }

service_active() { call systemctl is-active --quiet "$1"; }

# Processes that have the device open through VFIO, one number per line.
users_of() {
    local folder=$root/sys/bus/pci/devices/$1 group
    group=$(basename "$(readlink "$folder/iommu_group" || true)")
    [ -n "$group" ] || return 0
    { find "$root"/proc/[0-9]*/fd -maxdepth 1 \
        \( -lname "/dev/vfio/$group" -o -lname "/dev/vfio/noiommu-$group" \) 2>/dev/null || true; } |
        sed -E 's|.*/proc/([0-9]+)/fd/.*|\1|' | sort -un
}

# The other way round, one function for each kind: arguments PATH OLD NEW; false when it could not be undone.
undo_value() {
    local now
    now=$(value "$1") || { problem "$1: cannot be read; was '$2'"; return 1; }
    if [ "$now" = "$2" ]; then
        already "$1 is $2"
        return
    fi
    [ "$now" = "$3" ] || say "  note: $1 is '$now', not '$3' as it was set"
    would "echo '$2' > $1"
    write "$1" "$2" || true
    now=$(value "$1") || true
    [ "$now" = "$2" ] || { problem "$1: is '$now', was '$2'"; return 1; }
}

undo_file() {
    local now=''
    [ ! -e "$root$1" ] || now=$(hash_of "$1")
    if [ "$2" = - ] && [ -z "$now" ]; then
        already "$1 is not there"
    elif [ "$2" != - ] && [ "$now" = "$(base64 -d <<<"$2" | sha256sum | cut -d' ' -f1)" ]; then
        already "$1 is as it was"
    elif [ "$2" != - ] && [ -z "$now" ]; then
        problem "$1: removed since; not written again. Its old content: base64 -d <<<'$2'"
        return 1
    elif [ "$now" != "$3" ] && [ -s "$root$1" ]; then
        problem "$1: edited since, and left; remove it or write it as you want it, then undo again"
        return 1
    elif [ "$2" = - ]; then
        would "rm $1"
        rm "$root$1" || { problem "$1: cannot be removed"; return 1; }
    else
        would "base64 -d <<<'$2' > $1"
        base64 -d <<<"$2" >"$root$1" || { problem "$1: cannot be written"; return 1; }
    fi
}

undo_folder() {
    [ -d "$root$1" ] || { already "$1 is not there"; return 0; }
    would "rmdir $1"
    rmdir "$root$1" 2>/dev/null || { problem "$1: cannot be removed: is something in it?"; return 1; }
}

undo_mount() {
    mounted "$1" || { already "$1 is not mounted"; return 0; }
    would "umount $1"
    call umount "$1" || true
    ! mounted "$1" || { problem "$1: cannot be unmounted: is a process using huge pages?"; return 1; }
}

undo_module() {
    [ -d "$root/sys/bus/pci/drivers/$1" ] || { already "$1 is not loaded"; return 0; }
    would "modprobe -r $1"
    call modprobe -r "$1" || true
    [ ! -d "$root/sys/bus/pci/drivers/$1" ] || { problem "$1: cannot be unloaded"; return 1; }
}

undo_service() {
    if service_active "$1"; then
        already "$1 runs"
        return
    fi
    would "systemctl start $1"
    call systemctl start "$1" || true
    service_active "$1" || { problem "$1: cannot be started"; return 1; }
}

undo_program() {
    would "$1"
    call "$1" || { problem "$1: failed; run it by hand"; return 1; }
}

# A device goes back to its driver; OLD is `driver,override`.
undo_driver() {
    local folder=/sys/bus/pci/devices/$1 driver=${2%%,*} override=${2#*,} now users
    [ -d "$root$folder" ] || { problem "$1: no such device any more"; return 1; }
    now=$(driver_of "$1")
    if [ "$now" != "$driver" ] && [ -n "$now" ]; then
        users=$(users_of "$1" | tr '\n' ' ')
        # The kernel would wait for them, for ever.
        [ -z "$users" ] || { problem "$1: in use by process ${users% }; end it, then undo again"; return 1; }
        would "echo $1 > $folder/driver/unbind"
        write "$folder/driver/unbind" "$1" || { problem "$1: cannot be taken from $now"; return 1; }
    fi
    if [ "$(override_of "$1")" != "$override" ]; then
        would "echo '$override' > $folder/driver_override"
        write "$folder/driver_override" "$override" || { problem "$1: driver_override cannot be set"; return 1; }
    fi
    now=$(driver_of "$1")
    if [ "$now" != "$driver" ]; then
        would "echo $1 > /sys/bus/pci/drivers/$driver/bind"
        write "/sys/bus/pci/drivers/$driver/bind" "$1" || true
    fi
    now=$(driver_of "$1")
    [ "$now" = "$driver" ] || { problem "$1: has driver '$now', had '$driver'"; return 1; }
}

# Everything back, last change first.
undo_all() {
    local kind boot path old new place now
    now=$(boot_id)
    [ "${#state[@]}" -gt 0 ] || say 'nothing to undo'
    for ((place = ${#state[@]} - 1; place >= 0; place--)); do
        IFS='|' read -r kind boot path old new <<<"${state[place]}"
        if [ "$boot" != "$now" ] && ! on_disk "$kind"; then
            say "  gone with the reboot: $kind $path"
        elif ! "undo_$kind" "$path" "$old" "$new"; then
            continue
        fi
        unset 'state[place]'
        save_state
    done
}
