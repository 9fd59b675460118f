#!/usr/bin/env python3
"""Inputs, and the results of scikit-image, SciPy and scikit-learn for them in double precision: tests/Fixtures/peers.json.

    apt-get install python3-scipy python3-skimage python3-sklearn
    python3 docs/compare/peers.py > tests/Fixtures/peers.json

tests/PeersTests.fs computes the same with DQ and prints the largest differences; docs/metrics.md has the table.
"""

import base64
import json
import platform

import numpy as np
import scipy
import skimage
import sklearn
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from sklearn.metrics import mutual_info_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix

random = np.random.default_rng(0)


def packed(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def smooth(channels, height, width, sigma=2.0):
    """Like a photograph in one respect: neighbours are alike. (C, H, W) in 0 ... 255."""
    field = gaussian_filter(random.standard_normal((channels, height, width)), (0, sigma, sigma))
    return np.clip(127 + 60 * field / field.std(), 0, 255)


def image_pairs():
    color = smooth(3, 32, 32)
    gray = smooth(1, 24, 40)
    yield "color, noise added", color, color + 12 * random.standard_normal(color.shape)
    yield "gray, blurred", gray, gaussian_filter(gray, (0, 1.5, 1.5))
    yield "flat and bright", 250 + 5 * random.random((3, 16, 16)), 250 + 5 * random.random((3, 16, 16))
    yield "noise against noise", 255 * random.random((3, 12, 14)), 255 * random.random((3, 12, 14))
    yield "inverted", gray, 255 - gray


def images():
    for name, original, image in image_pairs():
        original = np.round(original).astype(np.uint8)
        image = np.clip(image, 0, 255).astype(np.float32)
        exact = original.astype(np.float64), image.astype(np.float64)
        yield {
            "name": name,
            "shape": list(original.shape),
            "original": packed(original),
            "image": packed(image),
            "psnr": peak_signal_noise_ratio(*exact, data_range=255),
            "ssim": structural_similarity(
                *exact, channel_axis=0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
            ),
        }


def rate_change(curve, anchor):
    """Percent, of rising (rate, quality) curves."""
    one, other = (PchipInterpolator(quality, np.log(rate)) for rate, quality in (curve, anchor))
    low, high = max(curve[1][0], anchor[1][0]), min(curve[1][-1], anchor[1][-1])
    return 100 * np.expm1((one.integrate(low, high) - other.integrate(low, high)) / (high - low))


def curves():
    video = ([112.75, 204.93, 407.8, 893.34], [31.24, 34.17, 37.21, 40.39])
    anchor = ([85.95, 157.11, 309.58, 686.76], [31.42, 34.24, 37.18, 40.28])
    yield {"curve": video, "anchor": anchor, "percent": rate_change(video, anchor)}
    for _ in range(20):
        pair = [
            (np.cumsum(0.1 + random.random(count)), np.cumsum(0.05 + 6 * random.random(count) ** 2))
            for count in random.integers(4, 9, 2)
        ]
        yield {
            "curve": [axis.tolist() for axis in pair[0]],
            "anchor": [axis.tolist() for axis in pair[1]],
            "percent": rate_change(*pair),
        }


def code_pairs():
    first = random.integers(0, 16, 960)
    yield "related", 16, first, np.where(random.random(960) < 0.5, first, random.integers(0, 16, 960))
    yield "independent", 16, first, random.integers(0, 16, 960)
    yield "equal, renamed", 16, first, (5 * first + 3) % 16
    yield "independent, few positions", 64, random.integers(0, 64, 100), random.integers(0, 64, 100)
    yield "each pair once", 8, np.repeat(np.arange(8), 8), np.tile(np.arange(8), 8)


def codes():
    for name, count, first, second in code_pairs():
        table = contingency_matrix(first, second)
        entropies = [scipy.stats.entropy(table.sum(axis)) for axis in (1, 0)]
        plain = mutual_info_score(first, second)
        # Miller and Madow: (cells in use - 1) / 2N on each of the three entropies
        cells = [np.count_nonzero(table.sum(axis)) for axis in (1, 0)]
        twice = 2 * len(first)
        information = plain + (cells[0] + cells[1] - np.count_nonzero(table) - 1) / twice
        corrected = [entropy + (used - 1) / twice for entropy, used in zip(entropies, cells)]
        yield {
            "name": name,
            "codes": count,
            "first": first.tolist(),
            "second": second.tolist(),
            "entropy": entropies[0],
            "mutual_information": information,
            "normalized": max(0.0, 2 * information / sum(corrected)),
            "uncorrected": normalized_mutual_info_score(first, second),
        }


def nearest():
    for offset in (0.0, 1000.0):
        vectors = (offset + random.standard_normal((300, 8))).astype(np.float32)
        centres = (offset + random.standard_normal((64, 8))).astype(np.float32)
        yield {
            "offset": offset,
            "vectors": packed(vectors),
            "codes": packed(centres),
            "nearest": cdist(vectors.astype(np.float64), centres.astype(np.float64)).argmin(1).tolist(),
        }


print(
    json.dumps(
        {
            "made_by": f"docs/compare/peers.py, Python {platform.python_version()}, NumPy {np.__version__}, "
            f"SciPy {scipy.__version__}, scikit-image {skimage.__version__}, scikit-learn {sklearn.__version__}",
            "images": list(images()),
            "curves": list(curves()),
            "codes": list(codes()),
            "nearest": list(nearest()),
        },
        separators=(",", ":"),
    )
)
