#!/bin/sh
# Installs digitkit from the bundle that contains this file, without a network.
#
#   ./install.sh             for this user: ~/.local/share/digitkit, a link in ~/.local/bin
#   ./install.sh --system    for all users (needs root): /opt/digitkit, a link in /usr/local/bin,
#                            and a service that reads the camera from boot on, configured in
#                            /etc/digitkit.toml
#   --python FILE            the Python to use; by default the system's own
#
# Each version is installed into a folder of its own and tested there on a sample page before it
# replaces the earlier one. Until then the earlier version is not touched, whatever happens.
# Only the interpreter of the system's Python is used: nothing is installed into it, and its
# packages are not visible.
set -eu

say() { printf '%s\n' "$*"; }
die() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }

usage() { sed -n '2,/^set -eu/{/^set -eu/d;s/^# \{0,1\}//;p;}' "$0"; }

# A value of bundle.conf, which consists of KEY=VALUE lines.
fact() { sed -n "s/^$1=//p" "$here/bundle.conf"; }

# Whether version $1 is $2 or newer.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# Free space on the file system of folder $1, kilobytes.
free() { df -Pk "$1" | awk 'NR == 2 { print $4 }'; }

# --- checks of this machine ---

check_files() {
    { [ -f SHA256SUMS ] && [ -f bundle.conf ]; } ||
        die "$here is not a complete bundle; unpack it again and run install.sh in its folder"
    if ! bad=$(sha256sum -c SHA256SUMS 2>/dev/null); then
        bad=$(printf '%s\n' "$bad" | sed -n 's/: FAILED.*//p' | tr '\n' ' ')
        die "damaged or missing: ${bad:-SHA256SUMS itself}; copy the bundle again and unpack it"
    fi
}

check_machine() {
    machine=$(fact machine)
    found=$(uname -m)
    bits=$(getconf LONG_BIT 2>/dev/null || echo 64) # the Python found below is checked, too
    sixty_four="ONNX Runtime supports 64-bit systems only; install the 64-bit Raspberry Pi OS (it \
runs on a Pi 3, 4, 5 and Zero 2 W)"
    case "$found" in
        armv[5-8]* | arm | i?86) die "this system is 32-bit ($found); $sixty_four" ;;
    esac
    [ "$bits" = 64 ] ||
        die "this system is 32-bit, although its kernel ($found) is 64-bit; $sixty_four"
    [ "$found" = "$machine" ] ||
        die "this machine is $found, but the bundle is for $machine; build one for this machine" \
            "with digitkit bundle --platform"
}

check_glibc() {
    need=$(fact glibc)
    # "glibc 2.36"
    have=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed -n 's/^glibc //p') || true
    [ -n "$have" ] ||
        die "this system's C library is not glibc; the packages require glibc $need or newer"
    at_least "$have" "$need" ||
        die "glibc must be $need or newer, this system has $have; Raspberry Pi OS Bookworm and" \
            "Trixie are new enough"
}

