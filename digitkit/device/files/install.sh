#!/bin/sh
# Installs digitkit from the bundle that this file is in, without a network.
#
#   ./install.sh             for this user: ~/.local/share/digitkit, a link in ~/.local/bin
#   ./install.sh --system    for all (needs root): /opt/digitkit, a link in /usr/local/bin, and a
#                            service that reads the camera from boot on, by /etc/digitkit.toml
#   --python FILE            the Python to build on; by default the system's own
#
# Each version gets a folder of its own, and proves itself there on a sample page before it takes
# the earlier one's place. Until then the earlier one is not touched, whatever happens.
# The system's Python gets nothing installed and lends no packages, only its interpreter.
set -eu

say() { printf '%s\n' "$*"; }
die() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }

usage() { sed -n '2,/^set -eu/{/^set -eu/d;s/^# \{0,1\}//;p;}' "$0"; }

# What bundle.conf says: KEY=VALUE lines.
fact() { sed -n "s/^$1=//p" "$here/bundle.conf"; }

# Whether version $1 is $2 or newer.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# Free space where folder $1 is, kilobytes.
free() { df -Pk "$1" | awk 'NR == 2 { print $4 }'; }

# --- what this machine must have ---

check_files() {
    { [ -f SHA256SUMS ] && [ -f bundle.conf ]; } ||
        die "$here is no whole bundle; unpack it again and run install.sh in its folder"
    if ! bad=$(sha256sum -c SHA256SUMS 2>/dev/null); then
        bad=$(printf '%s\n' "$bad" | sed -n 's/: FAILED.*//p' | tr '\n' ' ')
        die "damaged or missing: ${bad:-SHA256SUMS itself}; copy the bundle again, unpack anew"
    fi
}

check_machine() {
    machine=$(fact machine)
    found=$(uname -m)
    bits=$(getconf LONG_BIT 2>/dev/null || echo 64) # the Python found below is asked, too
    sixty_four="ONNX Runtime exists for 64-bit systems only; put the 64-bit Raspberry Pi OS on the \
card (a Pi 3, 4, 5 or Zero 2 W runs it)"
    case "$found" in
        armv[5-8]* | arm | i?86) die "this system is 32-bit ($found); $sixty_four" ;;
    esac
    [ "$bits" = 64 ] ||
        die "this system is 32-bit, though its kernel ($found) is not; $sixty_four"
    [ "$found" = "$machine" ] ||
        die "this machine is $found, the bundle is for $machine; make one for it with" \
            "digitkit bundle --platform"
}

check_glibc() {
    need=$(fact glibc)
    # "glibc 2.36"
    have=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed -n 's/^glibc //p') || true
    [ -n "$have" ] ||
        die "this system's C library is not glibc, which the packages need ($need or newer)"
    at_least "$have" "$need" ||
        die "glibc is $have, needed is $need or newer; Raspberry Pi OS Bookworm and Trixie have it"
}

