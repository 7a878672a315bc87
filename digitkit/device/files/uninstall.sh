#!/bin/sh
# Removes what install.sh installed.
#
#   ./uninstall.sh             this user's installation
#   ./uninstall.sh --system    /opt/digitkit and the service (needs root)
#   --purge                    also the settings, the profile and the token in /etc, the logs, and
#                              the history with its corrections
#   --yes                      do not ask for confirmation
set -eu

say() { printf '%s\n' "$*"; }
die() { printf 'uninstall.sh: %s\n' "$*" >&2; exit 1; }
usage() { sed -n '2,/^set -eu/{/^set -eu/d;s/^# \{0,1\}//;p;}' "$0"; }

main() {
    system='' purge='' yes=''
    for option; do
        case "$option" in
            --system) system=1 ;;
            --purge) purge=1 ;;
            --yes) yes=1 ;;
            -h | --help) usage; exit 0 ;;
            *) die "$option is not an option; see ./uninstall.sh --help" ;;
        esac
    done
    top=${DIGITKIT_TOP-} # a folder that stands for / in tests
    if [ -n "$system" ]; then
        [ "$(id -u)" = 0 ] || die "--system needs root: sudo ./uninstall.sh --system"
        root=$top/opt/digitkit link=$top/usr/local/bin/digitkit
        settings=$top/etc/digitkit.toml unit=$top/etc/systemd/system/digitkit.service
    else
        [ -n "${HOME-}" ] || die "HOME is not set; set it to the home folder of the user"
        case "$HOME" in /*) ;; *) die "HOME is $HOME; it must begin with /" ;; esac
        root=$HOME/.local/share/digitkit link=$HOME/.local/bin/digitkit settings='' unit=''
    fi
    [ ! -L "$root" ] || die "$root is a link to $(readlink "$root"), whose files may be someone" \
        "else's; remove the link"
    for path in "$settings" "$unit"; do
        [ ! -d "$path" ] || die "$path is a folder; move it away"
    done
    if [ ! -d "$root/versions" ]; then
        other="use --system to remove a system-wide installation"
        [ -z "$system" ] || other="omit --system to remove a user's installation"
        die "$root: nothing is installed there; $other"
    fi
    holder=$(readlink "$root/.lock") || holder=
    if [ -n "$holder" ] && grep -aq 'install\.sh' "/proc/$holder/cmdline" 2>/dev/null; then
        die "an install.sh (process $holder) is running; wait for it"
    fi
    if [ -z "$yes" ]; then
        printf 'Remove %s? [y/N] ' "$root"
        read -r answer || answer=
        case "$answer" in y | Y | yes) ;; *) die "nothing was removed; use --yes to skip this question" ;; esac
    fi
    if [ -n "$unit" ]; then
        if [ -z "$top" ] && command -v systemctl >/dev/null; then
            now=--now
            [ -d /run/systemd/system ] || now=
            # shellcheck disable=SC2086 # no argument if empty
            systemctl --quiet disable $now digitkit.service || true
        fi
        rm -f "$unit"
        [ -n "$top" ] || [ ! -d /run/systemd/system ] || systemctl daemon-reload
    fi
    case $(readlink "$link") in "$root"/*) rm -f "$link" ;; esac
    cd /
    rm -rf "$root" || die "$root cannot be removed; the reason is above"
    if [ -n "$purge" ] && [ -n "$settings" ]; then
        rm -f "$settings" "$top/etc/digitkit-profile.json" "$top/etc/digitkit-token"
        rm -rf "$top/var/log/digitkit" "$top/var/log/private/digitkit" \
            "$top/var/lib/digitkit" "$top/var/lib/private/digitkit"
    elif [ -n "$settings" ] && [ -f "$settings" ]; then
        say "$settings, the logs and the history are kept; --purge removes them"
    fi
    say "removed $root"
}

main "$@"
exit
