"""Makes logits.safetensors: what torchvision's AlexNet, VGG-16 and ResNet-18 make of an image, in float64, with weights
filled by a formula that the test has too.

python3 make.py        (torchvision 0.14)
"""

import json
import pathlib
import struct

import numpy
import torch
import torchvision

SIDE = 224


def filled(count, layer, scale):
    """Float32 numbers in [-scale, scale), from their place."""
    place = numpy.arange(count, dtype=numpy.uint64)
    mixed = (place * numpy.uint64(2654435761) + numpy.uint64(layer * 40503)) % numpy.uint64(65521)
    mixed = (mixed * mixed) % numpy.uint64(65521)  # a line of numbers would be one wave
    return ((mixed / 65521.0 * 2 - 1) * scale).astype(numpy.float32)


def fill(network):
    """Convolutions and linear maps keep the size of what goes through; normalization's factors and variances are near one."""
    layer = 0
    for name, tensor in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if tensor.dim() > 1:
            values = filled(tensor.numel(), layer, (6 / tensor[0].numel()) ** 0.5)
        else:
            values = filled(tensor.numel(), layer, 0.1)
            if name.endswith("running_var") or (name.endswith("weight") and tensor.dim() == 1):
                values = values + numpy.float32(1)
        tensor.copy_(torch.from_numpy(values.reshape(tuple(tensor.shape))))
        layer += 1


def main():
    torch.set_grad_enabled(False)
    channel, row, column = torch.meshgrid(torch.arange(3), torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    pixels = ((37 * channel + 11 * row + 5 * column + row * column) % 256)[None]
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]).double(), torch.tensor([0.229, 0.224, 0.225]).double()
    image = (pixels.double() / 255 - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    outputs = {}
    for name in ["alexnet", "resnet18", "vgg16"]:
        network = getattr(torchvision.models, name)(weights=None).eval()
        fill(network)
        outputs[name] = network.double()(image).float()
        print(name, outputs[name].mean(), outputs[name].std(), outputs[name].abs().max())
        del network
    header, data = {}, b""
    for name, output in outputs.items():
        content = output.numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(output.shape), "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header)
    text += " " * (-len(text) % 8)
    (pathlib.Path(__file__).parent / "logits.safetensors").write_bytes(struct.pack("<Q", len(text)) + text.encode() + data)


main()
