"""Writes weighted.json: logistic regressions whose older rows weigh less, by scikit-learn.

The data are those of make_fit.py, the newest row last. A row that came h rows before it has weight 1/2 in
scaling and fit alike. Balanced classes weigh the same, counted by these weights.
Run: python make_weighted.py > weighted.json
"""

import contextlib
import io
import json

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

with contextlib.redirect_stdout(io.StringIO()):
    from make_fit import generate


def case(seed, rows, features, half_life, c, balanced):
    x, y, _ = generate(seed, rows, features)
    age = np.arange(rows)[::-1]
    weight = 0.5 ** (age / half_life)
    scaler = StandardScaler().fit(x, sample_weight=weight)
    z = scaler.transform(x)
    of_fit = weight.copy()
    if balanced:
        for label in (0, 1):
            of_fit[y == label] *= weight.sum() / (2 * weight[y == label].sum())
    solver = dict(solver="newton-cholesky", tol=1e-13, max_iter=1000)
    fitted = LogisticRegression(C=c if c else np.inf, **solver).fit(z, y, sample_weight=of_fit)
    return {
        "seed": seed, "rows": rows, "features": features, "half_life": half_life, "c": c,
        "balanced": balanced, "effective_rows": weight.sum() ** 2 / (weight ** 2).sum(),
        "mean": scaler.mean_.tolist(), "scale": scaler.scale_.tolist(),
        "beta": np.append(fitted.coef_[0], fitted.intercept_).tolist(),
    }


print(json.dumps([
    case(31, 700, 4, 100, 1.0, False),
    case(32, 3000, 12, 400, 0.1, False),
    case(33, 1500, 6, 5000, 10.0, True),
    case(34, 2000, 3, 250, 1.0, True),
    case(35, 900, 3, 300, None, False),
], indent=1))
