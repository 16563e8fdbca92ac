"""Writes standard_errors.json: standard errors of logistic regressions, by statsmodels and numpy.

The data are those of make_fit.py. With a penalty they are from the inverse of the penalised Hessian. A name that ends
in "repeats" has a copy of the first column and all levels of a category: the copies have no standard error, the
difference of two levels has one. The intercept is last. Needs statsmodels too.
Run: python make_standard_errors.py > standard_errors.json
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


def data(seed, rows, features):
    x, y, _ = generate(seed, rows, features)
    return StandardScaler().fit_transform(x), y


def case(name, seed, rows, features, c):
    z, y = data(seed, rows, features)
    design = np.hstack([z, np.ones((rows, 1))])
    if c is None:
        errors = sm.Logit(y, design).fit(method="newton", tol=1e-14, maxiter=100, disp=0).bse
    else:
        fit = LogisticRegression(C=c, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(z, y)
        p = fit.predict_proba(z)[:, 1]
        hessian = design.T @ ((p * (1 - p))[:, None] * design)
        hessian[np.arange(features), np.arange(features)] += 1 / c
        errors = np.sqrt(np.diag(np.linalg.inv(hessian)))
    return {"name": name, "seed": seed, "rows": rows, "features": features, "c": c, "errors": errors.tolist()}


def repeats(seed, rows, features):
    """Levels by differences from the first one, which says the same."""
    z, y = data(seed, rows, features)
    levels = np.eye(3)[np.arange(rows) % 3][:, 1:]
    design = np.hstack([z, levels, np.ones((rows, 1))])
    errors = sm.Logit(y, design).fit(method="newton", tol=1e-14, maxiter=100, disp=0).bse
    kept = [None] + errors[1:features].tolist() + [None] + errors[features : features + 2].tolist()
    return {"name": "repeats", "seed": seed, "rows": rows, "features": features, "c": None, "errors": kept}


print(json.dumps([
    case("plain", 21, 400, 4, None),
    case("many", 22, 3000, 12, None),
    case("penalised", 21, 400, 4, 0.5),
    repeats(23, 600, 3),
], indent=1))
