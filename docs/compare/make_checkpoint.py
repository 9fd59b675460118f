"""Trains a small model of the published implementation for a few batches and saves it as that implementation does.

    python3 make_checkpoint.py --code DIR --data DIR -o FILE.pt [--kind dq|vq] [--loss mse|ce|mix] [--steps 20] [--seed 0]

DIR with the code: a clone of fostiropoulos/Depthwise-Quantization. DIR with the data: cifar-10-batches-bin.
`dq import` reads the file; use_published.py prints what the model computes.
"""

import argparse
import pathlib
import sys

import numpy as np
import torch

arguments = argparse.ArgumentParser()
arguments.add_argument("--code", required=True)
arguments.add_argument("--data", required=True)
arguments.add_argument("-o", "--output", required=True)
arguments.add_argument("--kind", default="dq", choices=["dq", "vq"])
arguments.add_argument("--loss", default="mix", choices=["mse", "ce", "mix"])
arguments.add_argument("--steps", type=int, default=20)
arguments.add_argument("--seed", type=int, default=0)
given = arguments.parse_args()

sys.path.insert(0, given.code)
import dataset  # noqa: E402  (the published code)
import utils  # noqa: E402

torch.manual_seed(given.seed)
records = np.fromfile(pathlib.Path(given.data) / "data_batch_1.bin", dtype=np.uint8).reshape(-1, 3073)
pixels = torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).copy())
mean = torch.tensor(dataset.IMG_MEAN).view(1, 3, 1, 1)
deviation = torch.tensor(dataset.IMG_STD).view(1, 3, 1, 1)

config = utils.ModelConfig()
# texts, as from an INI file
config.load(
    vq_type=given.kind, loss_name=given.loss, channel="32", n_res_block="1", n_res_channel="32", n_coder_blocks="2",
    embed_dim="16", n_codebooks="4", n_hier="[64, 128]", stride="2",
)
model = utils.create_dq(config)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-4)
scaler = torch.cuda.amp.GradScaler(enabled=False)
model.train()
losses = []
for step in range(given.steps):
    batch = (pixels[32 * step : 32 * (step + 1)].float() / 255 - mean) / deviation
    model.zero_grad()
    _, _, (loss, _, _) = model(batch)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 2)
    optimizer.step()
    losses.append(loss.item())
stats = {"cur_epoch": 0, "iters": given.steps, "best_loss": float("inf"), "train_loss": np.mean(losses)}
utils.save_dq(model, optimizer, scaler.state_dict(), config, stats, given.output)
print(f"{given.output}: {given.steps} steps, loss {losses[0]:.4f} to {losses[-1]:.4f}")
