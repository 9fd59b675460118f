"""Runs weights in the published implementation on test images of CIFAR-10, to compare with `dq evaluate`.

    python3 use_published.py --code DIR --data DIR FILE [--images 1000] [--like OTHER] [--parity OUT.safetensors]

FILE is a checkpoint of the published code (.pt) or a file made by `dq export --names reference` (.safetensors), loaded with
load_state_dict(strict=True). Prints the reconstruction loss on exact pixels (the published targets are truncated), in nats
per dimension or as squared error on normalized values. --like also runs another such file and prints the largest difference
of the outputs. --parity records weights, outputs, codes and losses on the first four images for `dq verify`.
"""

import argparse
import json
import pathlib
import sys

import numpy as np
import torch

from weights_file import read_safetensors, write_safetensors

arguments = argparse.ArgumentParser()
arguments.add_argument("--code", required=True)
arguments.add_argument("--data", required=True)
arguments.add_argument("file")
arguments.add_argument("--images", type=int, default=1000)
arguments.add_argument("--like")
arguments.add_argument("--parity")
given = arguments.parse_args()

sys.path.insert(0, given.code)
import dataset  # noqa: E402  (the published code)
import dq  # noqa: E402
import utils  # noqa: E402

def settings(spec):
    """The published constructor's arguments for a spec of ours."""
    return dict(
        loss_name={"squared_error": "mse", "categorical": "ce", "logistic_mixture": "mix"}[spec["likelihood"]["kind"]],
        vq_type={"depthwise": "dq", "vector": "vq"}[spec["quantizer"]["kind"]],
        n_logistic_mix=spec["likelihood"]["components"], n_hier=spec["codes"], beta=spec["quantizer"]["commitment"],
        in_channel=spec["image_channels"], channel=spec["channels"], n_res_block=spec["residual_blocks"],
        n_res_channel=spec["residual_channels"], n_coder_blocks=spec["coder_blocks"], embed_dim=spec["code_width"],
        n_codebooks=spec["codebooks"], stride=spec["stride"], decay=spec["quantizer"]["decay"],
    )


def load(path):
    if path.endswith(".safetensors"):
        tensors, metadata = read_safetensors(path)
        chosen = settings(json.loads(metadata["spec"]))
        model = (dq.DQAE if chosen["vq_type"] == "dq" else dq.VQVAE)(**chosen)
        model.load_state_dict(tensors, strict=True)
    else:
        model, _, _, _, _ = utils.load_dq("cpu", save_path=path, verbose=False, use_amp=False)
    return model.eval()


def normalized(batch):
    mean = torch.tensor(dataset.IMG_MEAN).view(1, 3, 1, 1)
    deviation = torch.tensor(dataset.IMG_STD).view(1, 3, 1, 1)
    return (batch.float() / 255 - mean) / deviation


def losses(model, output, batch):
    """Per image, on exact pixels."""
    if model.loss_name == "mse":
        return (output - normalized(batch)).square().mean([1, 2, 3])
    if model.loss_name == "mix":
        return dq.mix_loss(output, batch.float() / 127.5 - 1).reshape(len(batch), -1).mean(1)
    logits = output.view(len(batch), 256, -1, *output.shape[2:])
    return torch.nn.functional.cross_entropy(logits, batch.long(), reduction="none").mean([1, 2, 3])


def record(model, batch, path):
    """The quantities `dq verify` compares, with the published code's own (truncated) targets for its losses."""
    inputs = normalized(batch)
    model.zero_grad()
    output, codes, (loss, reconstruction, latent) = model(inputs)
    loss.backward()
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"eval.grad.{name}": value.grad for name, value in model.named_parameters()}
    tensors |= {f"eval.codes.{level}": value for level, value in enumerate(codes)}  # top to bottom
    tensors |= {
        "input.pixels": batch, "input.normalized": inputs, "input.target_pixels": dataset.denorm_batch(inputs).to(torch.uint8),
        "eval.decoder_output": output, "eval.loss": loss.reshape(1), "eval.reconstruction_loss": reconstruction.reshape(1),
        "eval.latent_loss": latent.reshape(1),
    }
    names = ["channel", "n_res_block", "n_res_channel", "n_coder_blocks", "embed_dim", "n_codebooks", "stride", "loss_name", "vq_type", "beta"]
    metadata = {name: str(getattr(model, name)) for name in names}
    metadata |= {"n_hier_bottom_to_top": str(list(model.n_hier)), "mixtures": str(model.n_logistic_mix)}
    write_safetensors(path, tensors, metadata)


records = np.fromfile(pathlib.Path(given.data) / "test_batch.bin", dtype=np.uint8).reshape(-1, 3073)[: given.images]
test = torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).copy())
model = load(given.file)
other = load(given.like) if given.like else None
total, difference = 0.0, 0.0
with torch.no_grad():
    for batch in test.split(100):
        output, _, _ = model(normalized(batch))
        total += losses(model, output, batch).double().sum().item()
        if other:
            difference = max(difference, (output - other(normalized(batch))[0]).abs().max().item())
report = {"file": given.file, "loss": model.loss_name, "images": len(test), "reconstruction": total / len(test)}
if other:
    report["largest_output_difference"] = difference
if given.parity:
    record(model, test[:4], given.parity)
print(json.dumps(report))
