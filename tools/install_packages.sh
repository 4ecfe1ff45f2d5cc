#!/bin/sh
# Installs what building and testing Kolam needs from Debian's packages, when it's missing.
# usage: install_packages.sh build|test
set -eu

build="gcc g++ make meson ninja-build pkg-config ca-certificates python3 tzdata nodejs npm
 libmicrohttpd-dev libsimdjson-dev libsqlite3-dev libargon2-dev libssl-dev libzstd-dev
 zlib1g-dev libxxhash-dev"
test="libcmocka-dev clang-14 libclang-rt-14-dev clang-format-14 chromium curl git"

wanted="$build"
[ "${1:-build}" = test ] && wanted="$build $test"

missing=""
for package in $wanted; do
    case $package in
    # A newer Node.js than Debian's may be there already.
    nodejs) command -v node >/dev/null 2>&1 && continue ;;
    npm) command -v npm >/dev/null 2>&1 && continue ;;
    python3) command -v python3 >/dev/null 2>&1 && continue ;;
    esac
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
        missing="$missing $package"
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null 2>&1; then
        exec sudo sh "$0" "$@"
    fi
    echo "These packages are missing; install them as root:$missing" >&2
    exit 4
fi
echo "Installing from Debian (a minute or two):$missing" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
