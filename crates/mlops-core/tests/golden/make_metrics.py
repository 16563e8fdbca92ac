"""Golden numbers for metrics and column profiles, from scikit-learn and pandas.

Run it beside this file to write metrics.json; the versions used are in the file. Not run by the
tests, which only read the JSON.
"""

import json
import pathlib

import numpy as np
import pandas as pd
import sklearn
from sklearn import metrics as m
from sklearn.calibration import calibration_curve

rng = np.random.default_rng(20260)


def number(x):
    """None instead of NaN, which JSON does not have."""
    x = float(x)
    return None if np.isnan(x) else x


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def metric_case(name, labels, p):
    y, p = np.asarray(labels, dtype=int), np.asarray(p, dtype=float)
    predicted = (p > 0.5).astype(int)
    both = 0 < y.sum() < len(y)
    case = {
        "name": name,
        "labels": y.astype(bool).tolist(),
        "p": p.tolist(),
        "confusion": m.confusion_matrix(y, predicted, labels=[0, 1]).ravel().tolist(),
        "f1": m.f1_score(y, predicted, zero_division=0),
        "accuracy": m.accuracy_score(y, predicted),
        "precision": m.precision_score(y, predicted, zero_division=0),
        "recall": m.recall_score(y, predicted, zero_division=0),
        "roc_auc": m.roc_auc_score(y, p) if both else None,
        "average_precision": m.average_precision_score(y, p) if both else None,
        "log_loss": m.log_loss(y, p, labels=[0, 1]),
        "brier": m.brier_score_loss(y, p, pos_label=1) if both else float(np.mean((p - y) ** 2)),
    }
    roc, pr = [], []
    if both:
        fpr, tpr, _ = m.roc_curve(y, p, drop_intermediate=False)
        roc = np.c_[fpr, tpr].tolist()
        precision, recall, _ = m.precision_recall_curve(y, p)
        pr = np.c_[recall, precision][::-1].tolist()
    case["roc"], case["pr"] = roc, pr
    fraction, mean = calibration_curve(y, p, n_bins=10) if both else ([], [])
    case["calibration"] = np.c_[mean, fraction].tolist() if both else None
    case["histogram"] = [
        np.histogram(p[y == c], bins=10, range=(0, 1))[0].tolist() for c in (0, 1)
    ]
    return case


def model(n, prevalence, strength, decimals=None):
    y = (rng.random(n) < prevalence).astype(int)
    p = sigmoid(rng.normal(size=n) + strength * (y - 0.5) + np.log(prevalence / (1 - prevalence)))
    return y, p if decimals is None else np.round(p, decimals)


METRICS = [
    metric_case("good model", *model(200, 0.4, 2.5)),
    metric_case("weak model", *model(150, 0.5, 0.3)),
    metric_case("skewed", *model(300, 0.05, 2.0)),
    metric_case("ties", *model(200, 0.4, 1.5, 1)),
    metric_case("many ties on bin edges", rng.integers(0, 2, 110), np.arange(110) % 11 / 10),
    metric_case("all scores equal", [0, 1, 1, 0, 1], [0.5] * 5),
    metric_case("perfect", [0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]),
    metric_case("upside down", [1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9]),
    metric_case("certain", [0, 1, 0, 1, 1], [0.0, 1.0, 1.0, 0.0, 1.0]),
    metric_case("extreme", [0, 1, 0, 1, 1, 0], [1e-300, 1 - 1e-16, 1e-17, 3e-16, 0.999999, 1e-9]),
    metric_case("positives only", [1, 1, 1], [0.2, 0.6, 0.9]),
    metric_case("negatives only", [0, 0, 0], [0.2, 0.6, 0.4]),
    metric_case("one positive row", [1], [0.7]),
    metric_case("one negative row", [0], [0.7]),
    metric_case("two rows", [0, 1], [0.7, 0.3]),
]


def numeric_case(name, values):
    s = pd.Series(values, dtype=float)
    modes = s.mode()
    return {
        "name": name,
        "values": [number(v) for v in s],
        "count": int(s.count()),
        "missing": int(s.isna().sum()),
        "missing_percent": float(100 * s.isna().mean()),
        "mean": number(s.mean()),
        "median": number(s.median()),
        "modes": modes.tolist()[:100],
        "mode_count": len(modes),
        "mode_frequency": int(s.value_counts().max()) if s.count() else 0,
        "std_ddof1": number(s.std()),
        "min": number(s.min()),
        "q25": number(s.quantile(0.25)),
        "q75": number(s.quantile(0.75)),
        "max": number(s.max()),
        "distinct": int(s.nunique()),
    }


NAN = float("nan")
NUMERIC = [
    numeric_case("skewed integers", np.floor(rng.exponential(300, 301))),
    numeric_case("with missing cells", [3, NAN, 1, 4, 1, NAN, 5, 9, 2, 6, NAN]),
    numeric_case("floats", rng.normal(size=202)),
    numeric_case("negative and small", np.round(rng.normal(size=150) * 4) - 3),
    numeric_case("beyond the table", np.round(rng.normal(size=99) * 1e7)),
    numeric_case("on both sides of it", np.round(np.exp(rng.normal(13.9, 0.3, 130)))),
    numeric_case("two rows", [1, 2]),
    numeric_case("one row", [41.5]),
    numeric_case("nothing but missing cells", [NAN, NAN]),
    numeric_case("constant", [0.1] * 7),
    numeric_case("label", rng.integers(0, 2, 40)),
    numeric_case("heavy tail", np.exp(rng.normal(0, 6, 120))),
    numeric_case("many modes", np.arange(130) - 5),
]


def categorical_case(name, values):
    s = pd.Series(values, dtype=object)
    counts = s.value_counts()
    top = sorted(((v, int(n)) for v, n in counts.items()), key=lambda x: (-x[1], x[0]))[:10]
    return {
        "name": name,
        "values": values,
        "count": int(s.count()),
        "missing": int(s.isna().sum()),
        "missing_percent": float(100 * s.isna().mean()),
        "distinct": int(s.nunique()),
        "top": [[v, n] for v, n in top],
    }


CATEGORICAL = [
    categorical_case("a few", ["b", "a", None, "b", "c", "a", None]),
    categorical_case("more than ten", [f"v{int(i)}" for i in rng.integers(0, 14, 120)]),
    categorical_case("all different", [f"n{i}" for i in range(15)]),
]

# One case a line, so that a difference shows which case has changed.
made_with = {"sklearn": sklearn.__version__, "pandas": pd.__version__, "numpy": np.__version__}
parts = [f'"made_with": {json.dumps(made_with)}']
for name, cases in (("metrics", METRICS), ("numeric", NUMERIC), ("categorical", CATEGORICAL)):
    rows = ",\n".join(json.dumps(case, allow_nan=False) for case in cases)
    parts.append(f'"{name}": [\n{rows}\n]')
text = "{\n" + ",\n".join(parts) + "\n}\n"
json.loads(text)
pathlib.Path(__file__).with_name("metrics.json").write_text(text)
