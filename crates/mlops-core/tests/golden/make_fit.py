"""Writes fit.json: logistic regressions by scikit-learn on generated data.

The data are not stored. The same few lines of integer and IEEE arithmetic generate them here and
in tests/fit.rs; `checksum` (the plain sum of all values) shows that both made the same.

Needs numpy and scikit-learn. Run: python make_fit.py > fit.json
"""

import json
import sys

import numpy
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

MASK = (1 << 64) - 1


class SplitMix64:
    """Steele, Lea and Flood 2014; `uniform` has 53 bits in [0, 1)."""

    def __init__(self, seed):
        self.state = seed

    def uniform(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return ((z ^ (z >> 31)) >> 11) * 2.0**-53


def generate(seed, rows, features):
    """Every third feature follows its neighbour, every fifth is whole, units grow with j."""
    random = SplitMix64(seed)
    x = numpy.empty((rows, features))
    y = numpy.empty(rows, dtype=int)
    checksum = 0.0
    for i in range(rows):
        score = 0.0
        before = 0.5
        for j in range(features):
            u = random.uniform()
            if j % 3 == 2:
                u = 0.9 * before + 0.1 * u
            before = u
            value = u * (j + 1)
            if j % 5 == 4:
                value = float(int(u * 1000.0))
            x[i, j] = value
            checksum += value
            sign = 1.0 if j % 2 == 0 else -1.0
            score += sign * (u - 0.5) * 3.0 / (1.0 + j)
        score += (random.uniform() - 0.5) * 2.0
        y[i] = score > 0.3
    return x, y, checksum


def fit(name, seed, rows, features, c=1.0, class_weight=None):
    x, y, checksum = generate(seed, rows, features)
    scaler = StandardScaler().fit(x)
    model = LogisticRegression(
        solver="newton-cholesky", tol=1e-12, C=c, class_weight=class_weight, max_iter=1000
    ).fit(scaler.transform(x), y)
    return {
        "name": name,
        "seed": seed,
        "rows": rows,
        "features": features,
        "c": c,
        "class_weight": class_weight or "none",
        "checksum": checksum,
        "positives": int(y.sum()),
        "mean": scaler.mean_.tolist(),
        "scale": scaler.scale_.tolist(),
        "coefficients": model.coef_[0].tolist(),
        "intercept": float(model.intercept_[0]),
    }


json.dump(
    {
        "scikit-learn": sklearn.__version__,
        "cases": [
            fit("three features", 1, 400, 3),
            fit("thirty features", 2, 600, 30),
            fit("a hundred features", 3, 1500, 100),
            fit("strong penalty", 2, 600, 30, c=0.01),
            fit("weak penalty", 1, 400, 3, c=1000.0),
            fit("balanced", 2, 600, 30, class_weight="balanced"),
        ],
    },
    sys.stdout,
    indent=1,
)
print()
