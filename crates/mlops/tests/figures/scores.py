"""Every figure of an evaluation, from scikit-learn, scipy and statsmodels, for compare.py.

With `entities`, rows of one entity are taken together: the design effect of each figure is that of the linearised
figure (Taylor), as R's survey has it, and quantiles are Student's.
"""

import numpy as np
import statsmodels.api as sm
from scipy import stats
from scipy.optimize import brentq
from sklearn import metrics as m
from statsmodels.stats.proportion import proportion_confint

EPS = np.finfo(float).eps


class Sampling:
    """How much less rows tell that share entities: a design effect, and a quantile."""

    def __init__(self, entities):
        self.entities = entities

    def of(self, influence, counts=None):
        if self.entities is None:
            return 1.0, stats.norm.ppf(0.975)
        counts = np.ones(len(influence), bool) if counts is None else counts
        influence, entities = influence[counts], self.entities[counts]
        names, place = np.unique(entities, return_inverse=True)
        if len(names) < 2:
            return max(len(influence), 1.0), stats.t.ppf(0.975, 1)
        sums, alone = np.bincount(place, influence), np.sum(influence**2)
        design = np.sum(sums**2) / alone * len(names) / (len(names) - 1) if alone > 0 else len(influence) / len(names)
        return max(design, 1.0), stats.t.ppf(0.975, len(names) - 1)


def share(k, n, sampling):
    """Wilson's interval of k / n."""
    design, quantile = sampling
    if n == 0:
        return np.array([0.0, 1.0])
    ends = proportion_confint(k / design, n / design, alpha=2 * stats.norm.sf(quantile), method="wilson")
    return np.array([float(end) for end in ends])


def both_sides(inside, low, high, distance):
    """The ends of the values for which `distance` is not above 0, by search on either side of `inside`."""
    ends = []
    for end, away in ((low, -1e-9), (high, 1e-9)):
        start = inside + away  # The figure itself is inside; where it is certain, it is also a root.
        if (end - start) * away <= 0 or distance(end) <= 0:
            ends.append(end)
        else:
            ends.append(brentq(distance, *sorted((start, end)), xtol=1e-15, rtol=4 * EPS, maxiter=500))
    return np.array(ends)


def area(auc, positives, negatives, sampling):
    design, quantile = sampling
    p, n = positives / design, negatives / design

    def beyond(a):
        q1, q2, more = a / (2 - a), 2 * a * a / (1 + a), (p + n) / 2 - 1
        # Hanley and McNeil's variance at a, with the mean of both sizes in its last two terms.
        variance = (a * (1 - a) + more * (q1 - a * a) + more * (q2 - a * a)) / (p * n)
        return (auc - a) ** 2 - quantile**2 * variance

    return both_sides(auc, 0.0, 1.0, beyond)


def ratio_as_lift(found, rows, positives, n, sampling):
    """Koopman's interval of the ratio of two shares, as the lift of the first."""
    design, quantile = sampling
    found, rows, positives, n = (x / design for x in (found, rows, positives, n))
    rest, others, w = max(positives - found, 0.0), n - rows, rows / n

    def beyond(lift):
        up, down = lift * (1 - w), 1 - w * lift
        # Shares up s and down s: the likelihood has its root in s between 0 and the largest possible s.
        a, b, c = (rows + others) * up * down, -((rows + rest) * up + (others + found) * down), found + rest
        s = np.min(np.real(np.roots([a, b, c]))) if a > 0 else -c / b
        p, q = min(up * s, 1.0), min(down * s, 1.0)
        variance = down**2 * p * (1 - p) / rows + up**2 * q * (1 - q) / others
        return (found / rows * down - rest / others * up) ** 2 - quantile**2 * variance

    return both_sides(found / rows / (positives / n), 0.0, n / rows, beyond)