# Sets python and python_version to an interpreter for which the bundle has packages.
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
        path=$(command -v -- "$candidate") || continue
        case "$seen" in *" $path ("*) continue ;; esac
        # "3.11 64", if it is CPython as distributions build it; other builds need other packages.
        about=$("$path" -I -c 'import struct, sys, sysconfig
usual = sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")
print("%d.%d" % sys.version_info[:2] if usual else "unusual", 8 * struct.calcsize("P"))' \
            2>/dev/null) || continue
        python_version=${about% *}
        [ "${about#* }" = 64 ] || die "$path is a 32-bit Python; $sixty_four"
        if [ -n "$system" ] && [ -z "$top" ]; then
            case $(readlink -f "$path") in
                # The service has no access to home folders.
                /home/* | /root/*) seen="$seen $path (in a home folder)"; continue ;;
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
    die "Python $wanted is required; found:${seen:- none}. Build a bundle for a version that is" \
        "installed here (digitkit bundle --python), or name an interpreter: install.sh --python FILE"
}

# Whether what is written, replaced or removed below is this script's own: a link in place of a
# folder would lead to someone else's files, and a folder in place of a link may hold some.
check_own() {
    for path in "$root" "$root/versions"; do
        [ ! -L "$path" ] || die "$path is a link to $(readlink "$path"), whose files may be someone" \
            "else's; remove the link"
    done
    for path in "$root/current" "$root/current.new" "$bin/digitkit.new" "$lock"; do
        [ -L "$path" ] || [ ! -e "$path" ] ||
            die "$path exists and was not made by this script; move it away"
    done
    for path in "$settings" "$unit" "$token"; do
        [ ! -d "$path" ] || die "$path is a folder; move it away"
    done
}

check_target() {
    { mkdir -p "$root/versions" "$bin" 2>/dev/null && [ -w "$root/versions" ] && [ -w "$bin" ]; } ||
        die "$root and $bin cannot be written; make them writable for $(id -un)," \
            "and check that the file system is not mounted read-only"
    if [ -e "$bin/digitkit" ] || [ -L "$bin/digitkit" ]; then
        case $(readlink "$bin/digitkit") in
            "$root"/*) ;;
            *) die "$bin/digitkit exists and was not installed by this script; remove it first" ;;
        esac
    fi
}

check_space() {
    # 5% more, for folders, and 8 MB for models and test data.
    need=$(($(fact "kilobytes_$python_version") * 21 / 20 + 8192))
    have=$(free "$root")
    [ "$have" -ge "$need" ] ||
        die "$root has $((have / 1024)) MB free, but $((need / 1024)) MB are required; make room" \
            "(df -h shows where)"
}

# --- one installation at a time; nothing incomplete stays ---

lock() {
    # A symbolic link is created in one step together with its content: this process's id.
    tries=0
    until ln -sT "$$" "$lock" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -le 5 ] || die "$lock cannot be created; check whether the disk is full"
        holder=$(readlink "$lock") || continue
        if [ "$holder" != "$$" ] && grep -aq 'install\.sh' "/proc/$holder/cmdline" 2>/dev/null; then
            die "another install.sh (process $holder) is running; wait for it"
        fi
        # Left by a killed process; only one of us can move it away.
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

# Runs a command so that signals are handled at once and not after minutes; in its own session, so
# that it can be ended together with its children.
run() {
    setsid "$@" </dev/null >>"$log" 2>&1 &
    child=$!
    wait "$child" && code=0 || code=$?
    child=
    return "$code"
}

# Reports that step $1 failed, with the reason from the log.
failed() {
    kept="nothing was installed"
    [ -z "$before" ] || kept="the earlier version is unchanged"
    if grep -q 'No space left' "$log" 2>/dev/null || [ "$(free "$root")" -lt 1024 ]; then
        die "$1: the disk is full; make room and run install.sh again; $kept"
    fi
    reason=$(grep '^ERROR' "$log" 2>/dev/null | tail -n 1)
    [ -n "$reason" ] || reason=$(grep -v '^[[:space:]]*$' "$log" 2>/dev/null | tail -n 1) || true
    die "$1: ${reason:-no reason given, the disk may be full}; $kept"
}

# --- build, test, switch ---

build() {
    say "building $new with Python $python_version ($python) …"
    mkdir "$new" "$new/tmp" || die "$new cannot be created"
    log=$new/install.log
    export TMPDIR="$new/tmp" # /tmp may be small
    # Without pip: Debian's Python has no ensurepip unless python3-venv is there.
    run "$python" -I -m venv --without-pip "$new/venv" ||
        failed "$python cannot create a virtual environment (sudo apt-get install python3-venv may help)"
    # Run from the wheel itself it would be compiled each time.
    run "$new/venv/bin/python" -I -m zipfile -e "wheels/$(fact pip)" "$new/tmp" ||
        failed "pip cannot be unpacked"
    # pip ignores this user's settings and uses no index.
    set -- "$new/venv/bin/python" -I "$new/tmp/pip" --isolated \
        --disable-pip-version-check --quiet install --no-input --no-cache-dir --no-index \
        --no-compile --no-warn-script-location
    run "$@" --find-links "$here/wheels" --only-binary :all: --require-hashes \
        --requirement "$here/requirements-$python_version.txt" ||
        failed "the packages cannot be installed"
    # --no-deps: digitkit requires opencv-python, but here it has opencv-python-headless.
    run "$@" --no-deps "$here/wheels/$(fact wheel)" || failed "digitkit cannot be installed"
    # The service cannot write here and would compile all modules at each start. The packages' own
    # tests are two fifths of the work and never run.
    run "$new/venv/bin/python" -I -m compileall -q -j 0 -x /tests/ "$new/venv/lib" || true
    # Only what is listed has been checked.
    sed 's/^[^ ]*  //' SHA256SUMS |
        grep -Ex '(models|mnist|sample)/.*|README\.md|sbom\.cdx\.json|bundle\.conf|uninstall\.sh' |
        xargs -d '\n' cp --parents -t "$new" -- 2>>"$log" ||
        failed "models and samples cannot be copied"
    # The settings name a custom model by the folder that it is installed to.
    escaped=$(printf '%s' "$root" | sed 's/[&|\\]/\\&/g')
    sed "s|@ROOT@|$escaped|" digitkit.toml >"$new/digitkit.toml" ||
        failed "the settings cannot be written"
    # The bundle may have been unpacked with private permissions; the service is another user.
    chmod -R u=rwX,go=rX "$new" 2>>"$log" || failed "the files cannot be made readable"
    rm -rf "$new/tmp"
    unset TMPDIR
}

# Whether the version in folder $1 reads the sample page correctly; sets problem if not.
works() {
    model=$(fact model)
    case "$model" in "@ROOT@"*) model=$1/${model#@ROOT@/current/} ;; esac
    problem=
    log=$1/self-test.log
    : >"$log"
    run "$1/venv/bin/digitkit" infer "$1/sample/page.jpg" --model "$model" --format jsonl \
        --output "$1/self-test.jsonl" || {
        problem="it exits with code $? ($(tail -n 1 "$log"))"
        return 1
    }
    [ -z "$(fact web)" ] || run "$1/venv/bin/python" -I -c 'import digitkit.web.serve_job' || {
        problem="digitkit serve does not load ($(tail -n 1 "$log"))"
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
from digitkit.errors import DigitkitError
from digitkit.inference.settings import load_settings
try:
    model = load_settings(pathlib.Path(sys.argv[1])).model or ""
    inside = model.removeprefix(sys.argv[2])
    if inside != model and not pathlib.Path(sys.argv[3], inside).is_file():
        print(f"{sys.argv[1]}: model is {model}, which this bundle does not contain; build it with",
              "digitkit bundle --model, or name another model there")
except DigitkitError as error:
    print(error)' "$settings" "$root/current/" "$1" 2>&1 | tail -n 1)
        [ -z "$problem" ] || return 1
    fi
}

# Points link $2 to $1, in one step.
link() {
    ln -sfT "$1" "$2.new" && mv -T "$2.new" "$2"
}

switch() {
    # A power cut must not leave half-written files behind the link.
    sync -f "$new" 2>/dev/null || sync
    link "versions/${new##*/}" "$root/current" || die "$root/current cannot be updated"
    if ! { [ "$(readlink "$bin/digitkit")" = "$root/current/venv/bin/digitkit" ] ||
        link "$root/current/venv/bin/digitkit" "$bin/digitkit"; } ||
        ! installed=$("$bin/digitkit" --version 2>&1); then
        if [ -n "$before" ]; then
            link "$before" "$root/current"
        else
            rm -f "$root/current" "$bin/digitkit"
        fi
        die "$bin/digitkit does not run ($(printf '%s' "${installed:-no link}" | tail -n 1));" \
            "the switch was undone"
    fi
}

