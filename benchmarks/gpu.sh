#!/usr/bin/env bash
# On a bare machine with one GPU: installs LLM4TOP and measures it there, in under 12 minutes.
#   bash benchmarks/gpu.sh [FOLDER FOR THE ENVIRONMENT]
set -euo pipefail
cd "$(dirname "$0")/.."
ENVIRONMENT=${1:-build/gpu}
if [ ! -x "$ENVIRONMENT/bin/python" ]; then
  python3 -m venv --system-site-packages "$ENVIRONMENT"
  # A torch that the machine brings is kept: the index may have none for its driver.
  "$ENVIRONMENT/bin/python" -c 'import torch' 2>/dev/null || "$ENVIRONMENT/bin/pip" install --quiet torch==2.13.0
  "$ENVIRONMENT/bin/pip" install --quiet --editable .
fi
exec timeout 600 "$ENVIRONMENT/bin/python" benchmarks/gpu.py "${@:2}"
