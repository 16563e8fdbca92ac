"""Writes contributions.json: contributions to log-odds by numpy, for models fitted by scikit-learn.

Rows with missing numbers, missing, rare and unknown categories. A column's contribution is the sum of
coefficient times value over its features, less the same for the reference: the training mean (of the
imputed column) for numbers, the most frequent category for the others.

Needs numpy and scikit-learn. Run: python make_contributions.py > contributions.json
"""

import json
import sys

import numpy
import sklearn
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder, StandardScaler

NUMERIC, CATEGORICAL = ["age", "income"], ["country", "shop"]


def rows(n, seed, hostile):
    random = numpy.random.default_rng(seed)
    for _ in range(n):
        age = int(random.integers(18, 80))
        income = round(float(random.lognormal(10, 0.7)), 2)
        country = str(random.choice(["fr", "de", "es", "it"], p=[0.45, 0.3, 0.2, 0.05]))
        shop = f"s{int(random.geometric(0.25)):02d}"
        score = (age - 45) / 12 - (country == "de") + 1.2 * (shop == "s02") - income / 40000
        left = int(random.random() < 1 / (1 + numpy.exp(-score)))
        if random.random() < 0.1:
            age = None
        if random.random() < 0.08:
            country = ""
        if hostile and random.random() < 0.3:
            country, shop = "atlantis", "s99"
        yield [age, income, country, shop, left]


def columns(table):
    x = numpy.array([[numpy.nan if v is None else v for v in row[:2]] for row in table], dtype=float)
    c = numpy.array([[v if v else None for v in row[2:4]] for row in table], dtype=object)
    return x, c


def case(name, strategy, max_categories, c, class_weight=None):
    train, asked = list(rows(400, 11, False)), list(rows(40, 12, True))
    x, g = columns(train)
    y = numpy.array([row[4] for row in train])
    numbers = SimpleImputer(strategy=strategy).fit(x)
    texts = SimpleImputer(strategy="most_frequent", missing_values=None).fit(g)
    scaler = StandardScaler().fit(numbers.transform(x))
    encoder = OneHotEncoder(
        handle_unknown="ignore", max_categories=max_categories, sparse_output=False
    ).fit(texts.transform(g))

    def features(x, g):
        return numpy.hstack([scaler.transform(numbers.transform(x)), encoder.transform(texts.transform(g))])

    model = LogisticRegression(
        solver="newton-cholesky", tol=1e-13, C=c, class_weight=class_weight, max_iter=1000
    ).fit(features(x, g), y)
    w, names = model.coef_[0], list(encoder.get_feature_names_out(CATEGORICAL))
    of = [[0], [1]] + [[2 + i for i, n in enumerate(names) if n.startswith(column + "_")] for column in CATEGORICAL]
    reference = features(scaler.mean_.reshape(1, -1), texts.statistics_.reshape(1, -1).astype(object))[0]
    z = features(*columns(asked))
    contributions = [[float(row[j] @ w[j] - reference[j] @ w[j]) for j in of] for row in z]
    log_odds = (z @ w + model.intercept_[0]).tolist()
    assert numpy.allclose(model.decision_function(z), log_odds, atol=1e-12)
    start = float(reference @ w + model.intercept_[0])
    assert numpy.allclose(start + numpy.sum(contributions, axis=1), log_odds, atol=1e-12)
    return {
        "name": name,
        "schema": {"max_levels": max_categories},
        "training": {"C": c, "missing": strategy, "class_weight": class_weight},
        "train": train,
        "rows": [row[:4] for row in asked],
        "reference": {"log_odds": start, "values": {
            "age": float(scaler.mean_[0]), "income": float(scaler.mean_[1]),
            "country": texts.statistics_[0], "shop": texts.statistics_[1]}},
        "log_odds": log_odds,
        "contributions": contributions,
        "odds": [float(numpy.exp(w[j] - reference[of[k]] @ w[of[k]])) if k > 1 else float(numpy.exp(w[j]))
                 for k, js in enumerate(of) for j in js],
    }


json.dump(
    {
        "made_by": f"numpy {numpy.__version__}, scikit-learn {sklearn.__version__}",
        "cases": [
            case("median", "median", None, 1.0),
            case("rare categories share a feature", "mean", 4, 0.1),
        ],
    },
    sys.stdout,
    separators=(",", ":"),
)
