#!/usr/bin/env python3
"""Writes the PyTorch archives that the tests of the unpickler read (PyTorch 1.13 wrote those committed).

    python3 make.py [--published FOLDER]

With --published, a folder with the published implementation, also a checkpoint of a tiny model of it after one step.
What the tests expect of each file stands in tests/Weights/PyTorchArchiveTests.fs.
"""

import argparse
import collections
import pathlib
import sys
import types
import zipfile

import numpy
import torch

HERE = pathlib.Path(__file__).parent


def tensors():
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    typed = {
        str(kind).removeprefix("torch."): torch.arange(-3, 9).to(kind).reshape(3, 4)
        for kind in [
            torch.float64,
            torch.float32,
            torch.float16,
            torch.bfloat16,
            torch.int64,
            torch.int32,
            torch.int16,
            torch.int8,
            torch.uint8,
            torch.bool,
        ]
    }
    return {
        **typed,
        "base": base,
        "transposed": base.t(),
        "sliced": base[1:, 2:5:2],
        "row": base[3],
        "expanded": torch.tensor([1.5, 2.5]).unsqueeze(1).expand(2, 3),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.tensor([1.0, 2.0])),
    }


class Bag:
    """Stands for a class the reader knows nothing of."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)


class Slots:
    __slots__ = ["depth"]


def containers():
    slots = Slots()
    slots.depth = 3
    shared = ["again"]
    return {
        "none": None,
        "true": True,
        "false": False,
        "integers": [0, 1, 255, 256, 65535, 65536, -1, -(2**31), 2**31, 2**63, -(2**63), 2**100],
        "floats": (0.0, -0.5, 1e300, float("inf")),
        "text": "naïve 文字 \U0001f600",
        "bytes": b"\x00\x7f\xff",
        "no_bytes": b"",
        "bytearray": bytearray(b"ab"),
        "set": {7},
        "frozenset": frozenset({"x"}),
        "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
        "ordered": collections.OrderedDict([("b", 1), ("a", 2)]),
        "default": collections.defaultdict(list, {"k": [1]}),
        "by_number": {0: "zero", 1: "one"},
        "twice": [shared, shared],
        "size": torch.Size([2, 3]),
        "device": torch.device("cpu"),
        "type": torch.bfloat16,
        "numpy": [
            numpy.float64(2.5),
            numpy.float32(0.25),
            numpy.float16(0.5),
            numpy.int64(-7),
            numpy.uint8(200),
            numpy.bool_(True),
            numpy.dtype(">f8").type(1.5),
        ],
        "bag": Bag(channel="64", nested=Bag(x=1)),
        "slots": slots,
    }


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def newer_forms():
    """Calls that later versions of PyTorch write, by functions of their names."""

    def named(name):
        def function(*_):
            raise NotImplementedError

        function.__module__ = "torch._utils"
        function.__qualname__ = function.__name__ = name
        setattr(torch._utils, name, function)
        return function

    hooks = collections.OrderedDict()
    base = torch.arange(6, dtype=torch.float32)
    attributed = torch.arange(3, dtype=torch.int16)
    attributed.note = "kept by PyTorch, not by us"
    parameter = Calls(named("_rebuild_parameter_with_state"), base, True, hooks, {"note": 1})
    untyped = Calls(
        named("_rebuild_tensor_v3"), base.clone().storage().untyped(), 1, (2, 2), (1, 2), False, hooks, torch.float32, None
    )
    return {"parameter": parameter, "untyped": untyped, "attributed": attributed}


def rewrite(source, target, compress=zipfile.ZIP_STORED, extra=None):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compress) as new:
        for entry in old.infolist():
            new.writestr(zipfile.ZipInfo(entry.filename), old.read(entry), compress)
        for name, content in (extra or {}).items():
            new.writestr(zipfile.ZipInfo(name), content)


def checkpoint(folder):
    """One step of a tiny model of the published implementation, saved as its training script does, and what it computes."""
    sys.path.insert(0, str(folder))
    import utils

    torch.manual_seed(5)
    config = utils.ModelConfig()
    # as read from an INI file: a value not given keeps the class's default and is not stored
    config.load(
        vq_type="dq",
        loss_name="mse",
        channel="4",
        n_res_block="1",
        n_res_channel="2",
        n_coder_blocks="1",
        embed_dim="3",
        n_codebooks="2",
        n_hier="[4]",
    )
    model = utils.create_dq(config)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-4)
    scaler = torch.cuda.amp.GradScaler(enabled=False)
    pixels = torch.randint(0, 256, (8, 3, 8, 8), dtype=torch.uint8)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    images = (pixels / 255 - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    _, _, (loss, _, _) = model(images)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 2)
    optimizer.step()
    stats = {"cur_epoch": 1, "iters": 2, "best_loss": float("inf"), "train_loss": numpy.mean([loss.item()])}
    torch.save(
        {
            "model": model.state_dict(),
            "scaler": scaler.state_dict(),
            "stats": stats,
            "model_config": config,
            "optimizer": optimizer.state_dict(),
        },
        HERE / "published-checkpoint.pt",
    )
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    model.eval()
    with torch.no_grad():
        output, _, (_, reconstruction, _) = model(images)
    torch.save(
        {"pixels": pixels, "output": output, "reconstruction": reconstruction, "gradients": gradients},
        HERE / "published-results.pt",
    )


def main():
    torch.manual_seed(1)
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--published", type=pathlib.Path)
    published = arguments.parse_args().published

    torch.save(tensors(), HERE / "tensors.pt")
    torch.save(tensors(), HERE / "legacy.pt", _use_new_zipfile_serialization=False)
    for protocol in [2, 3, 4, 5]:
        torch.save(containers(), HERE / f"containers-protocol{protocol}.pt", pickle_protocol=protocol)
    torch.save(newer_forms(), HERE / "newer-forms.pt")
    linear = torch.nn.Linear(2, 1)
    torch.save({"epoch": 3, "state_dict": linear.state_dict(), "args": Bag(lr=0.1)}, HERE / "nested.pt")
    rewrite(HERE / "tensors.pt", HERE / "compressed.pt", zipfile.ZIP_DEFLATED, {"tensors/byteorder": "little"})
    if published:
        checkpoint(published)

    # refused
    torch.save({"a": Calls(print, "executed")}, HERE / "refused-call.pt")
    torch.save({"a": print}, HERE / "refused-name.pt")
    torch.save({"a": numpy.zeros(2)}, HERE / "refused-array.pt")
    torch.save({"a": 1j}, HERE / "refused-complex.pt")
    torch.save({"a": torch.ones(1).to_sparse()}, HERE / "refused-sparse.pt")
    torch.save({"a": torch.ones(1).storage()}, HERE / "refused-storage.pt")
    torch.save(linear, HERE / "refused-module.pt")
    knot = []
    knot.append(knot)
    torch.save(knot, HERE / "refused-knot.pt")
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), str(HERE / "refused-script.pt"))
    rewrite(HERE / "nested.pt", HERE / "refused-big-endian.pt", extra={"nested/byteorder": "big"})


if __name__ == "__main__":
    main()
