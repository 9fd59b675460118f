#!/usr/bin/env python3
"""Writes tiny files in the forms in which down-sampled ImageNet is distributed (numpy 1.24 wrote those committed).

    python3 make.py

Pixel p (from 0, the red plane first) of image i of a file is (7 i + p + 31 f) % 256, where f numbers the files; its label
(from 1) is (i + f) % 1000 + 1. tests/Data/DownsampledImageNetTests.fs knows.
"""

import pathlib
import pickle

import numpy

HERE = pathlib.Path(__file__).parent
COUNT = 5


def batch(file, side):
    image, pixel = numpy.meshgrid(numpy.arange(COUNT), numpy.arange(3 * side * side), indexing="ij")
    data = ((7 * image + pixel + 31 * file) % 256).astype(numpy.uint8)
    labels = [(i + file) % 1000 + 1 for i in range(COUNT)]
    return data, labels


def pickled(path, file, side, protocol, labels_as=list, old_names=True):
    data, labels = batch(file, side)
    content = {"data": data, "labels": labels_as(labels), "mean": data.mean(axis=0)}
    text = pickle.dumps(content, protocol)
    if not old_names:
        text = text.replace(b"cnumpy.core.", b"cnumpy._core.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)


def zipped(path, file, side, save):
    data, labels = batch(file, side)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as target:
        save(target, data=data, labels=numpy.array(labels), mean=data.mean(axis=0))


class Call:
    """Unpickles to what a call returns."""

    def __reduce__(self):
        return pathlib.PurePosixPath, ("nowhere",)


def main():
    # as distributed: a folder per size and split
    for side in (8, 16):
        for file in (0, 1):
            pickled(HERE / f"pickled/Imagenet{side}_train/train_data_batch_{file + 1}", file, side, protocol=3)
        pickled(HERE / f"pickled/Imagenet{side}_val/val_data", 2, side, protocol=3)
    for file, save in ((0, numpy.savez), (1, numpy.savez_compressed)):
        zipped(HERE / f"npz/train_data_batch_{file + 1}.npz", file, 8, save)
    zipped(HERE / "npz/val_data.npz", 2, 8, numpy.savez)

    # other ways of writing the same, and what is refused
    for protocol in (2, 4, 5):
        pickled(HERE / f"forms/protocol{protocol}", 0, 8, protocol)
    pickled(HERE / "forms/numpy2", 0, 8, protocol=3, old_names=False)
    pickled(HERE / "forms/label-array", 0, 8, protocol=3, labels_as=lambda labels: numpy.array(labels, ">i2"))
    data, labels = batch(0, 8)
    for name, content in {
        "refused-call": {"data": data, "labels": labels, "more": Call()},
        "refused-type": {"data": data.astype(numpy.float32), "labels": labels},
        "refused-order": {"data": numpy.asfortranarray(data), "labels": labels},
        "refused-shape": {"data": data[:, :-1].copy(), "labels": labels},
        "refused-labels": {"data": data, "labels": labels[1:]},
        "refused-label": {"data": data, "labels": [0] + labels[1:]},
        "refused-keys": {"images": data, "labels": labels},
    }.items():
        (HERE / f"forms/{name}").write_bytes(pickle.dumps(content, 3))


if __name__ == "__main__":
    main()
