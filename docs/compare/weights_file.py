"""safetensors files as dictionaries of PyTorch tensors, without the package of that name."""

import json
import pathlib
import struct

import numpy as np
import torch

TYPES = {"F32": np.float32, "I64": np.int64, "U8": np.uint8}


def read_safetensors(path):
    content = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        values = np.frombuffer(content[begin:end], TYPES[entry["dtype"]]).reshape(entry["shape"])
        tensors[name] = torch.from_numpy(values.copy())
    return tensors, metadata


def write_safetensors(path, tensors, metadata):
    names = {np.dtype(kind): name for name, kind in TYPES.items()}
    header, parts, offset = {"__metadata__": metadata}, [], 0
    # wider elements first: every tensor then begins at a multiple of its element's size
    for name, tensor in sorted(tensors.items(), key=lambda item: -item[1].element_size()):
        values = tensor.detach().contiguous().numpy()
        header[name] = {
            "dtype": names[values.dtype], "shape": list(values.shape), "data_offsets": [offset, offset + values.nbytes],
        }
        parts.append(values.tobytes())
        offset += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(parts))
