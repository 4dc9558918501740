#!/bin/sh
# Makes .venv from the locks when needed, then runs the command line in it: ./app --help
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd -P)
venv="$root/.venv"

# The environment is current when it was made from these locks, in this place.
current() {
  [ -x "$venv/bin/python" ] || return 1
  for name in requirements.lock requirements-dev.lock; do
    cmp -s "$root/$name" "$venv/.made-from/$name" || return 1
  done
  [ "$(cat "$venv/.made-from/root" 2>/dev/null)" = "$root" ]
}

# Whether $1 is a Python of a version that the locks hold for.
fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' >/dev/null 2>&1; }

find_python() {
  if [ -n "${PYTHON:-}" ]; then
    fits "$PYTHON" && { printf '%s' "$PYTHON"; return; }
    problem="PYTHON=$PYTHON is no such Python"
  else
    for name in python3 python3.14 python3.13 python3.12 python3.11 python; do
      fits "$name" && { printf '%s' "$name"; return; }
    done
    problem="none was found"
  fi
  printf '%s\n' "Python 3.11 to 3.14 is needed, and $problem. Install one, or name it: PYTHON=/path/to/python3 ./app …" >&2
  return 1
}

if ! current; then
  python=$(find_python) || exit 1
  "$python" -I "$root/platform/cli/install.py" || exit $?
fi
cd "$root"
exec "$venv/bin/python" -m cli "$@"