# Copies file $1 to $2, completely or not at all.
put() {
    { mkdir -p "${2%/*}" && cp -T --remove-destination "$1" "$2.new" && mv -T "$2.new" "$2"; } ||
        die "$2 cannot be written"
}

# Makes the token of the page and the API, which the service and root can read.
make_token() {
    (
        umask 077
        "$root/current/venv/bin/python" -I -c 'import secrets; print(secrets.token_urlsafe())' \
            >"$token.new"
    ) || die "$token cannot be written"
    chgrp video "$token.new" 2>/dev/null && chmod 640 "$token.new"
    mv -T "$token.new" "$token" || die "$token cannot be written"
}

service() {
    if [ ! -f "$settings" ]; then
        put "$root/current/digitkit.toml" "$settings"
        # A stream's URL may contain a password; the service is in the group video.
        chgrp video "$settings" 2>/dev/null || true # without that group only root reads it
        chmod 640 "$settings"
    else
        line=$(grep '^model = ' "$root/current/digitkit.toml")
        grep -Fqx "$line" "$settings" || say "$settings is unchanged; this bundle expects: $line"
    fi
    # An empty one is left by a power cut.
    [ -z "$(fact web)" ] || [ -s "$token" ] || make_token
    if [ -n "$(fact web)" ] && ! grep -q '^\[serve\]' "$settings"; then
        say "$settings is unchanged and has no table [serve]: the page is for this machine only, at" \
            "http://127.0.0.1:8080; see $root/current/digitkit.toml for what to add"
    fi
    put digitkit.service "$unit"
    if [ -n "$top" ] || ! command -v systemctl >/dev/null; then
        say "the service is at $unit; it is not enabled, because systemctl is not available"
        return
    fi
    systemctl --quiet enable digitkit.service || die "the service cannot be enabled; the reason is above"
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        systemctl --no-block restart digitkit.service
        say "the service is running with $settings; to see its readings: journalctl -u digitkit -f"
        [ -z "$(fact web)" ] || ! grep -q '^\[serve\]' "$settings" ||
            say "its page: http://$(uname -n).local:8080, unless the settings say otherwise; the" \
                "token: sudo cat $token"
    else
        say "the service starts at the next boot, with $settings"
    fi
}

