#!/usr/bin/env bash
# Runs the small CIFAR-10 setting with this program and with the published implementation, one after the other, on one machine.
#
#   docs/compare/cifar10_small.sh CODE DATA     clone of the published code; folder with data_batch_1.bin …
#
# Our time is the wall-clock time of the whole command (with ingesting, k-means, validation and checkpoints). Theirs is that of
# the training steps alone. DQ names the program (default: dq), PYTHON the interpreter with PyTorch.
set -euo pipefail
code=$1 data=$2
here=$(cd "$(dirname "$0")" && pwd)
artifacts=$(mktemp -d)
for kind in ${KINDS:-dq}; do
  started=$(date +%s.%N)
  ${DQ:-dq} --artifacts "$artifacts" --quiet train "$here/../../configs/cifar10-small.json" --set data.path="$data" --variant "$kind"
  echo "ours, $kind: $(echo "$(date +%s.%N) - $started" | bc) s"
  ${PYTHON:-python3} "$here/train_published.py" --code "$code" --data "$data" --kind "$kind"
done
echo "evaluate ours: ${DQ:-dq} --artifacts $artifacts run configs/cifar10-small.json --set data.path=$data"
