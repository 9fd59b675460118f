"""Times the published logistic-mixture loss, forward and backward, to compare with DQ's.

usage: python3 likelihood.py FOLDER [--batch 32] [--side 32] [--threads 2] [--repeats 20]

FOLDER is a clone of the published implementation (it holds loss_utils.py). Prints one JSON line; milliseconds and bytes.
"""

import argparse
import json
import resource
import statistics
import sys
import time

import torch

parser = argparse.ArgumentParser(description="time the published logistic-mixture loss")
parser.add_argument("folder")
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--side", type=int, default=32)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--repeats", type=int, default=20)
options = parser.parse_args()

sys.path.insert(0, options.folder)
from loss_utils import dmol_loss  # noqa: E402

torch.set_num_threads(options.threads)
torch.manual_seed(0)
output = 0.5 * torch.randn(options.batch, 100, options.side, options.side)
for channel in range(3):
    output[:, 20 + 30 * channel : 30 + 30 * channel] -= 3  # log-scales as in training
output.requires_grad_(True)
pixels = torch.randint(0, 256, (options.batch, 3, options.side, options.side))
values = pixels / 127.5 - 1


def forward_and_backward():
    output.grad = None
    dmol_loss(output, values).mean().backward()


def forward():
    with torch.no_grad():
        dmol_loss(output, values).mean()


def median_ms(run):
    run()
    times = []
    for _ in range(options.repeats):
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    return round(statistics.median(times), 3)


resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(
    json.dumps(
        {
            "torch": torch.__version__,
            "threads": options.threads,
            "shape": list(output.shape),
            "forward_and_backward_ms": median_ms(forward_and_backward),
            "forward_ms": median_ms(forward),
            "peak_resident_growth_bytes": 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident),
        }
    )
)
