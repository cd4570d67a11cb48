#!/usr/bin/env bash
# Make the embedded model again: scripts/embedded.sh DATA WORK
#   DATA  holds registry/AllPublicXML-sample.zip (any registry dump will do) and top/ (TOP's CSV files)
#   WORK  a folder for the pre-trained base model, the data set and the run
# About an hour on two CPU cores. The trials of TOP's validation files are left out of pre-training.
set -euo pipefail

data=$1 work=$2
llm4top=${LLM4TOP:-llm4top}
mkdir -p "$work"

without=()
for file in "$data"/top/phase_*_valid.csv "$data"/top/phase_*_test.csv; do
  [[ -e $file ]] && without+=(--without "$file")
done
"$llm4top" pretrain "$data"/registry/AllPublicXML-sample.zip "$data"/top/phase_*_train.csv \
  "${without[@]}" --max-tokens 4500000 --out "$work/registry-7m"
"$llm4top" ingest "$data/top" --out "$work/top"
"$llm4top" train --config "$(dirname "$0")/embedded.yaml" \
  --data "$work/top" --base "$work/registry-7m" --out "$work/run"

package=$(dirname "$0")/../src/llm4top/embedded
rm -rf "$package"
cp -r "$work/run/bundle" "$package"
"$llm4top" bundle verify "$package"
