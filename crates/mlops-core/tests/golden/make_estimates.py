"""Golden estimates of scores without labels, with their intervals.

The line of calibration is statsmodels', the expected scores are numpy's and must be those of NannyML's
CBPE, and the derivatives of the delta method are finite differences. Run it beside this file to write
estimates.json; the versions used are in the file. Not run by the tests, which only read the JSON.
"""

import json
import pathlib

import nannyml
import numpy as np
import statsmodels
import statsmodels.api as sm
from nannyml.performance_estimation.confidence_based import metrics as cbpe
from scipy import stats

Z = stats.norm.ppf(0.975)
NAMES = ["f1", "precision", "recall", "roc_auc"]


def logit(p):
    return np.log(p / (1 - p))


def expit(x):
    return 1 / (1 + np.exp(-x))


def scores(q, p, threshold):
    """The expected scores of rows with the chances q, predicted and ordered by p."""
    predicted = p > threshold
    tp, fp, fn = q[predicted].sum(), (1 - q)[predicted].sum(), q[~predicted].sum()
    # Of each pair of a positive and a negative row: is the positive one's p higher?
    won = (p[:, None] > p[None, :]) + 0.5 * (p[:, None] == p[None, :])
    area = q @ won @ (1 - q) / (q.sum() * (1 - q).sum())
    return np.array([2 * tp / (2 * tp + fp + fn), tp / (tp + fp), tp / (tp + fn), area])


def derivatives(of, at, step):
    """Central differences, one row for each element of `at`."""
    rows = []
    for i in range(len(at)):
        move = np.zeros(len(at))
        move[i] = step
        rows.append((of(at + move) - of(at - move)) / (2 * step))
    return np.array(rows)


def case(name, random, tested, served, shift, spread, threshold, digits):
    x = np.round(spread * random.standard_normal(tested) - 0.7, 9)
    p = np.clip(np.round(expit(x), digits), 1e-4, 1 - 1e-4)
    labels = random.random(tested) < p
    test = sm.Logit(labels.astype(float), sm.add_constant(logit(p))).fit(disp=0, tol=1e-14)
    line, covariance = test.params, test.cov_params()
    asked = spread * random.standard_normal(served) - 0.7 + shift
    asked = np.clip(np.round(expit(asked), digits), 1e-4, 1 - 1e-4)

    def chances(line):
        return expit(line[0] + line[1] * logit(asked))

    q = chances(line)
    value = scores(q, asked, threshold)
    predicted = (asked > threshold).astype(int)
    theirs = [f(predicted, q) for f in (cbpe.estimate_f1, cbpe.estimate_precision, cbpe.estimate_recall)]
    assert np.allclose(value[:3], theirs, rtol=0, atol=1e-12), (value, theirs)
    if digits > 6:  # NannyML's area depends on the order of equal scores, and it rounds to five digits.
        assert abs(value[3] - cbpe.estimate_roc_auc(q, asked)) < 1e-5
    by_label = derivatives(lambda q: scores(q, asked, threshold), q, 1e-5)
    by_line = derivatives(lambda line: scores(chances(line), asked, threshold), line, 1e-5)
    variance = (q * (1 - q)) @ by_label**2 + np.einsum("is,ij,js->s", by_line, covariance, by_line)
    half = Z * np.sqrt(variance)
    return {
        "name": name,
        "threshold": threshold,
        "labels": [int(label) for label in labels],
        "p": [float(x) for x in p],
        "answered": [float(x) for x in asked],
        "intercept": float(line[0]),
        "slope": float(line[1]),
        "covariance": covariance.tolist(),
        "scores": {
            score: [float(v), float(max(v - h, 0)), float(min(v + h, 1))]
            for score, v, h in zip(NAMES, value, half)
        },
    }


random = np.random.default_rng(16)
golden = {
    "versions": {"nannyml": nannyml.__version__, "numpy": np.__version__, "statsmodels": statsmodels.__version__},
    "cases": [
        case("the same inputs", random, 900, 400, 0.0, 1.5, 0.5, 8),
        case("inputs moved up", random, 700, 500, 1.0, 1.5, 0.5, 8),
        case("many equal scores", random, 800, 400, -0.3, 1.2, 0.5, 1),
        case("a low threshold", random, 1200, 300, 0.2, 2.5, 0.15, 8),
    ],
}
path = pathlib.Path(__file__).with_name("estimates.json")
path.write_text(json.dumps(golden) + "\n")
