# Sets `python` to a Python that is new enough, or ends with a sentence. Sourced by the launchers in scripts/.
# PYTHON=/path/to/python names one.

python=
found=
for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 python; do
  [ -n "$candidate" ] || continue
  version=$("$candidate" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || continue
  if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    python=$candidate
    break
  fi
  found=${found:-"$candidate is Python $version"}
done

if [ -z "$python" ]; then
  echo "This needs Python 3.11 or newer, and here ${found:-"there is no Python"}." >&2
  echo "Install one (https://www.python.org/downloads/), or name it: PYTHON=/path/to/python3.11 $0" >&2
  exit 1
fi
