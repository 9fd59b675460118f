"""Makes features.safetensors: what torchvision's VGG-16 makes of an image, with weights filled by a formula that the test has too.

python3 make.py        (torchvision 0.14)
"""

import json
import pathlib
import struct

import numpy
import torch
import torchvision

SIDE = 64


def filled(shape, layer, scale):
    """Numbers in [-scale, scale), from their place."""
    place = numpy.arange(int(numpy.prod(shape)), dtype=numpy.uint64)
    mixed = (place * numpy.uint64(2654435761) + numpy.uint64(layer * 40503)) % numpy.uint64(65521)
    mixed = (mixed * mixed) % numpy.uint64(65521)  # a line of numbers would be one wave
    return torch.from_numpy(((mixed / 65521.0 * 2 - 1) * scale).astype(numpy.float32).reshape(shape))


def main():
    torch.set_grad_enabled(False)
    network = torchvision.models.vgg16(weights=None).features.eval()
    for layer, (name, parameter) in enumerate(network.named_parameters()):
        scale = 0.1 if name.endswith("bias") else (6 / parameter[0].numel()) ** 0.5
        parameter.copy_(filled(tuple(parameter.shape), layer, scale))
    channel, row, column = torch.meshgrid(torch.arange(3), torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    pixels = ((37 * channel + 11 * row + 5 * column + row * column) % 256).to(torch.uint8)[None]
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    features = network((pixels / 255 - mean.view(3, 1, 1)) / deviation.view(3, 1, 1))
    print(features.shape, features.mean(), features.std(), (features > 0).float().mean())
    data = features.numpy().astype("<f4").tobytes()
    header = json.dumps({"features": {"dtype": "F32", "shape": list(features.shape), "data_offsets": [0, len(data)]}})
    header += " " * (-len(header) % 8)
    target = pathlib.Path(__file__).parent / "features.safetensors"
    target.write_bytes(struct.pack("<Q", len(header)) + header.encode() + data)


main()
