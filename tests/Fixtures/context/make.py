#!/usr/bin/env python3
"""Records what PyTorch makes of the context head: weights, pixels, and of every pixel outputs, nats and gradients.

    apt-get install python3-torch python3-numpy
    python3 tests/Fixtures/context/make.py tests/Fixtures/context

Everything is computed in float64 by autograd and stored in float32. The function is written plainly, pixel by neighbour.
"""
import json, math, struct, sys
import numpy as np, torch, torch.nn.functional as F

torch.manual_seed(0)
DTYPE = torch.float64


def margined(x, r):
    """(B, C, H, W) with r more rows above and r more columns to each side, all known to a decoder."""
    b, c, h, w = x.shape
    y = torch.full((b, c, h + r, w + 2 * r), 128, dtype=x.dtype)
    y[:, :, r:, r:-r] = x
    y[:, :, r:, -r:] = x[:, :, :, -1:]
    y[:, :, r + 1:, :r] = x[:, :, :-1, :1]
    return y


def neighbours(x, r):
    """Known neighbours by offset, each (pixels, C) in [-1, 1], in raster order of the offsets."""
    b, c, h, w = x.shape
    y = margined(x, r)
    return {
        (i, j): (y[:, :, r + i:r + i + h, r + j:r + j + w].permute(0, 2, 3, 1).reshape(-1, c).to(DTYPE) / 127.5 - 1)
        for i in range(-r, 1) for j in range(-r, r + 1) if i < 0 or j < 0
    }


def outputs_and_nats(x, spec, weights):
    c, r, k = spec['channels'], spec['radius'], spec['mixtures']
    known = neighbours(x, r)
    pixel = x.permute(0, 2, 3, 1).reshape(-1, c).to(DTYPE) / 127.5 - 1
    w, n, nw, ne, ww, nn = (known[o] for o in [(0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0)])
    med = torch.stack([w, n, w + n - nw]).median(0).values
    contrast = ((w - nw).abs() + (n - nw).abs() + (n - ne).abs() + (w - ww).abs() + (n - nn).abs()) / 5
    sigma = contrast / 2 + contrast.mean(1, keepdim=True) / 2 + spec['contrast_floor']
    inputs = []
    for value in known.values():
        d = value - med
        if c == 3:
            d = torch.stack([d[:, 0] - d[:, 1], d[:, 1], d[:, 2] - d[:, 1]], 1)
        inputs.append((d / sigma).clamp(-8, 8) * 0.7)
    inputs = torch.cat(inputs + [med, (w - n) / sigma, (n - nw) / sigma, sigma.log()], 1)
    h = F.relu(F.linear(inputs, weights['enter.weight'], weights['enter.bias']))
    for layer in range(spec['depth']):
        a = F.relu(F.linear(h, weights[f'hidden.{layer}.weight'], weights[f'hidden.{layer}.bias']))
        h = a if layer == 0 else h + a
    o = F.linear(h, weights['leave.weight'], weights['leave.bias'])
    log_weights = o[:, :k].log_softmax(1)
    parts = o[:, k:].view(len(o), -1, k)
    mu, s, shares = parts[:, :c], parts[:, c:2 * c], parts[:, 2 * c:].tanh()
    past = (pixel - med)[:, :, None]
    joint = log_weights
    for channel in range(c):
        unit = 0.6 * sigma[:, channel:channel + 1]
        mean = med[:, channel:channel + 1] + unit * mu[:, channel]
        if channel == 1:
            mean = mean + shares[:, 0] * past[:, 0]
        if channel == 2:
            mean = mean + shares[:, 1] * past[:, 0] + shares[:, 2] * past[:, 1]
        log_scale = (s[:, channel] + unit.log()).clamp(-7.5, 2)
        v, over = pixel[:, channel:channel + 1], torch.exp(-log_scale)
        upper, lower, mid = over * (v - mean + 1 / 255), over * (v - mean - 1 / 255), over * (v - mean)
        mass = torch.sigmoid(upper) - torch.sigmoid(lower)
        inside = torch.where(
            mass > 1e-5, mass.clamp(min=1e-12).log(), F.logsigmoid(mid) + F.logsigmoid(-mid) - log_scale + math.log(2 / 255))
        joint = joint + torch.where(v < -0.999, F.logsigmoid(upper), torch.where(v > 0.999, F.logsigmoid(-lower), inside))
    return o, -joint.logsumexp(1)


def pictures(c, h, w):
    """A gradient with noise, and flat areas with edges at both ends of the range."""
    i, j = np.mgrid[:h, :w]
    random = np.random.RandomState(1)
    smooth = 90 + 6 * i + 4 * j + random.normal(0, 6, (c, h, w)) + 20 * np.arange(c)[:, None, None]
    flat = np.where((i + j) % 5 < 2, 255, np.where(j > w // 2, 0, 40)) + np.zeros((c, 1, 1))
    flat[:, :3] = 77
    return torch.from_numpy(np.stack([smooth, flat]).clip(0, 255).astype(np.uint8))


def record(path, spec):
    inputs = (2 * spec['radius'] * (spec['radius'] + 1) + 4) * spec['channels']
    outputs = spec['mixtures'] * (1 + 2 * spec['channels'] + spec['channels'] * (spec['channels'] - 1) // 2)
    shapes = [('enter', inputs, spec['width'])]
    shapes += [(f'hidden.{layer}', spec['width'], spec['width']) for layer in range(spec['depth'])]
    shapes += [('leave', spec['width'], outputs)]
    weights = {}
    for name, rows, columns in shapes:
        weights[f'{name}.weight'] = (torch.randn(columns, rows) * (1.2 / rows) ** 0.5).to(DTYPE).requires_grad_()
        weights[f'{name}.bias'] = (torch.randn(columns) * 0.2).to(DTYPE).requires_grad_()
    x = pictures(spec['channels'], 9, 11)
    o, nats = outputs_and_nats(x, spec, weights)
    (nats.mean() / spec['channels']).backward()
    tensors = {f'weights.{name}': value for name, value in weights.items()}
    tensors |= {f'gradients.{name}': value.grad for name, value in weights.items()}
    tensors |= {'pixels': x, 'outputs': o, 'nats': nats}
    write(path, tensors, spec)


def write(path, tensors, spec):
    """A safetensors file."""
    header, body = {'__metadata__': {'spec': json.dumps(spec)}}, b''
    for name, value in tensors.items():
        value = value.detach() if value.dtype == torch.uint8 else value.detach().float()
        data = value.contiguous().numpy().tobytes()
        kind = 'U8' if value.dtype == torch.uint8 else 'F32'
        header[name] = {'dtype': kind, 'shape': list(value.shape), 'data_offsets': [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text + body)


if __name__ == '__main__':
    common = {'radius': 3, 'width': 16, 'contrast_floor': 0.02}
    record(f'{sys.argv[1]}/color.safetensors', common | {'channels': 3, 'depth': 1, 'mixtures': 3})
    record(f'{sys.argv[1]}/deeper.safetensors', common | {'channels': 3, 'radius': 2, 'depth': 3, 'mixtures': 2, 'contrast_floor': 0.006})
    record(f'{sys.argv[1]}/gray.safetensors', common | {'channels': 1, 'depth': 1, 'mixtures': 3})