remove_others() {
    keep=$(readlink "$root/current") || keep=
    for folder in "$root"/versions/*; do
        [ ! -d "$folder" ] || [ "versions/${folder##*/}" = "$keep" ] || rm -rf "$folder" 2>/dev/null ||
            {
                left="$folder cannot be removed; if an install.sh was killed, try again once the \
processes that it started have ended"
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
                [ $# -gt 1 ] || die "--python requires a file"
                python=$2
                shift
                ;;
            -h | --help) usage; exit 0 ;;
            *) die "$1 is not an option; see ./install.sh --help" ;;
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
        settings=$top/etc/digitkit.toml token=$top/etc/digitkit-token
        unit=$top/etc/systemd/system/digitkit.service
    else
        [ -n "${HOME-}" ] || die "HOME is not set; set it to the home folder of the user to install for"
        case "$HOME" in /*) ;; *) die "HOME is $HOME; it must begin with /" ;; esac
        root=$HOME/.local/share/digitkit bin=$HOME/.local/bin settings='' unit='' token=''
        [ -z "${SUDO_USER-}" ] ||
            say "this installs for $(id -un) only, not for $SUDO_USER;" \
                "use --system to install for all users"
    fi
    lock=$root/.lock

    check_files
    check_machine
    check_glibc
    find_python
    check_own
    check_target
    trap finish EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    lock
    remove_others || die "$left" # left by an interrupted run
    before=$(readlink "$root/current") || before=
    name=$(fact version)-$(sha256sum SHA256SUMS | cut -c 1-8)-py$python_version
    case "$before" in
        "versions/$name" | "versions/$name".*)
            new=$root/$before
            if works "$new"; then
                say "digitkit $(fact version) is already installed, and it works"
                switch
                [ -z "$system" ] || service
                return
            fi
            say "digitkit $(fact version) is installed but does not work ($problem); rebuilding"
            ;;
    esac
    check_space
    new=$root/versions/$name
    number=1
    while [ -e "$new" ]; do # the version that is to be replaced
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
    say "installed: $bin/digitkit ($installed)"
    case ":$PATH:" in
        *":$bin:"*) ;;
        *) say "$bin is not on your PATH yet; log in again, or: PATH=\$PATH:$bin" ;;
    esac
    # Checks more of this machine than reading needs; no reason to undo the installation.
    if "$bin/digitkit" doctor --help >/dev/null 2>&1; then
        "$bin/digitkit" doctor || say "digitkit works; see the problems that doctor reports above"
    fi
}

main "$@"
exit
