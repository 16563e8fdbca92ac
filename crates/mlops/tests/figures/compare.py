"""Compares what the programs wrote for cases.py with scikit-learn, statsmodels, scipy, patsy and optbinning.

    python compare.py FOLDER

FOLDER has the folders of cases.py, in each of which the programs wrote `model/model.json`, `model/score.json`, and
the predictions `train.csv` and `test.csv` with all contributions. Prints the largest deviation of each kind of
figure, and ends with exit code 1 if one is above 1e-9 (relative to figures above 1). Folds are drawn again from hashes
of the ids, models are fitted again, thresholds found again. Two things are taken as given: which bins there are (their
choice has golden figures, mlops-core/tests/golden/make_shapes.py), and the predicted probabilities from which scores
are computed, once they agree. The bootstrap interval of a threshold is not repeated: it has a generator of its own.
"""

import json
import pathlib
import sys
import warnings

import numpy as np
import pandas as pd
import patsy
import statsmodels.api as sm
import xxhash
from optbinning import OptimalBinning
from sklearn.linear_model import LogisticRegression

from cases import CASES
from scores import figures

BOUND = 1e-9
PLACES = {3: [0.1, 0.5, 0.9], 4: [0.05, 0.35, 0.65, 0.95], 5: [0.05, 0.275, 0.5, 0.725, 0.95]}
GRID = [1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4]
seen = {}


def note(kind, case, ours, theirs, scale=1.0):
    """Notes the deviation of `ours` from `theirs`; shapes must agree."""
    ours, theirs = np.atleast_1d(np.asarray(ours, float)), np.atleast_1d(np.asarray(theirs, float))
    assert ours.shape == theirs.shape, (kind, case, ours.shape, theirs.shape)
    with np.errstate(invalid="ignore"):
        off = np.where(ours == theirs, 0.0, np.abs(ours - theirs) / np.maximum(np.abs(theirs), scale))
    worst = float(np.max(off, initial=0.0))
    worst = np.inf if np.isnan(worst) else worst
    seen.setdefault(kind, {})[case] = max(seen.get(kind, {}).get(case, 0.0), worst)


def same(kind, case, ours, theirs):
    """For what must be equal: names, counts, edges."""
    if ours != theirs:
        print(f"{case}: {kind}: {ours} instead of {theirs}")
    note(kind, case, 0.0 if ours == theirs else 1.0, 0.0)


def read(path, texts):
    """A CSV file whose numbers are exactly those that are printed, whatever pandas' parser does."""
    frame = pd.read_csv(path, dtype=str)
    number = lambda cell: float(cell) if isinstance(cell, str) else np.nan
    for name in set(frame.columns) - texts:
        try:
            frame[name] = [number(cell) for cell in frame[name]]
        except ValueError:
            pass  # A text that the case does not use, or the name of a column.
    return frame


def expit(z):
    return 1 / (1 + np.exp(-z))


def spline(x, knots):
    """The Elements of Statistical Learning, 5.4, in units of the distance of the outer knots."""
    low, high = knots[0], knots[-1]
    u, t = (x - low) / (high - low), (np.array(knots) - low) / (high - low)
    d = lambda k: (np.maximum(u - t[k], 0) ** 3 - np.maximum(u - t[-1], 0) ** 3) / (t[-1] - t[k])
    return np.column_stack([x] + [d(k) - d(len(t) - 2) for k in range(len(t) - 2)])


def evidence(bad, good, all_bad, all_good):
    half = 0.5 if bad == 0 or good == 0 else 0.0
    p, q = (bad + half) / all_bad, (good + half) / all_good
    return np.log(q / p), (q - p) * np.log(q / p)


