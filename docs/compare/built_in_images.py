#!/usr/bin/env python3
"""The images that the built-in lossless model learns from, as one folder of pictures of 64 x 64.

    apt-get install python3-numpy
    python3 docs/compare/built_in_images.py CIFAR TINY TARGET

CIFAR holds data_batch_*.bin, TINY Tiny ImageNet's train/. TARGET gets links to the latter's pictures, mosaics of 2 x 2 pictures of
CIFAR-10, and dead leaves (discs that cover one another, radii by a power law) from sharp to blurred, with and without noise. Test and
validation images are not read.
"""
import glob, os, struct, sys, zlib
import numpy as np

SIDE = 64


def png(path, pixels):
    """Writes (H, W, 3) uint8."""
    height, width = pixels.shape[:2]
    rows = b''.join(b'\0' + row.tobytes() for row in pixels)
    def chunk(kind, body):
        return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))
    with open(path, 'wb') as file:
        file.write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)))
        file.write(chunk(b'IDAT', zlib.compress(rows, 1)) + chunk(b'IEND', b''))


def cifar(folder, target):
    for batch, name in enumerate(sorted(glob.glob(f'{folder}/data_batch_*.bin'))):
        images = np.fromfile(name, np.uint8).reshape(-1, 3073)[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        for at in range(0, len(images) - 3, 4):
            a, b, c, d = images[at:at + 4]
            png(f'{target}/cifar-{batch}-{at:05}.png', np.concatenate([np.concatenate([a, b], 1), np.concatenate([c, d], 1)]))


def leaves(count, target):
    random = np.random.RandomState(0)
    y, x = np.mgrid[:2 * SIDE, :2 * SIDE]
    for image in range(count):
        canvas = np.tile(random.randint(0, 256, 3).astype(float), (2 * SIDE, 2 * SIDE, 1))
        for _ in range(150):
            # density of radii ~ r^-3 between 3 and 90 pixels of the doubled canvas
            radius = 1 / np.sqrt(random.uniform(1 / 90 ** 2, 1 / 3 ** 2))
            inside = (x - random.uniform(0, 2 * SIDE)) ** 2 + (y - random.uniform(0, 2 * SIDE)) ** 2 < radius ** 2
            canvas[inside] = random.randint(0, 256) * 0.6 + random.randint(0, 256, 3) * 0.4
        # half of them with soft edges, half aliased; every third with noise
        soft = canvas.reshape(SIDE, 2, SIDE, 2, 3).mean((1, 3)) if image % 2 else canvas[::2, ::2]
        noisy = soft + (random.normal(0, random.uniform(0.5, 6), soft.shape) if image % 3 == 0 else 0)
        png(f'{target}/leaves-{image:05}.png', noisy.round().clip(0, 255).astype(np.uint8))


def main():
    folder, tiny, target = sys.argv[1:]
    os.makedirs(target, exist_ok=True)
    cifar(folder, target)
    for path in sorted(glob.glob(f'{tiny}/train/*/images/*.JPEG')):
        os.symlink(os.path.abspath(path), f'{target}/{os.path.basename(path)}')
    leaves(2000, target)


if __name__ == '__main__':
    main()
