"""Writes shapes.json: splines, bins and a scorecard, by patsy, statsmodels, scikit-learn and optbinning.

The rows are those of the Wisconsin breast cancer data that scikit-learn brings along; a few values are
left out, and a categorical column is made of a number. Needs patsy, statsmodels and, for the bins,
optbinning. Run: python make_shapes.py > shapes.json
"""

import json

import numpy as np
import patsy
import statsmodels.api as sm
from sklearn.datasets import load_breast_cancer
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

try:
    from optbinning import OptimalBinning
except ImportError:
    OptimalBinning = None

data = load_breast_cancer(as_frame=True).frame
radius = data["mean radius"].to_numpy()
texture = data["mean texture"].to_numpy().copy()
texture[::23] = np.nan
group = np.array(["abcdefghij"[min(int((v - 0.05) * 100), 9)] for v in data["mean smoothness"]], dtype=object)
group[5::31] = ""
y = 1 - data["target"].to_numpy()  # malignant
n = len(y)


def lower(values, share):
    return np.quantile(values, share, method="lower")


# A spline, without a penalty: patsy's natural cubic basis spans the same functions.
knots = [lower(radius, q) for q in [0.05, 0.275, 0.5, 0.725, 0.95]]
filled = np.where(np.isnan(texture), np.nanmedian(texture), texture)
basis = patsy.dmatrix(
    "cr(x, knots=inner, lower_bound=low, upper_bound=high) - 1",
    {"x": np.clip(radius, knots[0], knots[-1]), "inner": knots[1:-1], "low": knots[0], "high": knots[-1]},
)


def truncated(x):
    """The basis of The Elements of Statistical Learning, 5.4, with the constant; linear beyond the knots."""
    cube = lambda v: np.maximum(v, 0) ** 3
    last = knots[-1]
    d = lambda k: (cube(x - k) - cube(x - last)) / (last - k)
    return np.column_stack([np.ones_like(x), x] + [d(k) - d(knots[-2]) for k in knots[:-2]])


inside = (radius >= knots[0]) & (radius <= knots[-1])
projected = truncated(radius[inside])
others = np.asarray(basis)[inside]
assert np.abs(others @ np.linalg.lstsq(others, projected, rcond=None)[0] - projected).max() < 1e-9, "one space"
design = np.column_stack([truncated(radius), filled])
scaled = design.copy()
for j in range(1, scaled.shape[1]):
    scaled[:, j] = (scaled[:, j] - scaled[:, j].mean()) / scaled[:, j].std()
logit = sm.Logit(y, scaled)
beta = logit.fit(method="newton", tol=1e-8, maxiter=200, disp=0).params
for _ in range(5):
    beta = beta - np.linalg.solve(logit.hessian(beta), logit.score(beta))
assert np.abs(logit.score(beta)).max() < 1e-10, logit.score(beta)
spline = {"knots": knots, "probabilities": logit.predict(beta, scaled).tolist()}


def evidence(bad, good, all_bad, all_good):
    half = 0.5 if bad == 0 or good == 0 else 0.0
    p, q = (bad + half) / all_bad, (good + half) / all_good
    return np.log(q / p), (q - p) * np.log(q / p)


bad, good = int(y.sum()), int(n - y.sum())


