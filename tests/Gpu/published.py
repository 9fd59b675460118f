"""Times the published implementation's training step on a GPU, eager and compiled, in float32 and mixed precision.

    python3 published.py --code DIR [--setting paper] [--quantizer dq] [--batch 128] [--repetitions 30] [--modes …] [--warm]

DIR: a clone of fostiropoulos/Depthwise-Quantization. Each mode is printed as soon as it is measured, one JSON object per line:
seconds of a whole step (median, between events on the device), with the losses read in every step, as the published loop does.
Modes: float32, tf32, amp (float16 with a scaler, as published), bfloat16, and each with _compile. --warm only compiles.
"""

import argparse
import json
import statistics
import sys
import time

import torch

arguments = argparse.ArgumentParser()
arguments.add_argument("--code", required=True)
arguments.add_argument("--setting", default="paper", choices=["small", "paper"])
arguments.add_argument("--quantizer", default="dq", choices=["dq", "vq"])
arguments.add_argument("--batch", type=int, default=128)
arguments.add_argument("--repetitions", type=int, default=30)
arguments.add_argument("--device", default="cuda")
arguments.add_argument("--warm", action="store_true")
arguments.add_argument("--modes", default="float32,tf32,amp,bfloat16,amp_compile,bfloat16_compile")
given = arguments.parse_args()

sys.path.insert(0, given.code)
import dq  # noqa: E402  (the published code)

settings = {
    "small": dict(channel=64, n_res_block=1, n_res_channel=64),
    "paper": dict(channel=256, n_res_block=3, n_res_channel=256),
}[given.setting]
on_gpu = given.device.startswith("cuda")


def wait():
    if on_gpu:
        torch.cuda.synchronize()


def measured(mode):
    name, _, compiled = mode.partition("_")
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
    torch.backends.cudnn.allow_tf32 = name == "tf32"
    torch.backends.cudnn.benchmark = True
    model_class = dq.DQAE if given.quantizer == "dq" else dq.VQVAE
    model = model_class(
        loss_name="mix", vq_type=given.quantizer, n_logistic_mix=10, n_hier=[128, 256], beta=0.25, in_channel=3, n_coder_blocks=2,
        embed_dim=64, n_codebooks=5, stride=2, decay=0.99, **settings,
    ).to(given.device)
    model.train()
    run = torch.compile(model) if compiled else model
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-4)
    scaler = torch.amp.GradScaler(given.device, enabled=name == "amp" and on_gpu)
    kind = {"amp": torch.float16, "bfloat16": torch.bfloat16}.get(name)
    batches = [torch.randn(given.batch, 3, 32, 32, device=given.device) for _ in range(4)]

    def step(turn):
        model.zero_grad()
        with torch.autocast(given.device.split(":")[0], dtype=kind or torch.bfloat16, enabled=kind is not None):
            _, _, (loss, reconstruction, latent) = run(batches[turn % 4])
        [part.item() for part in (loss, reconstruction, latent)]
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2)
        scaler.step(optimizer)
        scaler.update()

    started = time.perf_counter()
    for turn in range(3):
        step(turn)
    wait()
    first = time.perf_counter() - started
    if given.warm:
        return {"first_steps": first}
    for turn in range(5):
        step(turn)
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    times = []
    for turn in range(given.repetitions):
        wait()
        started = time.perf_counter()
        step(turn)
        wait()
        times.append(time.perf_counter() - started)
    peak = torch.cuda.max_memory_allocated() if on_gpu else 0
    return {"step": statistics.median(times), "fastest": min(times), "peak_bytes": peak, "first_steps": first}


for mode in given.modes.split(","):
    try:
        report = measured(mode)
    except Exception as error:  # one mode that does not work must not hide the others
        report = {"error": f"{type(error).__name__}: {error}"[:300]}
    print(
        json.dumps({"setting": given.setting, "quantizer": given.quantizer, "batch": given.batch, "mode": mode, **report}), flush=True
    )