# Sets python and python_version to an interpreter that the bundle has packages for.
find_python() {
    pythons=$(fact pythons)
    seen=
    if [ -n "$python" ]; then
        set -- "$python"
    else
        set -- /usr/bin/python3 python3
        for version in $pythons; do
            set -- "$@" "/usr/bin/python$version" "python$version"
        done
    fi
    for candidate; do
        path=$(command -v "$candidate") || continue
        case "$seen" in *" $path ("*) continue ;; esac
        # "3.11 64": of CPython as distributions build it; other builds need other packages.
        about=$("$path" -I -c 'import struct, sys, sysconfig
usual = sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")
print("%d.%d" % sys.version_info[:2] if usual else "unusual", 8 * struct.calcsize("P"))' \
            2>/dev/null) || continue
        python_version=${about% *}
        [ "${about#* }" = 64 ] || die "$path is a 32-bit Python; $sixty_four"
        if [ -n "$system" ] && [ -z "$top" ]; then
            case $(readlink -f "$path") in
                # The service sees no homes.
                /home/* | /root/*) seen="$seen $path (in a home)"; continue ;;
            esac
        fi
        for version in $pythons; do
            if [ "$version" = "$python_version" ]; then
                python=$path
                return
            fi
        done
        seen="$seen $path ($python_version)"
    done
    wanted=$(printf '%s' "$pythons" | sed 's/ / or /g')
    die "Python $wanted is needed and not here; found:${seen:- none}. Make a bundle for what is" \
        "here (digitkit bundle --python), or name an interpreter: install.sh --python FILE"
}

check_target() {
    { mkdir -p "$root/versions" "$bin" 2>/dev/null && [ -w "$root/versions" ] && [ -w "$bin" ]; } ||
        die "$root and $bin cannot be written; make them writable for $(id -un)," \
            "or see whether the file system is mounted read-only"
    if [ -e "$bin/digitkit" ] || [ -L "$bin/digitkit" ]; then
        case $(readlink "$bin/digitkit") in
            "$root"/*) ;;
            *) die "$bin/digitkit is there and not from here; remove it first" ;;
        esac
    fi
}

check_space() {
    # A twentieth more, for folders, and 8 MB for models and test data.
    need=$(($(fact "kilobytes_$python_version") * 21 / 20 + 8192))
    have=$(free "$root")
    [ "$have" -ge "$need" ] ||
        die "$root has $((have / 1024)) MB free, needed are $((need / 1024)) MB; make room," \
            "df -h shows where"
}

# --- one at a time; nothing half-done stays ---

lock() {
    # A symbolic link is made in one step together with what it says: this process's id.
    tries=0
    until ln -s "$$" "$lock" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -le 5 ] || die "$lock cannot be made; see whether the disk is full"
        holder=$(readlink "$lock") || continue
        if [ "$holder" != "$$" ] && grep -aq 'install\.sh' "/proc/$holder/cmdline" 2>/dev/null; then
            die "another install.sh (process $holder) is at work; wait for it"
        fi
        # Left by one that was killed; only one of us can move it away.
        mv -T "$lock" "$lock.$$" 2>/dev/null && rm -f "$lock.$$"
    done
    locked=1
}

# shellcheck disable=SC2317,SC2329 # called by a trap
finish() {
    code=$?
    trap '' HUP INT TERM
    if [ -n "$child" ]; then
        kill -- "-$child" 2>/dev/null || kill "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    fi
    if [ -n "$new" ] && [ "$(readlink "$root/current")" != "versions/${new##*/}" ]; then
        rm -rf "$new" 2>/dev/null || rm -rf "$new" || true
    fi
    [ -z "$locked" ] || rm -f "$root/current.new" "$lock"
    exit "$code"
}

# Runs a command so that a signal is heeded at once and not after minutes; in a session of its own,
# so that it can be ended with all that it has started.
run() {
    setsid "$@" </dev/null >>"$log" 2>&1 &
    child=$!
    wait "$child" && code=0 || code=$?
    child=
    return "$code"
}

# Says why the step $1 failed, by what the log says.
failed() {
    kept="nothing was installed"
    [ -z "$before" ] || kept="the earlier version stays as it was"
    if grep -q 'No space left' "$log" 2>/dev/null || [ "$(free "$root")" -lt 1024 ]; then
        die "$1: the disk is full; make room and run install.sh again; $kept"
    fi
    reason=$(grep '^ERROR' "$log" 2>/dev/null | tail -n 1)
    [ -n "$reason" ] || reason=$(grep -v '^[[:space:]]*$' "$log" 2>/dev/null | tail -n 1) || true
    die "$1: ${reason:-no reason given, the disk may have been full}; $kept"
}

# --- build, prove, switch ---

