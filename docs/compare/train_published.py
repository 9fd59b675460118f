"""Trains the published implementation in the small CIFAR-10 setting, and measures it as this project does.

    python3 train_published.py --code DIR --data DIR [--kind dq|vq] [--steps 500] [--seed 0] [--threads 2]

DIR with the code: a clone of fostiropoulos/Depthwise-Quantization. DIR with the data: cifar-10-batches-bin.
Setting: 64 channels, 1 residual block, 2 coder blocks, K = [128 bottom, 256 top], M = 5, D = 64, mix, batch 32, Adam 2e-4,
gradient norm clipped at 2, float32, no augmentation. Reconstruction is measured on exact pixels (its own targets are
truncated) of the first 1,000 test images. Prints one JSON line per hundred steps; seconds are those of training alone.
"""

import argparse
import json
import pathlib
import resource
import sys
import time

import numpy as np
import torch

arguments = argparse.ArgumentParser()
arguments.add_argument("--code", required=True)
arguments.add_argument("--data", required=True)
arguments.add_argument("--kind", default="dq", choices=["dq", "vq"])
arguments.add_argument("--steps", type=int, default=500)
arguments.add_argument("--seed", type=int, default=0)
arguments.add_argument("--threads", type=int, default=2)
given = arguments.parse_args()

sys.path.insert(0, given.code)
import dataset  # noqa: E402  (the published code)
import dq  # noqa: E402

torch.set_num_threads(given.threads)
torch.manual_seed(given.seed)


def pixels(name):
    records = np.fromfile(pathlib.Path(given.data) / name, dtype=np.uint8).reshape(-1, 3073)
    return torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).copy())


def normalized(batch):
    mean = torch.tensor(dataset.IMG_MEAN).view(1, 3, 1, 1)
    deviation = torch.tensor(dataset.IMG_STD).view(1, 3, 1, 1)
    return (batch.float() / 255 - mean) / deviation


train = torch.cat([pixels(f"data_batch_{number}.bin") for number in range(1, 6)])
test = pixels("test_batch.bin")[:1000]

kind = dq.DQAE if given.kind == "dq" else dq.VQVAE
model = kind(
    loss_name="mix", vq_type=given.kind, n_logistic_mix=10, n_hier=[128, 256], beta=0.25, in_channel=3, channel=64,
    n_res_block=1, n_res_channel=64, n_coder_blocks=2, embed_dim=64, n_codebooks=5, stride=2, decay=0.99,
)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-4)
order = torch.randperm(len(train))


def evaluate():
    model.eval()
    total = 0.0
    with torch.no_grad():
        for batch in test.split(100):
            output, _, _ = model(normalized(batch))
            total += dq.mix_loss(output, batch.float() / 127.5 - 1).sum().item()
    model.train()
    return total / len(test)


model.train()
seconds = 0.0
for step in range(given.steps):
    batch = normalized(train[order[step * 32 : (step + 1) * 32]])
    started = time.perf_counter()
    model.zero_grad()
    _, _, (loss, reconstruction, latent) = model(batch)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 2)
    optimizer.step()
    loss.item()
    seconds += time.perf_counter() - started
    if (step + 1) % 100 == 0:
        print(
            json.dumps(
                {
                    "kind": given.kind, "seed": given.seed, "step": step + 1, "seconds": round(seconds, 1),
                    "test_reconstruction_nats_per_dim": round(evaluate(), 4),
                    "peak_resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                }
            ),
            flush=True,
        )
