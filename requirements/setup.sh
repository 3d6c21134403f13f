#!/usr/bin/env bash
# Builds .venv from requirements/lock.txt. Runs again only when the lock or pyproject.toml changed.
# PYTHON=/path/to/python3.11 chooses the interpreter; pip's own settings choose where packages come from.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly venv=.venv
readonly stamp=$venv/.setup-stamp
readonly torch_requirement=$(sed -n 's/^ *"\(torch==[^"]*\)".*/\1/p' pyproject.toml)

say() { printf 'setup: %s\n' "$*"; }

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3.11 python3 python; do
    if [[ -n $candidate ]] && "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  cat >&2 <<'HELP'
setup: no Python 3.11 found (tried $PYTHON, python3.11, python3 and python).
  Debian, Ubuntu:  sudo apt-get install python3.11 python3.11-venv
  macOS:           brew install python@3.11
  anywhere:        uv python install 3.11   or   pyenv install 3.11
  Then run `make setup` again, or name the interpreter: make setup PYTHON=/path/to/python3.11
HELP
  exit 1
}

make_venv() {
  local python
  python=$(find_python)
  say "1/4 creating $venv with $("$python" --version)"
  rm -rf "$venv"
  if ! "$python" -m venv "$venv"; then
    rm -rf "$venv"
    say "$python cannot create environments: install its venv module (Debian, Ubuntu: python3.11-venv)" >&2
    exit 1
  fi
}

install_lock() {
  say "2/4 installing $(grep -c '^[A-Za-z0-9].*==' requirements/lock.txt) locked packages, hashes checked (a few minutes)"
  "$venv/bin/python" -m pip install --disable-pip-version-check --no-deps --require-hashes -r requirements/lock.txt
  say "3/4 installing $torch_requirement, the build for this platform"
  "$venv/bin/python" -m pip install --disable-pip-version-check "$torch_requirement"
}

install_project() {
  say "4/4 putting gaelp on $venv/bin"
  "$venv/bin/python" -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
}

hash_of() { "$venv/bin/python" -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$1"; }

started=$SECONDS
"$venv/bin/python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || make_venv
lock_line="lock $(hash_of requirements/lock.txt) $torch_requirement"
project_line="project $(hash_of pyproject.toml) $PWD"
if grep -qxF "$lock_line" "$stamp" 2>/dev/null && grep -qxF "$project_line" "$stamp"; then
  exit 0
fi
grep -qxF "$lock_line" "$stamp" 2>/dev/null || install_lock
install_project
printf '%s\n%s\n' "$lock_line" "$project_line" > "$stamp"
say "ready in $((SECONDS - started)) s: $venv/bin/gaelp --help"