build() {
    say "building $new with Python $python_version ($python) …"
    mkdir "$new" "$new/tmp" || die "$new cannot be made"
    log=$new/install.log
    export TMPDIR="$new/tmp" # nothing goes elsewhere, /tmp may be small
    # Without pip: Debian's Python has no ensurepip unless python3-venv is there.
    run "$python" -I -m venv --without-pip "$new/venv" ||
        failed "$python makes no virtual environment (sudo apt-get install python3-venv may help)"
    # Straight from the wheel it would be compiled at each run.
    run "$new/venv/bin/python" -I -m zipfile -e "wheels/$(fact pip)" "$new/tmp" ||
        failed "pip cannot be unpacked"
    # pip is told nothing by this user's settings and asks no index.
    set -- "$new/venv/bin/python" -I "$new/tmp/pip" --isolated \
        --disable-pip-version-check --quiet install --no-input --no-cache-dir --no-index \
        --no-compile --no-warn-script-location
    run "$@" --find-links "$here/wheels" --only-binary :all: --require-hashes \
        --requirement "$here/requirements-$python_version.txt" ||
        failed "the packages cannot be installed"
    # digitkit asks for opencv-python; here it has opencv-python-headless.
    run "$@" --no-deps "$here/wheels/$(fact wheel)" || failed "digitkit cannot be installed"
    # The service may not write here, so it would compile all modules at each start. The packages'
    # own tests are two fifths of the work and never run.
    run "$new/venv/bin/python" -I -m compileall -q -j 0 -x /tests/ "$new/venv/lib" || true
    cp -R models mnist sample README.md sbom.cdx.json bundle.conf digitkit.toml uninstall.sh \
        "$new/" 2>>"$log" || failed "models and samples cannot be copied"
    # The settings name an own model by the folder that is installed to.
    escaped=$(printf '%s' "$root" | sed 's/[&|\\]/\\&/g')
    sed "s|@ROOT@|$escaped|" digitkit.toml >"$new/digitkit.toml" ||
        failed "settings cannot be written"
    # Whoever unpacked the bundle may have kept it to themselves; the service is another user.
    chmod -R u=rwX,go=rX "$new" 2>>"$log" || failed "its files cannot be made readable"
    rm -rf "$new/tmp"
    unset TMPDIR
}

