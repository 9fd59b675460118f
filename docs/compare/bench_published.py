"""Times the parts of the published implementation's training step, to compare with `dq bench`.

    python3 bench_published.py --code DIR --data DIR [--setting small|paper] [--weights FILE] [--repetitions 20] [--threads 2] [--batch 32]

DIR with the code: a clone of fostiropoulos/Depthwise-Quantization. DIR with the data: cifar-10-batches-bin. FILE: made by
`dq export --names reference`, so that both run the same weights. The batch is the first images of data_batch_1.bin.
Prints one JSON object: seconds (medians), with the share of a step that the profiler finds inside convolutions.
"""

import argparse
import ctypes
import json
import pathlib
import resource
import statistics
import sys
import time

import numpy as np
import torch

from weights_file import read_safetensors

arguments = argparse.ArgumentParser()
arguments.add_argument("--code", required=True)
arguments.add_argument("--data", required=True)
arguments.add_argument("--setting", default="small", choices=["small", "paper"])
arguments.add_argument("--weights")
arguments.add_argument("--repetitions", type=int, default=20)
arguments.add_argument("--batch", type=int, default=32)
arguments.add_argument("--threads", type=int, default=2)
given = arguments.parse_args()

sys.path.insert(0, given.code)
import dataset  # noqa: E402  (the published code)
import dq  # noqa: E402
from loss_utils import dmol_loss  # noqa: E402

torch.set_num_threads(given.threads)
torch.manual_seed(0)

settings = {
    "small": dict(channel=64, n_res_block=1, n_res_channel=64),
    "paper": dict(channel=256, n_res_block=3, n_res_channel=256),
}[given.setting]
batch_size = given.batch
model = dq.DQAE(
    loss_name="mix", vq_type="dq", n_logistic_mix=10, n_hier=[128, 256], beta=0.25, in_channel=3, n_coder_blocks=2,
    embed_dim=64, n_codebooks=5, stride=2, decay=0.99, **settings,
)
if given.weights:
    tensors, _ = read_safetensors(given.weights)
    model.load_state_dict(tensors, strict=True)

records = np.fromfile(pathlib.Path(given.data) / "data_batch_1.bin", dtype=np.uint8, count=8 * batch_size * 3073)
images = torch.from_numpy(records.reshape(-1, 3073)[:, 1:].reshape(-1, 3, 32, 32).copy())
mean = torch.tensor(dataset.IMG_MEAN).view(1, 3, 1, 1)
deviation = torch.tensor(dataset.IMG_STD).view(1, 3, 1, 1)
batches = [(batch.float() / 255 - mean) / deviation for batch in images.split(batch_size)]
optimizer = torch.optim.Adam(model.parameters(), lr=2e-4)
turn = 0


def step():
    global turn
    turn += 1
    model.zero_grad()
    _, _, (loss, _, _) = model(batches[turn % len(batches)])
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 2)
    optimizer.step()
    loss.item()


def median(work, repetitions=given.repetitions):
    for _ in range(min(3, repetitions)):
        work()
    times = []
    for _ in range(repetitions):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


model.train()
report = {"setting": given.setting, "torch": torch.__version__, "threads": given.threads, "batch_size": batch_size}
report["step"] = median(step)
report["peak_resident_bytes"] = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
    for _ in range(3):
        step()
events = profile.key_averages()
inside = sum(
    event.self_cpu_time_total
    for event in events
    if any(name in event.key for name in ("mkldnn_convolution", "convolution_backward", "slow_conv", "thnn_conv"))
)
report["convolution_share"] = inside / sum(event.self_cpu_time_total for event in events)

# The M codebooks of the levels, each on its own slice: forward and moving-average update
for level, (codebooks, side) in enumerate(zip(model.quantizers, (8, 4))):
    slices = [torch.randn(batch_size, side, side, 64, requires_grad=True) for _ in codebooks]
    report[f"quantizer/{level}"] = median(lambda: [codebook(part) for codebook, part in zip(codebooks, slices)])

model.eval()
with torch.no_grad():
    output = model(batches[0])[0].clone()
output.requires_grad_(True)
values = images[:batch_size] / 127.5 - 1


def likelihood():
    output.grad = None
    dmol_loss(output, values).mean().backward()


def status(key):
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(key)).split()[1])


likelihood()
output.grad = None
ctypes.CDLL(None).malloc_trim(0)  # freed memory back to the system, so that growth shows
pathlib.Path("/proc/self/clear_refs").write_text("5")  # resets the peak
resident = status("VmRSS:")
report["likelihood"] = median(likelihood)
report["likelihood_growth_bytes"] = status("VmHWM:") - resident

for parameter in model.parameters():
    parameter.grad = torch.randn_like(parameter)


def update():
    torch.nn.utils.clip_grad_norm_(model.parameters(), 2)
    optimizer.step()


report["optimizer"] = median(update)
print(json.dumps(report))
