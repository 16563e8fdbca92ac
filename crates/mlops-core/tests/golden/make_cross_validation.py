"""Writes cross_validation.json: grids, predictions and thresholds by scikit-learn and numpy.

The rows are those of make_fit.py, and those of the Wisconsin breast cancer data (569 real rows, ten
mean values), which are stored; row i is tested in fold i % 5, as in tests/metrics/cross_validation.rs.
Thresholds are found by brute force over every way to divide the predicted rows, and those for
scikit-learn's scorers are checked against TunedThresholdClassifierCV.

Needs numpy and scikit-learn. Run: python make_cross_validation.py > cross_validation.json
"""

import contextlib
import io
import json
import sys
import warnings

import numpy
import sklearn
from sklearn.datasets import load_breast_cancer
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    matthews_corrcoef,
)
from sklearn.model_selection import PredefinedSplit, TunedThresholdClassifierCV
from sklearn.preprocessing import StandardScaler

with contextlib.redirect_stdout(io.StringIO()):
    from make_fit import generate

GRID = [1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4]
FOLDS = 5


def estimator(c, class_weight):
    return LogisticRegression(
        solver="newton-cholesky", tol=1e-12, C=c, class_weight=class_weight, max_iter=1000
    )


def validate(x, y, c, class_weight, scaled):
    """Mean log loss of each fold, and the probability of each row by the fold that tests it."""
    losses, probabilities = [], numpy.empty(len(y))
    for train, test in PredefinedSplit(numpy.arange(len(y)) % FOLDS).split():
        scaler = StandardScaler(with_mean=scaled, with_std=scaled).fit(x[train])
        model = estimator(c, class_weight).fit(scaler.transform(x[train]), y[train])
        z = model.decision_function(scaler.transform(x[test]))
        if class_weight == "balanced":
            # Balanced weights multiply the odds by negatives / positives of the training rows.
            z += numpy.log(y[train].sum() / (1 - y[train]).sum())
        p = 1.0 / (1.0 + numpy.exp(-z))
        losses.append(float(log_loss(y[test], p)))
        probabilities[test] = p
    return losses, probabilities


def one_standard_error(table):
    means = [numpy.mean(losses) for losses in table]
    errors = [numpy.std(losses, ddof=1) / numpy.sqrt(FOLDS) for losses in table]
    best = int(numpy.argmin(means))
    chosen = next(i for i, mean in enumerate(means) if mean <= means[best] + errors[best])
    return [float(m) for m in means], [float(e) for e in errors], best, chosen


