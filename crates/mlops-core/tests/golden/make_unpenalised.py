"""Writes unpenalised.json: logistic regressions without a penalty, by statsmodels and scikit-learn.

The data are those of make_fit.py. A name that ends in "repeats" has two more columns that are sums of
the others, and three columns that are all the levels of a category: of the coefficients that predict
the same, a pseudo-inverse takes the shortest. Needs statsmodels too.
Run: python make_unpenalised.py > unpenalised.json
"""

import contextlib
import io
import json

import numpy as np
import statsmodels.api as sm
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

with contextlib.redirect_stdout(io.StringIO()):
    from make_fit import generate


def case(name, seed, rows, features):
    x, y, _ = generate(seed, rows, features)
    z = StandardScaler().fit_transform(x)
    if name.endswith("repeats"):
        twice = StandardScaler().fit_transform((x[:, 0] + x[:, 1])[:, None])
        levels = np.eye(3)[np.arange(rows) % 3]
        z = np.hstack([z, z[:, :1], twice, levels])
    design = np.hstack([z, np.ones((rows, 1))])
    if name.endswith("repeats"):
        beta = np.zeros(design.shape[1])
        for _ in range(50):
            p = 1 / (1 + np.exp(-design @ beta))
            hessian = design.T @ ((p * (1 - p))[:, None] * design)
            beta = beta + np.linalg.pinv(hessian, rcond=1e-10) @ design.T @ (y - p)
        beta = np.linalg.pinv(design, rcond=1e-10) @ design @ beta
    else:
        beta = sm.Logit(y, design).fit(method="newton", tol=1e-14, maxiter=100, disp=0).params
        other = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(z, y)
        assert np.abs(np.append(other.coef_[0], other.intercept_) - beta).max() < 1e-9
    return {"name": name, "seed": seed, "rows": rows, "features": features, "beta": beta.tolist()}


print(json.dumps([
    case("plain", 21, 400, 4),
    case("many", 22, 3000, 12),
    case("with repeats", 23, 600, 3),
], indent=1))
