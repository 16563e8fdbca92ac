"""Golden figures of ranking, calibration and the confusion matrix with their intervals.

From scikit-learn, scipy and statsmodels: breast cancer data with cross-validated predictions of a
model of two weak columns, and made-up scores of which many are equal. Run it beside this file to
write figures.json; the versions used are in the file. Not run by the tests, which only read the
JSON.
"""

import json
import pathlib

import numpy as np
import scipy
import sklearn
import statsmodels
import statsmodels.api as sm
from scipy import stats
from scipy.optimize import brentq
from sklearn import metrics as m
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from statsmodels.stats.proportion import (
    confint_proportions_2indep,
    proportion_confint,
    score_test_proportions_2indep,
)

Z = stats.norm.ppf(0.975)


def wilson(k, n):
    return [float(x) for x in proportion_confint(k, n, method="wilson")]


def deciles(y, p):
    """Rows, expected positives, highest and lowest score: the gain curve at each tenth of rows."""
    order = np.argsort(-p, kind="stable")
    y, p = y[order], p[order]
    last = np.r_[np.flatnonzero(np.diff(p)), len(p) - 1]
    rows, found = np.r_[0, last + 1], np.r_[0, np.cumsum(y)[last]]
    bounds = np.arange(11) * len(y) // 10
    gain = np.interp(bounds, rows, found)
    return [
        {
            "rows": int(b - a),
            "positives": float(g2 - g1),
            "highest": float(p[a]),
            "lowest": float(p[b - 1]),
            "lift": float((g2 - g1) / (b - a) / y.mean()),
            "gain": float(g2 / y.sum()),
        }
        for a, b, g1, g2 in zip(bounds, bounds[1:], gain, gain[1:])
    ]


def correlation(cells):
    tp, fp, fn, tn = cells
    return (tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))


def mcc_interval(tp, fp, fn, tn):
    """Delta method with numerical derivatives, of counts with a fifth of a row more in each cell."""
    cells = np.array([tp, fp, fn, tn], dtype=float) + 0.2
    n, shares = cells.sum(), cells / cells.sum()
    gradient = np.empty(4)
    for i in range(4):
        step = np.zeros(4, dtype=complex)
        step[i] = 1e-30j
        gradient[i] = correlation(shares + step).imag / 1e-30
    variance = (shares @ gradient**2 - (shares @ gradient) ** 2) / n
    r = correlation(shares)
    half = Z * np.sqrt(variance) / (1 - r * r)
    return [float(np.tanh(np.arctanh(r) - half)), float(np.tanh(np.arctanh(r) + half))]


def case(name, y, p):
    y, p = np.asarray(y, dtype=int), np.asarray(p, dtype=float)
    guess = (p > 0.5).astype(int)
    tn, fp, fn, tp = (int(x) for x in m.confusion_matrix(y, guess).ravel())
    test = stats.ks_2samp(p[y == 1], p[y == 0])
    at = p >= max(
        (s for s in np.unique(p)),
        key=lambda s: (round(abs(np.mean(p[y == 1] >= s) - np.mean(p[y == 0] >= s)), 12), s),
    )
    ks = confint_proportions_2indep(
        int((at & (y == 1)).sum()), int(y.sum()), int((at & (y == 0)).sum()), int((1 - y).sum()),
        method="newcomb", compare="diff",
    )
    table = deciles(y, p)
    top, rest = table[0], len(y) - table[0]["rows"]
    lift = None
    if top["positives"] == int(top["positives"]):
        # The search of confint_proportions_2indep ends early where all of one sample are positive.
        counts = int(top["positives"]), top["rows"], int(y.sum() - top["positives"]), rest

        def beyond(ratio):
            test = score_test_proportions_2indep(
                *counts, value=ratio, compare="ratio", correction=False
            )
            return float(test.statistic) ** 2 - Z**2

        found = counts[0] / counts[1] / (counts[2] / counts[3])
        ends = [brentq(beyond, *sorted((found, found * k)), xtol=1e-14) for k in (0.5, 2)]
        w = top["rows"] / len(y)
        lift = [float(1 / (w + (1 - w) / ratio)) for ratio in ends]
    x = np.log(p / (1 - p))
    logit = sm.Logit(y, sm.add_constant(x)).fit(disp=0, method="newton", tol=1e-14, maxiter=200)
    z = float(np.sum((y - p) * (1 - 2 * p)) / np.sqrt(np.sum((1 - 2 * p) ** 2 * p * (1 - p))))
    recall, specificity = wilson(tp, tp + fn), wilson(tn, tn + fp)
    r, s = tp / (tp + fn), tn / (tn + fp)
    return {
        "name": name,
        "labels": y.astype(bool).tolist(),
        "p": p.tolist(),
        "specificity": m.recall_score(y, guess, pos_label=0),
        "specificity_interval": specificity,
        "balanced_accuracy": m.balanced_accuracy_score(y, guess),
        "balanced_accuracy_interval": [
            (r + s) / 2 - np.hypot(r - recall[0], s - specificity[0]) / 2,
            (r + s) / 2 + np.hypot(recall[1] - r, specificity[1] - s) / 2,
        ],
        "mcc": m.matthews_corrcoef(y, guess),
        "mcc_interval": mcc_interval(tp, fp, fn, tn),
        "prevalence": float(y.mean()),
        "prevalence_interval": wilson(int(y.sum()), len(y)),
        "gini": 2 * m.roc_auc_score(y, p) - 1,
        "ks": float(test.statistic),
        "ks_interval": [float(end) for end in ks],
        "deciles": table,
        "top_precision_interval": wilson(top["positives"], top["rows"]),
        "lift_interval": lift,
        "intercept": float(logit.params[0]),
        "intercept_interval": [float(end) for end in logit.conf_int()[0]],
        "slope": float(logit.params[1]),
        "slope_interval": [float(end) for end in logit.conf_int()[1]],
        "spiegelhalter_z": z,
        "spiegelhalter_p": float(2 * stats.norm.sf(abs(z))),
    }


def breast_cancer():
    data = load_breast_cancer()
    columns = [list(data.feature_names).index(c) for c in ("mean smoothness", "mean texture")]
    model = make_pipeline(StandardScaler(), LogisticRegression())
    p = cross_val_predict(model, data.data[:, columns], data.target, cv=5, method="predict_proba")
    return case("breast cancer", data.target, p[:, 1])


def tied():
    rng = np.random.default_rng(13)
    p = rng.integers(1, 16, size=403) / 16
    return case("ties", rng.random(403) < 0.15 + 0.6 * p**2, p)


if __name__ == "__main__":
    versions = {module.__name__: module.__version__ for module in (np, scipy, sklearn, statsmodels)}
    golden = {"versions": versions, "cases": [breast_cancer(), tied()]}
    path = pathlib.Path(__file__).with_name("figures.json")
    path.write_text(json.dumps(golden) + "\n")
