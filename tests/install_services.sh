#!/usr/bin/env bash
# Make sure that the programs that the tests start on free ports are there: PostgreSQL, a browser (Chromium),
# and an S3-compatible store (OpenStack Swift, in a virtual environment of its own: .venv/swift).
set -euo pipefail

python="$(cd "$(dirname "$0")/.." && pwd)/.venv/bin/python"
swift="$(dirname "$(dirname "$python")")/swift"
if [ -x "$python" ] && ! [ -x "$swift/bin/swift-proxy-server" ]; then
    echo "Installing OpenStack Swift for the tests into .venv/swift (about 10 seconds, once)."
    "$python" -m venv "$swift"
    "$swift/bin/python" -m pip install --quiet --quiet --disable-pip-version-check swift==2.38.3
fi

has_postgresql() { command -v initdb >/dev/null 2>&1 || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
has_chromium() { command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1; }

missing=()
has_postgresql || missing+=(postgresql)
has_chromium || missing+=(chromium)
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi

if ! command -v apt-get >/dev/null 2>&1; then
    echo "The tests need PostgreSQL's server programs (initdb, postgres) and Chromium; missing: ${missing[*]}." >&2
    echo "Install them with your package manager." >&2
    exit 1
fi
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo -n"
echo "Installing for the tests, as Debian packages: ${missing[*]} (Chromium needs about 300 MB)."
if ! has_postgresql; then
    # Without this, Debian's package would set up and start a server on the standard port.
    $as_root mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] ||
        echo 'create_main_cluster = false' | $as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
fi
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
has_postgresql || { echo "PostgreSQL was installed, but initdb is not where Debian puts it." >&2; exit 1; }
has_chromium || { echo "Chromium was installed, but is not on PATH." >&2; exit 1; }
