"""Times `dq bench` and the published implementation in turn on one machine, and prints their ratios as a table.

    python3 speed.py --code DIR --data DIR [--dq "dq"] [--setting small|paper] [--rounds 3] [--repetitions 20] [--threads 2] [--batch 32]

Both run the same weights and codebooks (ours after one training step, exported under the published names), batches of
equally many real CIFAR-10 images, float32, and equally many threads. Rounds alternate, so that other load on the machine affects both;
figures are medians over the rounds. The time outside convolutions is the step's time less the time inside them. For the published
implementation the profiler measures the latter. Here every convolution of a step is repeated alone, with warmer caches than in a
step, so that the time outside is at most the difference.
"""

import argparse
import json
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import tempfile

arguments = argparse.ArgumentParser()
arguments.add_argument("--code", required=True)
arguments.add_argument("--data", required=True)
arguments.add_argument("--dq", default="dq")
arguments.add_argument("--setting", default="small", choices=["small", "paper"])
arguments.add_argument("--rounds", type=int, default=3)
arguments.add_argument("--repetitions", type=int, default=20)
arguments.add_argument("--batch", type=int, default=32)
arguments.add_argument("--threads", type=int, default=2)
given = arguments.parse_args()

here = pathlib.Path(__file__).resolve().parent
config = here.parent.parent / "configs" / {"small": "cifar10-small.json", "paper": "cifar10.json"}[given.setting]
artifacts = tempfile.mkdtemp()
common = [str(config), "--set", f"data.path={given.data}", "--set", f"training.batch_size={given.batch}", "--variant", "dq"]


def dq(*words):
    command = [*shlex.split(given.dq), "--artifacts", artifacts, "--quiet", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


trained = json.loads(dq("train", *common, "--set", "training.steps=1", "--json"))["runs"][0]["id"]
weights = os.path.join(artifacts, "weights.safetensors")
dq("export", trained, "-o", weights, "--names", "reference")


def ours():
    words = ["--run", trained, "--repetitions", str(given.repetitions), "--threads", str(given.threads), "--json"]
    record = json.loads(dq("bench", *common, *words))
    seconds = {part["name"]: part["median_seconds"] for part in record["parts"]}
    memory = {part["name"]: part.get("peak_growth_bytes") for part in record["parts"]}
    inside = seconds["convolutions/forward"] + seconds["convolutions/backward"]
    return {
        "whole step": seconds["step"],
        "outside convolutions": seconds["step"] - inside,
        "convolutions": inside,
        "quantizer, bottom level": seconds["quantizer/0"],
        "quantizer, top level": seconds["quantizer/1"],
        "mixture loss, forward and backward": seconds["likelihood"],
        "mixture loss, temporary memory, MB": memory["likelihood"] / 1e6,
        "clipping and optimizer": seconds["step/optimizer"],
        "peak resident memory, MB": record["peak_resident_bytes"] / 1e6,
    }


def theirs():
    command = [sys.executable, str(here / "bench_published.py"), "--code", given.code, "--data", given.data]
    command += ["--setting", given.setting, "--weights", weights, "--threads", str(given.threads)]
    command += ["--repetitions", str(given.repetitions), "--batch", str(given.batch)]
    record = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    inside = record["step"] * record["convolution_share"]
    return {
        "whole step": record["step"],
        "outside convolutions": record["step"] - inside,
        "convolutions": inside,
        "quantizer, bottom level": record["quantizer/0"],
        "quantizer, top level": record["quantizer/1"],
        "mixture loss, forward and backward": record["likelihood"],
        "mixture loss, temporary memory, MB": record["likelihood_growth_bytes"] / 1e6,
        "clipping and optimizer": record["optimizer"],
        "peak resident memory, MB": record["peak_resident_bytes"] / 1e6,
    }


rounds = [(theirs(), ours()) for _ in range(given.rounds)]
print(f"{given.setting} setting, {given.threads} threads, batch {given.batch}, {given.rounds} rounds; milliseconds unless said")
print("| part | published | dq | ratio |\n|---|---|---|---|")
for part in rounds[0][0]:
    scale = 1 if "MB" in part else 1e3
    published, dq_median = (statistics.median(side[part] for side in sides) * scale for sides in zip(*rounds))
    print(f"| {part} | {published:.1f} | {dq_median:.1f} | {published / dq_median:.2f} |")