# Whether the version in folder $1 reads the sample page as it must; sets problem if not.
works() {
    model=$(fact model)
    case "$model" in "@ROOT@"*) model=$1/${model#@ROOT@/current/} ;; esac
    problem=
    log=$1/self-test.log
    : >"$log"
    run "$1/venv/bin/digitkit" infer "$1/sample/page.jpg" --model "$model" --format jsonl \
        --output "$1/self-test.jsonl" || {
        problem="it ends with code $? ($(tail -n 1 "$log"))"
        return 1
    }
    read_text=$("$1/venv/bin/python" -I -c 'import json, sys
print(json.load(sys.stdin)["text"])' <"$1/self-test.jsonl" 2>/dev/null) || read_text=
    expected=$(cat "$1/sample/expected.txt")
    if [ "$read_text" != "$expected" ]; then
        problem="it reads '$read_text' on the sample page instead of '$expected'"
        problem=$(printf '%s' "$problem" | tr '\n' ' ')
        return 1
    fi
    if [ -n "$system" ] && [ -f "$settings" ]; then
        problem=$("$1/venv/bin/python" -I -c 'import pathlib, sys
from digitkit import errors, settings
try:
    model = settings.load(pathlib.Path(sys.argv[1])).model or ""
    here = model.removeprefix(sys.argv[2])
    if here != model and not pathlib.Path(sys.argv[3], here).is_file():
        print(f"{sys.argv[1]}: model is {model}, which this bundle does not bring; make it with",
              "digitkit bundle --model, or name another there")
except errors.DigitkitError as error:
    print(error)' "$settings" "$root/current/" "$1" 2>&1 | tail -n 1)
        [ -z "$problem" ] || return 1
    fi
}

# Makes link $2 lead to $1, in one step.
link() {
    ln -s "$1" "$2.new" && mv -T "$2.new" "$2"
}

switch() {
    # A power cut must not leave half-written files behind the link.
    sync -f "$new" 2>/dev/null || sync
    rm -f "$root/current.new" "$bin/digitkit.new"
    link "versions/${new##*/}" "$root/current" || die "$root/current cannot be changed"
    if ! { [ "$(readlink "$bin/digitkit")" = "$root/current/venv/bin/digitkit" ] ||
        link "$root/current/venv/bin/digitkit" "$bin/digitkit"; } ||
        ! said=$("$bin/digitkit" --version 2>&1); then
        if [ -n "$before" ]; then
            link "$before" "$root/current"
        else
            rm -f "$root/current" "$bin/digitkit"
        fi
        die "$bin/digitkit does not run ($(printf '%s' "${said:-no link}" | tail -n 1)); taken back"
    fi
}

# Copies file $1 to $2, whole or not at all.
put() {
    { mkdir -p "${2%/*}" && cp "$1" "$2.new" && mv "$2.new" "$2"; } || die "$2 cannot be written"
}

service() {
    if [ ! -f "$settings" ]; then
        put "$root/current/digitkit.toml" "$settings"
        # A stream's URL may hold a password; the service is in the group video.
        chgrp video "$settings" 2>/dev/null || true # where there is no such group, root's alone
        chmod 640 "$settings"
    else
        line=$(grep '^model = ' "$root/current/digitkit.toml")
        grep -Fqx "$line" "$settings" || say "$settings stays as it is; this bundle is for: $line"
    fi
    put digitkit.service "$unit"
    if [ -n "$top" ] || ! command -v systemctl >/dev/null; then
        say "the service is at $unit; there is no systemctl here to enable it with"
        return
    fi
    systemctl --quiet enable digitkit.service || die "the service cannot be enabled; see above"
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        systemctl --no-block restart digitkit.service
        say "the service runs by $settings; what it reads: journalctl -u digitkit -f"
    else
        say "the service starts at the next boot, by $settings"
    fi
}

remove_others() {
    keep=$(readlink "$root/current") || keep=
    for folder in "$root"/versions/*; do
        [ ! -d "$folder" ] || [ "versions/${folder##*/}" = "$keep" ] || rm -rf "$folder" 2>/dev/null ||
            {
                left="$folder cannot be removed; if an install.sh was killed, try again when what \
it had started is over"
                return 1
            }
    done
}

main() {
    system='' python='' child='' new='' locked='' before='' log=/dev/null
    while [ $# -gt 0 ]; do
        case "$1" in
            --system) system=1 ;;
            --python)
                [ $# -gt 1 ] || die "--python needs a file"
                python=$2
                shift
                ;;
            -h | --help) usage; exit 0 ;;
            *) die "$1: is no option; see ./install.sh --help" ;;
        esac
        shift
    done
    here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
    cd "$here"
    umask 022
    unset PYTHONPATH PYTHONHOME PYTHONSTARTUP VIRTUAL_ENV
    export PYTHONNOUSERSITE=1 PIP_CONFIG_FILE=/dev/null LC_ALL=C.UTF-8

    top=${DIGITKIT_TOP-} # a folder that stands for / in tests
    if [ -n "$system" ]; then
        [ "$(id -u)" = 0 ] || die "--system needs root: sudo ./install.sh --system"
        root=$top/opt/digitkit bin=$top/usr/local/bin
        settings=$top/etc/digitkit.toml unit=$top/etc/systemd/system/digitkit.service
    else
        [ -n "${HOME-}" ] || die "HOME is not set; set it to the folder of the user to install for"
        case "$HOME" in /*) ;; *) die "HOME is $HOME; it must begin with /" ;; esac
        root=$HOME/.local/share/digitkit bin=$HOME/.local/bin settings='' unit=''
        [ -z "${SUDO_USER-}" ] ||
            say "this installs for $(id -un) alone, not for $SUDO_USER; with --system it is for all"
    fi
    lock=$root/.lock

    check_files
    check_machine
    check_glibc
    find_python
    check_target
    trap finish EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    lock
    remove_others || die "$left" # what an interrupted run has left
    before=$(readlink "$root/current") || before=
    name=$(fact version)-$(sha256sum SHA256SUMS | cut -c 1-8)-py$python_version
    case "$before" in
        "versions/$name" | "versions/$name".*)
            new=$root/$before
            if works "$new"; then
                say "digitkit $(fact version) is installed already, and it works"
                switch
                [ -z "$system" ] || service
                return
            fi
            say "digitkit $(fact version) is installed but does not work ($problem); building anew"
            ;;
    esac
    check_space
    new=$root/versions/$name
    number=1
    while [ -e "$new" ]; do # what it is to take the place of
        number=$((number + 1))
        new=$root/versions/$name.$number
    done
    build
    say "self-test: reading the sample page …"
    works "$new" || {
        echo "$problem" >"$log"
        failed "digitkit was built but does not work"
    }
    switch
    [ -z "$system" ] || service
    remove_others || say "$left"
    say "installed: $bin/digitkit ($said)"
    case ":$PATH:" in
        *":$bin:"*) ;;
        *) say "$bin is not on your PATH yet; log in anew, or: PATH=\$PATH:$bin" ;;
    esac
    # Says more of this machine than reading needs; no reason to take anything back.
    if "$bin/digitkit" doctor --help >/dev/null 2>&1; then
        "$bin/digitkit" doctor || say "digitkit reads; see to what doctor says all the same"
    fi
}

main "$@"
exit
