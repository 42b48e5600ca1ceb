#!/usr/bin/env bash
# Everything that needs a CUDA device, into one JSON: tests/gpu/run.sh [OUT.json] [--quick] [--bundle DIR].
# Without a device it runs nothing, says why in the JSON, and ends with 0. PYTHON names another interpreter.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
command -v "$python" >/dev/null || python=python3
export PYTHONPATH="$root/tests:$root${PYTHONPATH:+:$PYTHONPATH}"
exec "$python" -m gpu.measure "$@"
