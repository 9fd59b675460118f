#!/usr/bin/env bash
# Makes the results that must stay bit-identical when the program is rewritten: a run of each kind, a chain, a density, an allocation.
# Call it with each of two builds from the root of a source tree, then docs/compare/same_results.py FIRST SECOND:
#   same_results.sh PATH/dq.dll DATA OUT          DATA holds cifar-10-batches-bin, mnist and tiny-imagenet-200
set -euo pipefail
dq=$1 data=$2 out=$3
export OMP_NUM_THREADS=1
run() { echo "== $*"; dotnet "$dq" "$@" --artifacts "$out" --quiet >> "$out.log" 2>&1 || { echo "failed: $*"; tail -5 "$out.log"; exit 1; }; }
mkdir -p "$out"
small=(--set evaluation.limit=200 --set evaluation.frequency_images=200 --set training.checkpoint_every=20 --set training.validate_every=20 --set training.validation_images=100)
run run configs/quickstart.json --set training.steps=50
run run configs/cifar10-small.json --set data.path=$data/cifar-10-batches-bin --set data.limit=2000 --set training.steps=50 "${small[@]}"
run classify configs/classify-mnist.json --set training.warmup_steps=5 --set data.path=$data/mnist --set data.limit=4000 --set data.validation=500 --set training.steps=50 "${small[@]}"
run progressive configs/tiny-imagenet-progressive.json --set data.path=$data/tiny-imagenet-200 --set data.limit=500 --set data.validation=100 \
  --set progressive.stages.size16.steps=50 --set progressive.stages.size32.steps=20 --set 'progressive.stages.size64={"image_size":64,"epochs":0.3,"batch_size":16,"steps":null}' "${small[@]}"
run density --run quickstart-dq --images 100 --test-images 50 --seeds 2 --steps 20
run classify configs/allocate-classifier-cifar10.json --set training.warmup_steps=5 --set data.path=$data/cifar-10-batches-bin --set data.limit=2000 --set data.validation=500 --set training.steps=50 "${small[@]}"
run allocate configs/allocate-cifar10.json --set allocation.run=allocate-classifier-cifar10 \
  --set 'allocation.average_bits=[2,4]' --set allocation.calibration_images=32 --set allocation.test_images=64 --set allocation.online_images=2