def correlation(tp, fp, fn, tn, sampling):
    """Fisher's interval of the Matthews correlation; the derivatives of the delta method are complex steps."""
    design, quantile = sampling
    cells = np.array([tp, fp, fn, tn]) / design + 0.2
    n, shares = cells.sum(), cells / cells.sum()
    phi = lambda t: (t[0] * t[3] - t[1] * t[2]) / np.sqrt(
        (t[0] + t[1]) * (t[0] + t[2]) * (t[3] + t[1]) * (t[3] + t[2]))
    slope = np.array([phi(shares + 1e-30j * np.eye(4)[i]).imag / 1e-30 for i in range(4)])
    variance = max((shares @ slope**2 - (shares @ slope) ** 2) / n, 0.0)
    r = phi(shares)
    half = quantile * np.sqrt(variance) / (1 - r * r)
    exact = 0.0 if min(tp + fp, tn + fn) == 0 else phi(np.array([tp, fp, fn, tn], float))
    low, high = np.tanh([np.arctanh(r) - half, np.arctanh(r) + half])
    return np.array([min(low, exact), max(high, exact)])


def joined(one, of_one, other, of_other):
    """Newcombe's interval of the sum of two shares."""
    return np.array([one + other - np.hypot(one - of_one[0], other - of_other[0]),
                     one + other + np.hypot(of_one[1] - one, of_other[1] - other)])


def deciles(y, p):
    order = np.argsort(-p, kind="stable")
    y, p = y[order], p[order]
    last = np.r_[np.flatnonzero(np.diff(p)), len(p) - 1]
    bounds = np.arange(11) * len(y) // 10
    gain = np.interp(bounds, np.r_[0, last + 1], np.r_[0, np.cumsum(y)[last]])
    return [[b - a, v - u, p[a], p[b - 1], (v - u) / (b - a) / y.mean(), v / y.sum()]
            for a, b, u, v in zip(bounds, bounds[1:], gain, gain[1:])]


def figures(y, p, threshold, entities=None):
    """Every figure by the name that score.json has for it; intervals are pairs."""
    y, guess = y.astype(int), (p > threshold).astype(int)
    tn, fp, fn, tp = (int(x) for x in m.confusion_matrix(y, guess, labels=[0, 1]).ravel())
    positives, negatives, n = tp + fn, tn + fp, len(y)
    taken = Sampling(entities)
    right, any_of = (y == guess).astype(float), (y | guess).astype(bool)
    mean = lambda of, counts: taken.of(of - of[counts].mean() if counts.any() else of, counts)
    of_jaccard = lambda ends: 2 * ends / (1 + ends)
    all_rows, is_positive, is_negative = np.ones(n, bool), y == 1, y == 0
    found = {
        "n": n, "positives": positives, "tn": tn, "fp": fp, "fn": fn, "tp": tp,
        "f1": m.f1_score(y, guess, zero_division=0),
        "f1_interval": of_jaccard(share(tp, tp + fp + fn, mean((y & guess).astype(float), any_of))),
        "accuracy": m.accuracy_score(y, guess),
        "accuracy_interval": share(tp + tn, n, mean(right, all_rows)),
        "precision": m.precision_score(y, guess, zero_division=0),
        "recall": m.recall_score(y, guess, zero_division=0),
        "recall_interval": share(tp, positives, mean(right, is_positive)),
        "specificity": m.recall_score(y, guess, pos_label=0, zero_division=0),
        "specificity_interval": share(tn, negatives, mean(right, is_negative)),
        "prevalence": y.mean(),
        "prevalence_interval": share(positives, n, mean(y.astype(float), all_rows)),
        "log_loss": m.log_loss(y, p, labels=[0, 1]),
        "brier": m.brier_score_loss(y, p),
        "constant.f1": 2 * positives / (positives + n),
        "constant.accuracy": max(positives, negatives) / n,
    }
    if tp + fp:
        found["precision_interval"] = share(tp, tp + fp, mean(y.astype(float), guess == 1))
    if positives and negatives:
        found |= of_both_classes(y, p, guess, (tp, fp, fn, tn), taken)
    return found


