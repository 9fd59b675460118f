"""Rates of a GPU, beside which measured times stand: a copy on the device and matrix products. One JSON object per line."""

import json
import statistics

import torch


def seconds(work, repetitions=20):
    for _ in range(3):
        work()
    times = []
    for _ in range(repetitions):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        work()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) / 1000)
    return statistics.median(times)


print(json.dumps({"device": torch.cuda.get_device_name(), "torch": torch.__version__}), flush=True)
source = torch.randn(512 * 1024 * 1024, device="cuda")
target = torch.empty_like(source)
print(json.dumps({"copy_bytes_per_second": 2 * 4 * source.numel() / seconds(lambda: target.copy_(source))}), flush=True)
del source, target
size = 8192
for name, kind, tf32 in (("float32", torch.float32, False), ("tf32", torch.float32, True), ("bfloat16", torch.bfloat16, False)):
    torch.backends.cuda.matmul.allow_tf32 = tf32
    a, b = (torch.randn(size, size, device="cuda", dtype=kind) for _ in range(2))
    print(json.dumps({f"product_{name}_flops_per_second": 2 * size**3 / seconds(lambda: a @ b)}), flush=True)
