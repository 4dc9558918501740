#!/bin/sh
# Makes .venv from requirements.lock when needed, then runs the command line in it: ./app --help
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd -P)
venv="$root/.venv"

fail() { printf '%s\n' "$*" >&2; exit 1; }

# The environment is current when it was made from this lock, in this place.
current() {
  [ -x "$venv/bin/python" ] &&
    cmp -s "$root/requirements.lock" "$venv/.made-from/requirements.lock" &&
    [ "$(cat "$venv/.made-from/root" 2>/dev/null)" = "$root" ]
}

find_python() {
  for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
    if command -v "$name" >/dev/null 2>&1 &&
      "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      printf '%s' "$name"
      return
    fi
  done
  fail "Python 3.11 or newer is needed and none was found. Install it, or name it: PYTHON=/path/to/python3 ./app …"
}

install() {
  python=$(find_python)
  [ -n "$python" ] || exit 1
  echo "Installing into .venv (once; again when requirements.lock changes) …" >&2
  rm -rf "$venv"
  if command -v uv >/dev/null 2>&1; then
    uv venv --quiet --python "$python" "$venv" &&
      uv pip install --quiet --python "$venv/bin/python" --require-hashes -r "$root/requirements.lock" &&
      uv pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation -e "$root" ||
      { rm -rf "$venv"; fail "The installation failed: see above. Mend that and run the command again."; }
  else
    "$python" -m venv "$venv" || {
      rm -rf "$venv"
      fail "This Python cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv. Then run the command again."
    }
    pip() { "$venv/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }
    pip install --require-hashes -r "$root/requirements.lock" &&
      pip install --no-deps --no-build-isolation -e "$root" ||
      { rm -rf "$venv"; fail "The installation failed: see above. Mend that and run the command again."; }
  fi
  mkdir -p "$venv/.made-from"
  cp "$root/requirements.lock" "$venv/.made-from/"
  printf '%s' "$root" >"$venv/.made-from/root"
}

current || install
cd "$root"
exec "$venv/bin/python" -m cli "$@"
