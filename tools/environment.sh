#!/bin/sh
# Makes .venv, or brings it up to date when requirements.txt has changed: the first step of every verb of the Makefile.
# Needs nothing but Python >= 3.11. pip's own settings (PIP_INDEX_URL and the like) are respected.
set -eu
cd "$(dirname "$0")/.."

wanted=$(cksum requirements.txt tools/environment.sh | cksum)
stamp=.venv/requirements.stamp
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && exit 0

# Installs a package where this is Debian or Ubuntu: as root, or by sudo where it asks for no password. Says so first.
debian_install() {
    as_root=
    [ "$(id -u)" -eq 0 ] || as_root="sudo -n"
    command -v apt-get >/dev/null && { [ -z "$as_root" ] || $as_root true 2>/dev/null; } || return 1
    echo "Installing Debian's package $1 by \`${as_root:+$as_root }apt-get install $1\`."
    { $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends "$1"; } >/dev/null 2>&1
}

recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

if ! { [ -x .venv/bin/python ] && recent .venv/bin/python; }; then
    for python in "${PYTHON:-python3.11}" python3.12 python3.13 python3 python; do
        recent "$python" && break
        python=
    done
    if [ -z "$python" ]; then
        echo "This book needs Python 3.11 or later; none was found on the PATH. Install it, or name it: make PYTHON=/path/to/python3.11 ..." >&2
        exit 1
    fi
    echo "Making .venv with $($python --version), once; some minutes."
    "$python" -m venv --clear .venv >/dev/null 2>&1 || { debian_install python3-venv && "$python" -m venv --clear .venv; } || {
        echo "The module venv did not work. On Debian and Ubuntu: apt-get install python3-venv" >&2
        exit 1
    }
fi

pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }
# torch alone first: its wheel decides what else it needs. Then the rest, and last the packages that would ask for other
# versions of torch or for what the book does not use. Zennit asks for Python 3.11.11 or later, and works with all of 3.11.
pip install --quiet "$(grep '^torch==' requirements.txt)"
pip install --quiet -r requirements.txt
# shellcheck disable=SC2046  # one word a package
pip install --quiet --no-deps --ignore-requires-python $(sed -n 's/^# no-deps: //p' requirements.txt)

echo "$wanted" >"$stamp"
