#!/usr/bin/env bash
# Kills every long command with SIGKILL at random moments, KILLS times or more in all. Then it compares the final results with those
# of undisturbed runs: kills.sh PATH/dq.dll KILLS OUT, from the root of a source tree. Needs Python for the comparison.
set -euo pipefail
dq=$1 kills=$2 out=$3
here=$(dirname "$0")
export OMP_NUM_THREADS=1
RANDOM=7
small=(--set data.count=600 --set training.batch_size=16 --set training.checkpoint_every=8 --set training.validate_every=16 --set training.log_every=4)
start() { dotnet "$dq" "${command[@]}" --artifacts "$1" --quiet > "$out/log" 2>&1; }

# Runs the command in a folder to its end, and kills it after 0.6 to 4 seconds each time; adds to `killed`.
disturbed() {
  while :; do
    dotnet "$dq" "${command[@]}" --artifacts "$1" --quiet > "$out/log" 2>&1 &
    local process=$!
    sleep "$((RANDOM % 4)).$((RANDOM % 10))"; sleep 0.6
    if kill -KILL $process 2>/dev/null; then
      killed=$((killed + 1))
      wait $process 2>/dev/null || true
      [ $killed -lt "$each" ] || { start "$1" || { cat "$out/log"; exit 1; }; return; }
    else
      wait $process && return || { echo "exit code $? without a kill"; cat "$out/log"; exit 1; }
    fi
  done
}

prepared() { mkdir -p "$1"; [ ! -d "$out/base" ] || cp -r "$out/base/." "$1"; }

each=$(((kills + 5) / 6)) total=0
check() {
  local name=$1; shift
  command=("$@"); killed=0; round=0
  prepared "$out/$name/whole"; start "$out/$name/whole" || { cat "$out/log"; exit 1; }
  while [ $killed -lt $each ]; do
    round=$((round + 1)); prepared "$out/$name/$round"; disturbed "$out/$name/$round"
    python3 "$here/same_results.py" "$out/$name/whole" "$out/$name/$round" > "$out/$name/$round.txt"
    # lengths of logs hold digits of times, and a killed process leaves its lock; everything else is equal
    if grep -v "metrics_bytes\|checkpoints/step-.*json$" "$out/$name/$round.txt" | grep "differs\|only in"; then echo "$name: differs"; exit 1; fi
  done
  total=$((total + killed)); echo "$name: $killed kills in $round runs, all ended like the undisturbed one"
}

rm -rf "$out"; mkdir -p "$out"
check run run configs/quickstart.json "${small[@]}" --set training.steps=200 --variant dq
check sweep sweep configs/quickstart.json "${small[@]}" --set training.steps=60 --set 'sweep={"seeds":[0,1]}'
check progressive progressive configs/quickstart.json "${small[@]}" --set variants=null --set model.quantizer.kind=depthwise \
  --set 'progressive={"stages":{"a":{"image_size":8,"steps":100},"b":{"image_size":16,"steps":100}},"scratch":{}}'
check classify classify configs/classify-mnist.json --set data.path="${DATA:?the folder with mnist}/mnist" --set data.limit=2000 --set data.validation=200 \
  --set training.steps=150 --set training.warmup_steps=5 --set training.checkpoint_every=10 --set training.validate_every=30 --set training.validation_images=200
mkdir -p "$out/base"; cp -r "$out/classify/whole/." "$out/base"; command=(run configs/quickstart.json "${small[@]}" --set training.steps=20 --variant dq); start "$out/base"
check density density --run "$(basename "$out"/base/runs/*-quickstart-dq-*)" --images 300 --test-images 60 --seeds 6 --steps 60
check allocate allocate configs/allocate-cifar10.json --set allocation.run="$(basename "$out"/base/runs/*-classify-mnist-*)" --set allocation.layer=backbone.blocks.0 \
  --set 'allocation.average_bits=[1,2,3,4]' --set allocation.calibration_images=64 --set allocation.test_images=128 --set allocation.online_images=4
echo "$total kills"
