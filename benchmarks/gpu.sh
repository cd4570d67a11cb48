#!/usr/bin/env bash
# Measures LLM4TOP on a machine with one GPU, in under 12 minutes.
#   bash benchmarks/gpu.sh          # --dry: all of it on a CPU with a small model, in a minute
# The machine's own Python is taken where it has what is needed (PYTHON names another one); else an
# environment is made in build/gpu, which needs the network.
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
python=${PYTHON:-python3}
if ! "$python" benchmarks/gpu.py --help >/dev/null 2>&1; then
  python=build/gpu/bin/python
  if [ ! -x "$python" ]; then
    python3 -m venv --system-site-packages build/gpu
    # A torch that the machine brings is kept: the index may have none for its driver.
    "$python" -c 'import torch' 2>/dev/null || "$python" -m pip install --quiet 'torch==2.13.*'
    "$python" -m pip install --quiet --editable .
  fi
fi
exec timeout 600 "$python" benchmarks/gpu.py "$@"