class Encoded:
    """Features of the columns, learned from the training rows: what the encoder does, in numpy and pandas."""

    def __init__(self, case, train, y, card):
        _, numeric, categorical, _, schema, training, _ = CASES[case]
        self.parts, self.names, self.scaled, self.columns = [], [], [], []
        attributes = {a["name"]: a for a in card.get("attributes", [])}
        for name in numeric + categorical:
            column = train[name]
            if name in training.get("bins", {}):
                # Which bins there are is ours (their choice has golden figures of its own); what they weigh is not.
                part, names = self.binned(case, name, column, y, attributes[name]), [f"{name} (woe)"]
            elif name in categorical:
                part, names = self.levels(name, column, schema)
            else:
                fill = column.mean() if training.get("missing") == "mean" else column.median()
                knots = training.get("splines", {}).get(name, {}).get("knots")
                there = column.dropna().to_numpy(float)
                found = sorted({float(np.quantile(there, q, method="lower")) for q in PLACES.get(knots, [])})
                if len(found) >= 3:
                    same("spline knots", case, card["splines"][name], found)
                    self.patsy(case, found, there)
                    part = lambda v, fill=fill, found=found: spline(v.fillna(fill).to_numpy(float), found)
                    names = [f"{name} (spline {j + 1})" for j in range(len(found) - 1)]
                else:
                    part, names = (lambda v, fill=fill: v.fillna(fill).to_numpy(float)[:, None]), [name]
                note("imputation", case, card["imputation"][name], fill)
            is_number = name in numeric and name not in training.get("bins", {})
            self.columns.append((name, range(len(self.names), len(self.names) + len(names)), part))
            self.names += names
            self.scaled += [is_number] * len(names)

    def levels(self, name, column, schema):
        counts = column.value_counts()
        top = min(counts[counts == counts.max()].index)
        names, most = sorted(counts.index), schema.get("max_levels")
        kept, pooled = names, []
        if most and len(names) > most:
            ordered = sorted(names, key=lambda level: (-counts[level], level))
            kept, pooled = sorted(ordered[:most - 1]), ordered[most - 1:]

        def part(values):
            values = values.fillna(top)
            hot = [(values == level).to_numpy(float) for level in kept]
            return np.column_stack(hot + ([values.isin(pooled).to_numpy(float)] if pooled else []))

        return part, [f"{name}={level}" for level in kept] + ([f"{name}=(infrequent)"] if pooled else [])

    def binned(self, case, name, column, y, attribute):
        rows = attribute["rows"]
        bad, good = int(y.sum()), int(len(y) - y.sum())
        numbers = "numbers" in rows[0]["attribute"]
        if numbers:
            edges = [row["attribute"]["numbers"]["up_to"] for row in rows[:-2]]
            place = lambda v: np.where(v.isna(), len(edges) + 1, np.searchsorted(edges, v.fillna(0).to_numpy(float)))
        else:
            groups = [row["attribute"]["levels"] for row in rows[:-1]]
            of = {level: at for at, group in enumerate(groups) for level in group}
            place = lambda v: np.array([of[t] if isinstance(t, str) else len(groups) for t in v])
        at, weights, value = place(column), [], 0.0
        for b, row in enumerate(rows):
            here = at == b
            counts = {"negatives": int((here & (y == 0)).sum()), "positives": int((here & (y == 1)).sum())}
            same("bins: counts", case, row["counts"], counts)
            weight, more = evidence(counts["positives"], counts["negatives"], bad, good) if here.any() else (0.0, 0.0)
            weights.append(weight)
            value += more
        note("bins: weight of evidence", case, [row["woe"] for row in rows], weights)
        note("bins: information value", case, attribute["information_value"], value)
        self.optbinning(case, name, column, y, rows, edges if numbers else groups, attribute["information_value"])
        return lambda v: np.array(weights)[place(v)][:, None]

    def optbinning(self, case, name, column, y, rows, bins, value):
        if any(min(row["counts"].values()) == 0 for row in rows[:-1]):
            return
        if isinstance(bins[0], float):
            # Its bins are open above, ours below.
            splits, kind, x = [np.nextafter(edge, np.inf) for edge in bins], "numerical", column.to_numpy(float)
        else:
            splits, kind = np.array([np.array(group, object) for group in bins] + [None], object)[:-1], "categorical"
            x = np.array([t if isinstance(t, str) else None for t in column], object)
        fixed = [True] * len(splits)
        binning = OptimalBinning(dtype=kind, user_splits=splits, user_splits_fixed=fixed, cat_cutoff=None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            binning.fit(x, y)
            table = binning.binning_table.build()
        theirs = [float(v) for v in table["WoE"].iloc[:len(rows) - 1]]
        ours = [row["woe"] for row in rows[:-1]]
        note("bins: optbinning's weights", case, sorted(ours), sorted(theirs))
        if min(rows[-1]["counts"].values()) > 0 or max(rows[-1]["counts"].values()) == 0:
            note("bins: optbinning's information value", case, value, binning.binning_table.iv)

    def patsy(self, case, knots, values):
        """Ours and patsy's natural cubic splines are the same functions."""
        inside = np.unique(values[(values >= knots[0]) & (values <= knots[-1])])
        inside = np.unique(np.r_[inside, np.linspace(knots[0], knots[-1], 200)])
        theirs = np.asarray(patsy.dmatrix("cr(x, knots=k, lower_bound=a, upper_bound=b) - 1", {
            "x": inside, "k": knots[1:-1], "a": knots[0], "b": knots[-1]}))
        ours = np.column_stack([np.ones_like(inside), spline(inside, knots)])
        note("spline basis in patsy's", case, theirs @ np.linalg.lstsq(theirs, ours, rcond=None)[0], ours)

    def of(self, rows):
        return np.column_stack([part(rows[name]) for name, _, part in self.columns])


def scaler(x, scaled):
    mean, scale = np.zeros(x.shape[1]), np.ones(x.shape[1])
    mean[scaled], scale[scaled] = x[:, scaled].mean(axis=0), x[:, scaled].std(axis=0)
    return mean, np.where(scale > 0, scale, 1.0)


def polished(beta, z, y, c, balanced):
    """A few Newton steps more: scikit-learn stops where the gradient is small, which for a weak penalty and nearly
    separable classes leaves some digits open."""
    ones = np.column_stack([z, np.ones(len(y))])
    weights = np.where(y == 1, len(y) / 2 / y.sum(), len(y) / 2 / (len(y) - y.sum())) if balanced else np.ones(len(y))
    ridge = np.r_[np.full(z.shape[1], 1 / c), 0.0]
    for _ in range(4):
        p = expit(ones @ beta)
        hessian = (ones.T * (weights * p * (1 - p))) @ ones + np.diag(ridge)
        beta = beta - np.linalg.solve(hessian, ones.T @ (weights * (p - y)) + ridge * beta)
    return beta


def fitted(z, y, c, balanced):
    """Coefficients and intercept, the latter last, without and with the correction for weighted classes."""
    if c is None:
        logit = sm.Logit(y, np.column_stack([z, np.ones(len(y))]))
        beta = logit.fit(method="newton", tol=1e-10, maxiter=200, disp=0).params
        for _ in range(5):
            beta = beta - np.linalg.solve(logit.hessian(beta), logit.score(beta))
    else:
        model = LogisticRegression(C=c, solver="newton-cholesky", tol=1e-13, max_iter=1000,
                                   class_weight="balanced" if balanced else None).fit(z, y)
        beta = polished(np.r_[model.coef_[0], model.intercept_], z, y, c, balanced)
    shift = np.log(y.sum() / (len(y) - y.sum())) if balanced else 0.0
    return beta + np.r_[np.zeros(z.shape[1]), shift], shift


def folds(names, y, k):
    """The folds by the hashes of the ids: entities in the order of size and hash, each to the fold that gains
    the least by the sum of squared shares of both classes."""
    key = lambda name: xxhash.xxh3_128_intdigest(len(name.encode()).to_bytes(8, "little") + name.encode(), seed=42)
    half = {name: key(name) & (1 << 64) - 1 for name in set(names)}
    counts = {name: [0, 0] for name in half}
    for name, label in zip(names, y):
        counts[name][int(label)] += 1
    total = [int(len(y) - y.sum()), int(y.sum())]
    loads, fold = [[0, 0] for _ in range(k)], {}
    for name in sorted(half, key=lambda name: (-sum(counts[name]), half[name])):
        more = counts[name]
        growth = lambda load: sum(more[c] * (2 * load[c] + more[c]) * total[1 - c] ** 2 for c in (0, 1))
        best = min(range(k), key=lambda f: (growth(loads[f]), sum(loads[f]), f))
        loads[best] = [a + b for a, b in zip(loads[best], more)]
        fold[name] = best
    return np.array([fold[name] for name in names])


def cross_validated(x, y, scaled, fold, c, balanced):
    p, losses = np.empty(len(y)), []
    for f in range(fold.max() + 1):
        train, test = fold != f, fold == f
        mean, scale = scaler(x[train], scaled)
        beta, _ = fitted((x[train] - mean) / scale, y[train], c, balanced)
        logit = np.column_stack([(x[test] - mean) / scale, np.ones(test.sum())]) @ beta
        p[test] = expit(logit)
        losses.append(np.mean(np.logaddexp(0, np.where(y[test] == 1, -logit, logit))))
    return p, losses


def worth(rule, tn, fp, fn, tp):
    """What the rule wants as large as possible, for arrays of counts; -inf where it is not met."""
    n, never, guessed = tn + fp + fn + tp, -np.inf, tp + fp
    recall, specificity = tp / (tp + fn), tn / (tn + fp)
    (name, value), = rule.items()
    if name == "maximize":
        scale = np.sqrt(guessed * (tp + fn) * (tn + fp) * (tn + fn))
        return {"f1": 2 * tp / (2 * tp + fp + fn), "accuracy": (tp + tn) / n, "youden": recall + specificity - 1,
                "balanced_accuracy": (recall + specificity) / 2,
                "mcc": np.where(scale > 0, (tp * tn - fp * fn) / np.where(scale > 0, scale, 1), 0)}[value]
    if name == "min_recall":
        return np.where(recall >= value, -guessed, never)
    if name == "min_precision":
        return np.where((guessed > 0) & (tp / np.maximum(guessed, 1) >= value), tp * n - fp, never)
    if name == "cost":
        return -(value["false_positive"] * fp + value["false_negative"] * fn)
    return np.where((guessed > 0) & (guessed <= value * n + 1e-9), guessed, never)


def threshold(case, card, rule, y, p):
    """The brute-force optimum over all ways to divide the cross-validated predictions."""
    # Equal rows of one fold must have equal predictions, which sums in another order do not give.
    p = np.round(p, 13)
    values = np.unique(p)
    edges = np.r_[0.0, values, 1.0]
    cuts = (edges[:-1] + edges[1:]) / 2
    tp = np.array([np.sum((p > cut) & (y == 1)) for cut in cuts], float)
    fp = np.array([np.sum((p > cut) & (y == 0)) for cut in cuts], float)
    fn, tn = y.sum() - tp, (len(y) - y.sum()) - fp
    wanted = worth(rule, tn, fp, fn, tp)
    best = np.flatnonzero(np.abs(wanted - wanted.max()) <= 1e-12)[-1]
    choice = card["threshold_choice"]
    same("threshold: counts at the optimum", case, choice["counts"],
         {"tn": tn[best], "fp": fp[best], "fn": fn[best], "tp": tp[best]})
    note("threshold", case, choice["threshold"], cuts[best])
    note("threshold", case, card["hyperparameters"]["threshold"], cuts[best])
    for point in choice["table"]:
        cut = point["threshold"]
        counts = {"tn": np.sum((p <= cut) & (y == 0)), "fp": np.sum((p > cut) & (y == 0)),
                  "fn": np.sum((p <= cut) & (y == 1)), "tp": np.sum((p > cut) & (y == 1))}
        same("threshold: table", case, point["counts"], counts)


def penalty(case, card, table):
    means = [np.mean(losses) for losses in table]
    errors = [np.std(losses, ddof=1) / np.sqrt(len(losses)) for losses in table]
    best = int(np.argmin(means))
    chosen = next(i for i, mean in enumerate(means) if mean <= means[best] + errors[best])
    grid = card["penalty_grid"]
    note("C: cross-validated log loss", case, [point["log_loss"] for point in grid["points"]], means)
    note("C: standard error", case, [point["standard_error"] for point in grid["points"]], errors)
    same("C: best and chosen", case, [grid["best"], grid["chosen"]], [GRID[best], GRID[chosen]])
    return GRID[chosen]


def explained(case, encoded, card, z, beta, y, predictions, levels):
    """Contributions by the formula; they and the rest add up to the log-odds."""
    reference = card["reference"]["log_odds"]
    parts = {name: z[:, list(at)] @ beta[list(at)] for name, at, _ in encoded.columns}
    base = {name: levels[name] @ beta[list(at)] for name, at, _ in encoded.columns}
    note("contributions: reference", case, reference, beta[-1] + sum(base.values()))
    note("log-odds", case, predictions["log_odds"], z @ beta[:-1] + beta[-1])
    names = [c for c in predictions if c.startswith("column_")]
    total = predictions["reference_log_odds"] + predictions["other_contributions"]
    for column in names:
        of = predictions[column.replace("column", "contribution")].to_numpy()
        theirs = np.array([parts[n][i] - base[n] for i, n in enumerate(predictions[column])])
        note("contributions", case, of, theirs)
        total = total + of
    note("contributions: sum", case, total, predictions["log_odds"])
    if len(names) != len(encoded.columns):
        same("contributions: columns", case, len(names), len(encoded.columns))


def compare(folder, case):
    _, numeric, categorical, target, schema, training, together = CASES[case]
    place = pathlib.Path(folder, case)
    card = json.loads((place / "model/model.json").read_text())
    score = json.loads((place / "model/score.json").read_text())
    texts = {"who", *categorical, *schema.get("slice", [])}
    train, test = read(place / "in/a.csv", texts), read(place / "test/testdata.csv", texts)
    y = train[target].to_numpy(int)
    encoded = Encoded(case, train, y, card)
    same("features", case, card["features"], encoded.names)
    x, scaled = encoded.of(train), np.array(encoded.scaled)
    mean, scale = scaler(x, scaled)
    note("scaler", case, card["scaler"]["mean"], mean)
    note("scaler", case, card["scaler"]["scale"], scale)

    balanced, c, rule = training.get("class_weight") == "balanced", training.get("C", 1.0), training.get("threshold")
    if c == "cv" or isinstance(rule, dict):
        fold = folds(list(train["who"]), y, training.get("folds", 5))
        grid = GRID if c == "cv" else [c]
        ways = [cross_validated(x, y, scaled, fold, one, balanced) for one in grid]
        if c == "cv":
            c = penalty(case, card, [losses for _, losses in ways])
        if isinstance(rule, dict):
            threshold(case, card, rule, y, ways[grid.index(c)][0])
    elif balanced:
        note("threshold", case, card["hyperparameters"]["threshold"], y.mean())
    z = (x - mean) / scale
    beta, shift = fitted(z, y, c, balanced)
    note("coefficients", case, card["coefficients"] + [card["intercept"]], beta)
    note("intercept's correction for weights", case, card.get("prior_shift") or 0.0, shift)
    if c is None:
        logit = sm.Logit(y, np.column_stack([z, np.ones(len(y))]))
        errors = np.sqrt(np.diag(np.linalg.inv(-logit.hessian(beta))))
        note("standard errors", case, card["standard_errors"], errors[:len(card["standard_errors"])])

    described(case, place, train, numeric)
    reference = {}
    for name, at, part in encoded.columns:
        if name in categorical and name not in training.get("bins", {}):
            reference[name] = np.eye(len(at))[int(np.argmax(x[:, list(at)].sum(axis=0)))]
        elif name in card.get("splines", {}):
            # The curve at the mean, which is not the mean of the curve.
            filled = pd.Series([train[name].fillna(train[name].median()).mean()])
            reference[name] = ((part(filled)[0] - mean[list(at)]) / scale[list(at)])
        else:
            reference[name] = z[:, list(at)].mean(axis=0)
    of_level = beta[:-1].copy()
    for name, at, _ in encoded.columns:
        if name in categorical and name not in training.get("bins", {}):
            of_level[list(at)] -= reference[name] @ beta[list(at)]
    note("odds", case, card["odds"], np.exp(of_level))
    for name, rows in (("train.csv", train), ("test.csv", test)):
        predictions = read(place / name, texts)
        here = (encoded.of(rows) - mean) / scale
        note("probabilities", case, predictions["probability"], expit(here @ beta[:-1] + beta[-1]))
        explained(case, encoded, card, here, beta, y, predictions, reference)
        if "scorecard" in training:
            points(case, encoded, card, training["scorecard"], here, beta, predictions)

    cut = card["hyperparameters"]["threshold"]
    labels, p = test[target].to_numpy(int), predictions["probability"].to_numpy()
    same("predictions", case, list(predictions["prediction"]), list((p > cut).astype(int)))
    evaluated(case, "", score, figures(labels, p, cut, test["who"].to_numpy() if together > 1 else None))
    for part in score.get("slices", []):
        # A missing value is an empty text.
        here = (test[part["column"]].fillna("") == part["value"]).to_numpy()
        evaluated(case, "slices: ", part["evaluation"], figures(labels[here], p[here], cut))
    return len(train), len(test)


def described(case, place, train, numeric):
    """Statistics of the columns, by pandas."""
    columns = {c["name"]: c for c in json.loads((place / "model/diagnostics.json").read_text())["columns"]}
    for name in numeric:
        column, ours = train[name], columns[name]
        theirs = [column.isna().sum(), 100 * column.isna().mean(), column.mean(), column.median(), column.std(),
                  column.min(), column.quantile(0.25), column.quantile(0.75), column.max(), column.nunique()]
        keys = ("missing", "missing_percent", "mean", "median", "std_ddof1", "min", "q25", "q75", "max", "distinct")
        note("statistics of columns", case, [ours[key] for key in keys], theirs)


def points(case, encoded, card, scale, z, beta, predictions):
    factor = -scale["pdo"] / np.log(2)
    offset = scale["points0"] - factor * np.log(scale["odds0"])
    half = lambda v: np.sign(v) * np.floor(np.abs(v) + 0.5)  # halves away from zero
    total = half(offset + factor * beta[-1])
    for name, at, _ in encoded.columns:
        total = total + half(factor * (z[:, list(at)] @ beta[list(at)]))
    same("scorecard: points of rows", case, list(predictions["points"]), list(total))
    note("scorecard: factor and offset", case, [card["scorecard"]["factor"], card["scorecard"]["offset"]],
         [factor, offset])


def evaluated(case, prefix, score, theirs):
    flat = {}
    for key, value in score.items():
        if isinstance(value, dict) and "low" not in value:
            flat |= {f"{key}.{inner}": figure for inner, figure in value.items()}
        else:
            flat[key] = value
    for name in ("tn", "fp", "fn", "tp"):
        flat[name] = score["confusion_matrix"][name]
    if "deciles" in flat:
        order = ("rows", "positives", "highest", "lowest", "lift", "gain")
        flat["deciles"] = [row[key] for row in score["deciles"] for key in order]
    for name, value in theirs.items():
        ours = flat.get(name)
        if value is None or ours is None:
            same(prefix + name, case, ours, value)
        elif isinstance(ours, dict):
            note(prefix + name, case, [ours["low"], ours["high"]], value)
        else:
            note(prefix + name, case, ours, value)


def main(folder):
    sizes = {case: compare(folder, case) for case in CASES}
    failed = 0
    print(f"{'figure':44}{'largest deviation':>18}  in")
    for kind, by_case in seen.items():
        case = max(by_case, key=by_case.get)
        failed += by_case[case] > BOUND
        remark = "  TOO MUCH" if by_case[case] > BOUND else ""
        print(f"{kind:44}{by_case[case]:18.1e}  {case} ({len(by_case)} cases){remark}")
    for case, (trained, tested) in sizes.items():
        print(f"{case}: {trained} training rows, {tested} test rows")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
