#!/usr/bin/env bash
# Resolves pyproject.toml into requirements/lock.txt, hashes included. Pins stay where they still resolve,
# unless UPGRADE is set. torch and what only its CUDA build needs stay out: each platform installs its own.
# Package sources come from pip's own settings and are not written to the lock.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly bin=$PWD/.venv/bin
readonly lock=requirements/lock.txt

pip_setting() {
  "$bin/python" -m pip config list |
    sed -n "s/^\(:env:\|global\|user\|site\)\.$1='\(.*\)'$/\2/p" | tr ' ' '\n' | sort -u | paste -sd "$2" -
}

export UV_FIND_LINKS UV_INDEX UV_INDEX_STRATEGY=unsafe-best-match
UV_FIND_LINKS=$(pip_setting find-links ,)
UV_INDEX=$(pip_setting extra-index-url ' ')

resolved=$(mktemp)
trap 'rm -f "$resolved"' EXIT
cp "$lock" "$resolved"
"$bin/uv" pip compile pyproject.toml --extra dev --extra benchmark --extra sandbox --generate-hashes --python-version 3.11 --quiet \
  --no-emit-find-links --no-emit-index-url --no-header --no-annotate ${UPGRADE:+--upgrade} --output-file "$resolved"
awk '/^[A-Za-z0-9]/ { keep = $0 !~ /^(torch|triton|nvidia-[a-z0-9-]*|cuda-[a-z0-9-]*)==/ } keep' "$resolved" > "$lock"
echo "$lock: $(grep -c '^[A-Za-z0-9].*==' "$lock") packages; make setup installs them"