class Given(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose only feature is the probability."""

    def __init__(self):
        self.classes_ = numpy.array([0, 1])

    def fit(self, x, y):
        return self

    def predict_proba(self, x):
        return numpy.column_stack([1 - x[:, 0], x[:, 0]])

    def predict(self, x):
        return (x[:, 0] > 0.5).astype(int)


def thresholds(y, p):
    values = numpy.unique(p)
    edges = numpy.concatenate([[0.0], values, [1.0]])
    middles = (edges[:-1] + edges[1:]) / 2
    counts = []
    for t in middles:
        positive = p > t
        counts.append(
            [
                int((~positive & (y == 0)).sum()),
                int((positive & (y == 0)).sum()),
                int((~positive & (y == 1)).sum()),
                int((positive & (y == 1)).sum()),
            ]
        )
    tn, fp, fn, tp = numpy.array(counts, dtype=float).T
    predicted = tp + fp
    precision = numpy.where(predicted > 0, tp / numpy.maximum(predicted, 1), 0.0)
    recall = tp / (tp + fn)
    specificity = tn / (tn + fp)
    scale = numpy.sqrt(predicted * (tp + fn)) * numpy.sqrt((tn + fp) * (tn + fn))
    mcc = numpy.where(scale > 0, (tp * tn - fp * fn) / numpy.where(scale > 0, scale, 1), 0.0)
    f1 = 2 * tp / (2 * tp + fp + fn)
    by = {
        "f1": f1,
        "accuracy": (tp + tn) / len(y),
        "balanced_accuracy": (recall + specificity) / 2,
        "mcc": mcc,
        "youden": recall + specificity - 1,
    }
    scorers = {
        "f1": f1_score,
        "accuracy": accuracy_score,
        "balanced_accuracy": balanced_accuracy_score,
        "mcc": matthews_corrcoef,
    }
    found = []

    def add(rule, value, wanted):
        # Of equal ones the highest threshold, that is the last.
        best = max(range(len(middles)), key=lambda i: (wanted[i], i))
        found.append(
            {
                "rule": rule,
                "threshold": float(middles[best]),
                "value": float(value[best]),
                "counts": counts[best],
            }
        )

    for name, value in by.items():
        add({"maximize": name}, value, value)
        if name in scorers:
            scoring = sklearn.metrics.make_scorer(scorers[name])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tuned = TunedThresholdClassifierCV(
                    Given(), scoring=scoring, cv="prefit", refit=False, thresholds=middles
                ).fit(p.reshape(-1, 1), y)
            assert abs(tuned.best_score_ - found[-1]["value"]) < 1e-12, name
    never = -numpy.inf
    for least in (0.5, 0.8, 1.0):
        add({"min_recall": least}, recall, numpy.where(recall >= least, -predicted, never))
    for least in (0.6, 0.8):
        reached = (precision >= least) & (predicted > 0)
        add(
            {"min_precision": least}, precision, numpy.where(reached, tp * len(y) - fp, never)
        )
    for a, b in ((1, 5), (5, 1)):
        cost = a * fp + b * fn
        rule = {"cost": {"false_positive": a, "false_negative": b}}
        add(rule, cost / len(y), -cost)
    for share in (0.1, 0.25):
        reached = (predicted > 0) & (predicted <= share * len(y) + 1e-9)
        add({"top": share}, predicted / len(y), numpy.where(reached, predicted, never))
    return found


def real(name, class_weight=None):
    data = load_breast_cancer()
    # Malignant is 0 there.
    x, y = data.data[:, :10], 1 - data.target
    found = case_of(name, x, y, class_weight, True)
    return found | {"x": x.tolist(), "y": [bool(v) for v in y]}


def case(name, seed, rows, features, class_weight=None, scaled=True):
    x, y, checksum = generate(seed, rows, features)
    found = case_of(name, x, y, class_weight, scaled)
    return found | {"seed": seed, "checksum": checksum}


def case_of(name, x, y, class_weight, scaled):
    table, predictions = [], []
    for c in GRID:
        losses, p = validate(x, y, c, class_weight, scaled)
        table.append(losses)
        predictions.append(p)
    means, errors, best, chosen = one_standard_error(table)
    if not scaled and class_weight is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            searched = LogisticRegressionCV(
                Cs=GRID,
                l1_ratios=(0,),
                cv=PredefinedSplit(numpy.arange(len(y)) % FOLDS),
                scoring="neg_log_loss",
                solver="newton-cholesky",
                tol=1e-12,
                max_iter=1000,
                refit=False,
                use_legacy_attributes=False,
            ).fit(x, y)
        scores = searched.scores_.reshape(FOLDS, len(GRID))
        assert numpy.abs(scores + numpy.array(table).T).max() < 1e-9
    p = predictions[chosen]
    return {
        "name": name,
        "rows": x.shape[0],
        "features": x.shape[1],
        "class_weight": class_weight or "none",
        "scaled": scaled,
        "losses": table,
        "means": means,
        "standard_errors": errors,
        "best": GRID[best],
        "chosen": GRID[chosen],
        "probabilities": [float(v) for v in p],
        "thresholds": thresholds(y, p),
    }


json.dump(
    {
        "scikit-learn": sklearn.__version__,
        "cases": [
            case("three features", 1, 400, 3),
            case("thirty features, balanced", 2, 600, 30, class_weight="balanced"),
            case("as LogisticRegressionCV", 1, 300, 4, scaled=False),
            real("breast cancer"),
        ],
    },
    sys.stdout,
    separators=(",", ":"),
)
print()
