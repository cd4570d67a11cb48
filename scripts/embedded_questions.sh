#!/usr/bin/env bash
# Make the embedded models of the other questions again: scripts/embedded_questions.sh DATA WORK
#   DATA  holds registry/, labels/ and extra/ as question_rows.py describes them
#   WORK  keeps the finished bundles
# Nine minutes of one CPU core. No trial of TOP's validation or test files is read for more than
# its id.
set -euo pipefail

data=$1 work=$2
llm4top=${LLM4TOP:-llm4top} python=${PYTHON:-python}
here=$(dirname "$0")
package=$here/../src/llm4top/embedded_questions
mkdir -p "$work"

"$python" "$here/embedded_questions.py" "$data" --out "$work/questions"
rm -rf "$package"
cp -r "$work/questions" "$package"
for bundle in "$package"/*; do
  "$llm4top" bundle verify "$bundle"
done
