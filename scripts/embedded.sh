#!/usr/bin/env bash
# Make the embedded model again: scripts/embedded.sh DATA WORK
#   DATA  holds registry/AllPublicXML-sample.zip (any registry dump will do) and top/ (TOP's CSV
#         files); extra/ may hold registry_extra.jsonl and top_extra.csv (see extra_records.py)
#   WORK  keeps the pre-trained base model and all that is finished: run it again to go on
# About 40 minutes of one CPU core that computes in bfloat16, longer elsewhere. No trial of TOP's test files is read where they are there.
set -euo pipefail

data=$1 work=$2
llm4top=${LLM4TOP:-llm4top} python=${PYTHON:-python}
here=$(dirname "$0")
package=$here/../src/llm4top/embedded
mkdir -p "$work"

if [[ ! -e $work/base ]]; then
  texts=("$data/registry/AllPublicXML-sample.zip" "$data"/top/phase_*_train.csv "$data"/top/phase_*_valid.csv)
  for file in registry_extra.jsonl top_extra.csv; do
    if [[ -e $data/extra/$file ]]; then
      "$python" "$here/extra_records.py" "$data/extra/$file" "$work/${file%.*}.json"
      texts+=("$work/${file%.*}.json")
    fi
  done
  without=()
  for file in "$data"/top/phase_*_test.csv; do
    [[ -e $file ]] && without+=(--without "$file")
  done
  "$llm4top" pretrain "${texts[@]}" "${without[@]}" --plain-text --hidden 192 --layers 3 --heads 4 \
    --context 384 --batch-size 8 --learning-rate 2e-3 --max-tokens 4600000 --out "$work/base"
fi
"$python" "$here/embedded.py" "$data" "$work/base" "$work" --out "$work/bundle"
rm -rf "$package"
cp -r "$work/bundle" "$package"
"$llm4top" bundle verify "$package"