def merged(groups, all_rows, least=0.05, most=8):
    """Groups of (positives, negatives, members), coarser."""
    groups = [list(g) for g in groups]
    rows = lambda g: g[0] + g[1]
    share = lambda g: g[0] / rows(g)
    join = lambda a, b: [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
    value = lambda g: evidence(g[0], g[1], bad, good)[1]
    while len(groups) > 1 and min(map(rows, groups)) < max(least * all_rows, 1):
        i = min(range(len(groups)), key=lambda i: rows(groups[i]))
        left = abs(share(groups[i - 1]) - share(groups[i])) if i > 0 else np.inf
        right = abs(share(groups[i + 1]) - share(groups[i])) if i + 1 < len(groups) else np.inf
        i = i - 1 if left <= right else i
        groups[i:i + 2] = [join(groups[i], groups[i + 1])]
    while len(groups) > most:
        loss = [value(a) + value(b) - value(join(a, b)) for a, b in zip(groups, groups[1:])]
        i = int(np.argmin(loss))
        groups[i:i + 2] = [join(groups[i], groups[i + 1])]
    return groups


def numeric(x):
    there = ~np.isnan(x)
    edges = sorted({lower(x[there], i / 20) for i in range(1, 20)} - {x[there].max()})
    place = np.searchsorted(edges, x)  # an edge belongs to the bin below it
    fine = [(int(y[there & (place == b)].sum()), int((1 - y)[there & (place == b)].sum()))
            for b in range(len(edges) + 1)]
    best = None
    for increasing in [True, False]:
        shares = [p / (p + q) for p, q in fine]
        weights = [p + q for p, q in fine]
        pooled = IsotonicRegression(increasing=increasing).fit(
            range(len(fine)), shares, sample_weight=weights).predict(range(len(fine)))
        groups = []
        for b, (p, q) in enumerate(fine):
            if groups and np.isclose(pooled[b], pooled[b - 1], rtol=1e-12, atol=0):
                groups[-1] = (groups[-1][0] + p, groups[-1][1] + q, groups[-1][2] + [b])
            else:
                groups.append((p, q, [b]))
        groups = merged(groups, n)
        value = sum(evidence(p, q, bad, good)[1] for p, q, _ in groups)
        if best is None or value > best[0]:
            best = (value, groups)
    groups = best[1]
    chosen = [float(edges[g[2][-1]]) for g in groups[:-1]]
    gone = (int(y[~there].sum()), int((1 - y)[~there].sum()))
    woe = [evidence(p, q, bad, good)[0] for p, q, _ in groups]
    missing = evidence(*gone, bad, good) if sum(gone) else (0.0, 0.0)
    value = sum(evidence(p, q, bad, good)[1] for p, q, _ in groups) + missing[1]
    if OptimalBinning is not None:
        # Its bins are open above, ours below: between two values there is no difference.
        splits = [np.nextafter(edge, np.inf) for edge in chosen]
        other = OptimalBinning(dtype="numerical", user_splits=splits, user_splits_fixed=[True] * len(splits))
        other.fit(x, y)
        table = other.binning_table
        table.build()
        frame = table.build()
        theirs = [float(w) for w in frame["WoE"].iloc[: len(woe)]]
        assert np.allclose(theirs, woe, atol=1e-9, rtol=0), (theirs, woe)
        assert sum(gone) == 0 or abs(float(frame["WoE"].iloc[len(woe) + 1]) - missing[0]) < 1e-9
        assert abs(table.iv - value) < 1e-9, (table.iv, value)
    value_of = np.where(there, np.array(woe)[np.searchsorted(chosen, x)], missing[0])
    return {"edges": chosen, "woe": woe, "missing": missing[0], "information_value": value}, value_of


def categorical(texts):
    present = texts != ""
    names = sorted(set(texts[present]))
    counts = {t: (int(y[texts == t].sum()), int((1 - y)[texts == t].sum())) for t in names}
    rare = [t for t in names if sum(counts[t]) < 0.05 * present.sum()]
    units = [[t] for t in names if t not in rare] + ([rare] if rare else [])
    sums = [(sum(counts[t][0] for t in u), sum(counts[t][1] for t in u), u) for u in units]
    sums.sort(key=lambda g: g[0] / (g[0] + g[1]))
    groups = []
    for p, q, u in sums:
        if groups and groups[-1][0] * (p + q) == p * (groups[-1][0] + groups[-1][1]):
            groups[-1] = (groups[-1][0] + p, groups[-1][1] + q, groups[-1][2] + u)
        else:
            groups.append((p, q, u))
    groups = merged(groups, n)
    gone = (int(y[~present].sum()), int((1 - y)[~present].sum()))
    woe = [evidence(p, q, bad, good)[0] for p, q, _ in groups]
    missing = evidence(*gone, bad, good)
    value = sum(evidence(p, q, bad, good)[1] for p, q, _ in groups) + missing[1]
    of = {t: w for w, (_, _, u) in zip(woe, groups) for t in u}
    value_of = np.array([of[t] if t else missing[0] for t in texts], dtype=float)
    levels = [sorted(u) for _, _, u in groups]
    return {"levels": levels, "woe": woe, "missing": missing[0], "information_value": value}, value_of


bins, weights = zip(numeric(radius), numeric(texture), categorical(group))
design = np.column_stack(weights)
model = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-13, max_iter=1000).fit(design, y)
probabilities = model.predict_proba(design)[:, 1]
factor = -20 / np.log(2)
offset = 600 - factor * np.log(0.02)
points = [
    round(offset + factor * float(model.intercept_[0])),
    *([round(factor * c * w) for w in b["woe"]] for c, b in zip(model.coef_[0], bins)),
]
print(json.dumps({
    "rows": [[radius[i], None if np.isnan(texture[i]) else texture[i], group[i], int(y[i])] for i in range(n)],
    "optbinning": OptimalBinning is not None,
    "spline": spline,
    "bins": list(bins),
    "scorecard": {"coefficients": model.coef_[0].tolist(), "probabilities": probabilities.tolist(),
                  "points": points},
}))
