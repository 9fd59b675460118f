#!/usr/bin/env python3
"""The images that the built-in lossless models learn from, as one folder of pictures of 64 x 64.

    apt-get install python3-numpy python3-scipy python3-pil
    apt-get download lomiri-wallpapers-16.04 lomiri-wallpapers-20.04 plasma-workspace-wallpapers
    for package in *.deb; do dpkg -x $package PHOTOS; done
    python3 docs/compare/built_in_images.py CIFAR TINY PHOTOS TARGET

CIFAR holds data_batch_*.bin, TINY Tiny ImageNet's train/. TARGET gets

- links to Tiny ImageNet's pictures;
- mosaics of 2 x 2 pictures of CIFAR-10, half of them;
- dead leaves (discs that cover one another, radii by a power law) from sharp to blurred, with and without noise;
- parts of Debian's photographs at several sizes, some as a camera would have taken them: behind a Bayer pattern, with its noise,
  interpolated, perhaps sharpened;
- pictures of Tiny ImageNet enlarged, with noise.

Test and validation images are not read, nor are the photographs by which docs/lossless.md compares.
"""
import glob, os, sys
import numpy as np
from PIL import Image
from scipy.ndimage import convolve, gaussian_filter

SIDE = 64
MARGIN = 8
LEAVES, PARTS, ENLARGED = 2000, 16000, 3000
# of the wallpapers, those that are photographs
PHOTOS = ['lomiri', 'Autumn', 'BytheWater', 'ColorfulCups', 'EveningGlow', 'FallenLeaf', 'Grey', 'OneStandsOut', 'Path']


def save(path, pixels):
    """Writes (H, W, 3) in 0 ... 255."""
    Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8)).save(path, compress_level=1)


def cifar(folder, target):
    for batch, name in enumerate(sorted(glob.glob(f'{folder}/data_batch_*.bin'))):
        images = np.fromfile(name, np.uint8).reshape(-1, 3073)[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        for at in range(0, len(images) - 7, 8):
            a, b, c, d = images[at:at + 4]
            save(f'{target}/cifar-{batch}-{at:05}.png', np.concatenate([np.concatenate([a, b], 1), np.concatenate([c, d], 1)]))


def leaves(target):
    random = np.random.RandomState(0)
    y, x = np.mgrid[:2 * SIDE, :2 * SIDE]
    for image in range(LEAVES):
        canvas = np.tile(random.randint(0, 256, 3).astype(float), (2 * SIDE, 2 * SIDE, 1))
        for _ in range(150):
            # density of radii ~ r^-3 between 3 and 90 pixels of the doubled canvas
            radius = 1 / np.sqrt(random.uniform(1 / 90 ** 2, 1 / 3 ** 2))
            inside = (x - random.uniform(0, 2 * SIDE)) ** 2 + (y - random.uniform(0, 2 * SIDE)) ** 2 < radius ** 2
            canvas[inside] = random.randint(0, 256) * 0.6 + random.randint(0, 256, 3) * 0.4
        # half of them with soft edges, half aliased; every third with noise
        soft = canvas.reshape(SIDE, 2, SIDE, 2, 3).mean((1, 3)) if image % 2 else canvas[::2, ::2]
        save(f'{target}/leaves-{image:05}.png', soft + (random.normal(0, random.uniform(0.5, 6), soft.shape) if image % 3 == 0 else 0))


def camera(pixels, random):
    """What a camera makes of a scene of (H, W, 3): each pixel behind one color, noise that grows with light, interpolation, sharpening."""
    light = (pixels / 255) ** 2.2
    gain = random.uniform(2e-5, 2e-3)
    light = light + random.normal(0, 1, light.shape) * np.sqrt(gain * light + gain ** 2 + 1e-6)
    mask = np.zeros(light.shape)
    mask[0::2, 0::2, 0] = mask[0::2, 1::2, 1] = mask[1::2, 0::2, 1] = mask[1::2, 1::2, 2] = 1
    cross, square = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4, np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    green = convolve(light[..., 1] * mask[..., 1], cross, mode='mirror')
    result = [green] * 3
    for channel in (0, 2):
        # half of the cameras interpolate differences to green, half the color itself
        base = green if random.rand() < 0.5 else 0
        result[channel] = base + convolve((light[..., channel] - base) * mask[..., channel], square, mode='mirror')
    result = np.stack(result, 2).clip(0, None) ** (1 / 2.2) * 255
    if random.rand() < 0.5:
        result += random.uniform(0.2, 1.2) * (result - gaussian_filter(result, (1, 1, 0)))
    return result


def inner(pixels):
    return pixels[MARGIN:MARGIN + SIDE, MARGIN:MARGIN + SIDE]


def photographs(folder, target):
    random = np.random.RandomState(1)
    # the largest file of each picture
    paths = [path for path in glob.glob(f'{folder}/**/*.jpg', recursive=True) if any(name in path for name in PHOTOS)]
    largest = {}
    for path in sorted(paths, key=os.path.getsize):
        largest[os.path.dirname(path) if 'plasma' in path or 'contents' in path else path] = path
    for number, path in enumerate(sorted(largest.values())):
        photo = Image.open(path).convert('RGB')
        count = PARTS // len(largest)
        for scale in (1, 1.5, 2, 3, 4, 6):
            filters = [Image.LANCZOS, Image.BICUBIC, Image.BOX]
            scaled = photo if scale == 1 else photo.resize(
                (int(photo.width / scale), int(photo.height / scale)), filters[random.randint(3)])
            pixels, whole = np.asarray(scaled), SIDE + 2 * MARGIN
            if min(scaled.size) <= whole:
                continue
            for part in range(count // 6):
                row, column = random.randint(scaled.height - whole), random.randint(scaled.width - whole)
                piece = pixels[row:row + whole, column:column + whole].astype(float)
                kind = part % 4
                if kind == 1 and scale > 1:
                    piece = camera(piece, random)
                elif kind == 2 and scale > 1:
                    piece = piece + random.normal(0, 2 ** random.uniform(-1, 3), (whole, whole, 1 if random.rand() < 0.3 else 3))
                save(f'{target}/photo-{number:02}-{scale}-{part:03}.png', inner(piece))


def enlarged(paths, target):
    random = np.random.RandomState(2)
    for number in range(ENLARGED):
        image = Image.open(paths[random.randint(len(paths))]).convert('RGB')
        width = int(SIDE * random.uniform(1.5, 4))
        pixels = np.asarray(image.resize((width, width), Image.BICUBIC if number % 2 else Image.LANCZOS)).astype(float)
        row, column = random.randint(width - SIDE - 2 * MARGIN + 1, size=2)
        piece = pixels[row:row + SIDE + 2 * MARGIN, column:column + SIDE + 2 * MARGIN]
        if number % 3 == 0:
            piece = camera(piece, random)
        elif number % 3 == 1:
            piece = piece + random.normal(0, 2 ** random.uniform(-1, 3), piece.shape)
        save(f'{target}/enlarged-{number:05}.png', inner(piece))


def main():
    folder, tiny, photos, target = sys.argv[1:]
    os.makedirs(target, exist_ok=True)
    paths = sorted(glob.glob(f'{tiny}/train/*/images/*.JPEG'))
    for path in paths:
        os.symlink(os.path.abspath(path), f'{target}/{os.path.basename(path)}')
    photographs(photos, target)
    enlarged(paths, target)
    cifar(folder, target)
    leaves(target)


if __name__ == '__main__':
    main()
