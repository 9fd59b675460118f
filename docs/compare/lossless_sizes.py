#!/usr/bin/env python3
"""Sizes of lossless files by the built-in models, JPEG XL, WebP and PNG, of pictures that the models never saw.

    apt-get install python3-pil python3-scipy python3-skimage libjxl-tools webp
    apt-get download mate-backgrounds opencv-doc
    for package in *.deb; do dpkg -x $package PHOTOS; done
    docs/compare/lossless_sizes.py TINY PHOTOS OUT

TINY is Tiny ImageNet's val/images, of which the first 1,000 are taken: one file of dq, one mosaic for the others. PHOTOS holds the
unpacked packages. DQ="dotnet .../dq.dll" names another dq than the one in PATH. OUT gets the pictures, without ICC profiles, and the
files; what is there already is not made again. WebP is at effort 6, since 9 takes minutes. Prints a line a picture, then a table of
groups: bits per dimension, and how much smaller dq's files are than JPEG XL's.
"""
import glob, os, shlex, subprocess, sys
import numpy as np
import scipy.misc
import skimage
from PIL import Image

CODECS = {
    'dq': lambda source, target: [*shlex.split(os.environ.get('DQ', 'dq')), 'compress', source, '-o', target, '--quiet'],
    'jxl': lambda source, target: ['cjxl', '-d', '0', '-e', '7', source, target],
    'webp': lambda source, target: ['cwebp', '-quiet', '-lossless', '-z', '6', source, '-o', target],
}


def pictures(tiny, photos):
    """Group, name and picture; pictures of Tiny ImageNet come as a list."""
    data = os.path.join(os.path.dirname(skimage.__file__), 'data')
    opencv = f'{photos}/usr/share/doc/opencv-doc/examples/data'
    mate = sorted(glob.glob(f'{photos}/usr/share/backgrounds/mate/nature/*.jpg'))
    yield 'Tiny ImageNet, validation', 'tiny', [
        Image.open(f'{tiny}/val_{index}.JPEG').convert('RGB') for index in range(1000)]
    for name in ('astronaut', 'coffee', 'chelsea', 'motorcycle_left'):
        yield 'scikit-image', name, Image.open(f'{data}/{name}.png').convert('RGB')
    yield 'SciPy', 'face', Image.fromarray(scipy.misc.face())
    for name in ('rubberwhale1', 'graf1'):
        yield 'OpenCV', name, Image.open(f'{opencv}/{name}.png').convert('RGB')
    for path in mate:
        photo, name = Image.open(path).convert('RGB'), os.path.basename(path)[:-4]
        yield 'mate-backgrounds, a third as wide', f'{name}-third', photo.resize(
            (photo.width // 3, photo.height // 3), Image.LANCZOS)
        left, top = photo.width // 2 - 384, photo.height // 2 - 256
        yield 'mate-backgrounds, middle 768 x 512', f'{name}-middle', photo.crop((left, top, left + 768, top + 512))
    for name in ('camera', 'coins', 'brick', 'gravel', 'grass', 'moon'):
        yield 'gray, scikit-image', name, Image.open(f'{data}/{name}.png').convert('L')
    yield 'gray, SciPy', 'ascent', Image.fromarray(scipy.misc.ascent().astype(np.uint8))


def mosaic(images):
    columns = 40
    whole = Image.new('RGB', (64 * columns, 64 * (len(images) // columns)))
    for index, image in enumerate(images):
        whole.paste(image, (index % columns * 64, index // columns * 64))
    return whole


def size(codec, source, target):
    if not os.path.exists(target):
        subprocess.run(CODECS[codec](source, target), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return os.path.getsize(target)


def measured(out, name, picture):
    """Dimensions and bytes by codec."""
    path, source = f'{out}/{name}.png', f'{out}/{name}.png'
    if isinstance(picture, list):
        source = f'{out}/{name}'
        os.makedirs(source, exist_ok=True)
        for index, image in enumerate(picture):
            image.save(f'{source}/{index:04}.png', compress_level=1)
        picture = mosaic(picture)
    picture.save(path, compress_level=9, icc_profile=None)
    sizes = {codec: size(codec, source if codec == 'dq' else path, f'{out}/{name}.{codec}') for codec in CODECS}
    return picture.width * picture.height * len(picture.getbands()), {**sizes, 'png': os.path.getsize(path)}


def main():
    tiny, photos, out = sys.argv[1:]
    os.makedirs(out, exist_ok=True)
    groups = {}
    for group, name, picture in pictures(tiny, photos):
        dimensions, sizes = measured(out, name, picture)
        groups.setdefault(group, []).append((dimensions, sizes))
        change = 100 * (sizes['dq'] / sizes['jxl'] - 1)
        print(f'{name}: {sizes}, dq {change:+.1f} % of jxl', flush=True)
    print('\n| pictures | dq | JPEG XL | WebP | PNG | dq and JPEG XL | the worst |\n|---|---|---|---|---|---|---|')
    for group, rows in groups.items():
        dimensions = sum(row[0] for row in rows)
        bits = {codec: 8 * sum(row[1][codec] for row in rows) / dimensions for codec in ('dq', 'jxl', 'webp', 'png')}
        changes = [100 * (row[1]['dq'] / row[1]['jxl'] - 1) for row in rows]
        whole = 100 * (bits['dq'] / bits['jxl'] - 1)
        print(f'| {group} | ' + ' | '.join(f'{value:.3f}' for value in bits.values()) + f' | {whole:+.1f} % | {max(changes):+.1f} % |')


if __name__ == '__main__':
    main()