def of_both_classes(y, p, guess, cells, taken):
    tp, fp, fn, tn = cells
    n, positives, negatives = len(y), tp + fn, tn + fp

    def rates(answer):
        """For a sum or difference of both rates of right answers: a row moves that of its class."""
        right = (answer == y).astype(float)
        return taken.of(np.where(y == 1, (right - right[y == 1].mean()) / positives,
                                 (right - right[y == 0].mean()) / negatives))

    def standard(v):
        return (v - v.mean()) / v.std() if v.std() > 0 else np.zeros(len(v))

    auc = m.roc_auc_score(y, p)
    # DeLong's placements: the share of the other class that a row is ranked rightly against.
    wins = (p[y == 1][:, None] > p[y == 0]) + 0.5 * (p[y == 1][:, None] == p[y == 0])
    placed = np.empty(n)
    placed[y == 1] = (wins.mean(axis=1) - auc) / positives
    placed[y == 0] = (wins.mean(axis=0) - auc) / negatives
    u, v = standard(y), standard(guess)
    r = m.matthews_corrcoef(y, guess)
    of_area = area(auc, positives, negatives, taken.of(placed))
    sampling = rates(guess)
    recall, specificity = share(tp, positives, sampling), share(tn, negatives, sampling)
    score = max(np.unique(p), key=lambda s: (
        round(abs(np.mean(p[y == 1] >= s) - np.mean(p[y == 0] >= s)), 12), s))
    at = (p >= score).astype(int)
    sampling = rates(at)
    if at[y == 1].mean() < at[y == 0].mean():
        at = 1 - at
    k1, k0 = int((at & (y == 1)).sum()), int((at & (y == 0)).sum())
    # A difference is a sum with the share of the others: 1 - k0 / negatives.
    distance = joined(k1 / positives, share(k1, positives, sampling),
                      (negatives - k0) / negatives, share(negatives - k0, negatives, sampling)) - 1
    found = {
        "roc_auc": auc, "roc_auc_interval": of_area, "gini": 2 * auc - 1, "gini_interval": 2 * of_area - 1,
        "pr_auc": m.average_precision_score(y, p),
        "balanced_accuracy": m.balanced_accuracy_score(y, guess),
        "balanced_accuracy_interval": joined(tp / positives, recall, tn / negatives, specificity) / 2,
        "mcc": r,
        "mcc_interval": correlation(tp, fp, fn, tn, taken.of(u * v - r * (u * u + v * v) / 2)),
        "ks": stats.ks_2samp(p[y == 1], p[y == 0]).statistic,
        "ks_interval": np.maximum(distance, 0),
    }
    if n >= 10:
        found |= of_deciles(y, p, taken)
    return found | calibration(y, p, taken)


def of_deciles(y, p, taken):
    table = deciles(y, p)
    rows, hits, _, lowest = table[0][:4]
    first, others = p >= lowest, len(y) - rows
    a, b = hits / rows, (y.sum() - hits) / others
    miss = np.where(first, y - a, y - b)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_ratio = np.where(first, miss / (a * rows) if a > 0 else 0.0, -miss / (b * others) if b > 0 else 0.0)
    return {
        "deciles": np.array(table, dtype=float).ravel(),
        "top_decile.rows": rows, "top_decile.positives": hits, "top_decile.precision": a,
        "top_decile.lift": a / y.mean(),
        "top_decile.precision_interval": share(hits, rows, taken.of(y - a, first)),
        "top_decile.lift_interval": ratio_as_lift(hits, rows, y.sum(), len(y), taken.of(of_ratio)),
    }


def calibration(y, p, taken):
    design, _ = taken.of((y - p) * (1 - 2 * p))
    z = np.sum((y - p) * (1 - 2 * p)) / np.sqrt(np.sum((1 - 2 * p) ** 2 * p * (1 - p)) * design)
    found = {"calibration.spiegelhalter_z": z, "calibration.spiegelhalter_p": 2 * stats.norm.sf(abs(z))}
    clipped = np.clip(p, EPS, 1 - EPS)
    x = np.log(clipped / (1 - clipped))
    low, high = sorted(((x[y == 1].min(), x[y == 1].max()), (x[y == 0].min(), x[y == 0].max())))
    if low[1] <= high[0] or len(np.unique(x)) < 2:
        return found | {"calibration.slope": None}
    design = sm.add_constant(x)
    fit = sm.Logit(y, design).fit(disp=0, method="newton", tol=1e-14, maxiter=200)
    covariance = fit.cov_params()
    for name, which in (("intercept", 0), ("slope", 1)):
        effect, quantile = taken.of((design @ covariance[which]) * fit.resid_response)
        half = quantile * np.sqrt(covariance[which, which] * effect)
        found |= {f"calibration.{name}": fit.params[which],
                  f"calibration.{name}_interval": fit.params[which] + np.array([-half, half])}
    return found
