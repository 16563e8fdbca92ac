"""Scoring with scikit-learn: usage score_sklearn.py READER MODEL_JSON DATA.

The same model on the same rows: F1 and ROC AUC. It is spared everything else: the interval, other
figures, cleaning, the digest of the data, the record. Missing values become the training medians.
"""

import json
import sys

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score

FEATURES, TARGET = ["lastmonth_activity", "lastyear_activity", "number_of_employees"], "exited"


def main(reader: str, card_path: str, path: str) -> None:
    with open(card_path) as file:
        card = json.load(file)
    if reader == "pandas":
        import pandas as pd

        rows = pd.read_csv(path, usecols=[*FEATURES, TARGET])
    else:
        import polars as pl

        rows = pl.read_csv(path, columns=[*FEATURES, TARGET])
    features = np.column_stack([rows[name].to_numpy().astype(float) for name in FEATURES])
    for j, name in enumerate(FEATURES):
        column = features[:, j]
        column[np.isnan(column)] = card["imputation"][name]
    features -= card["scaler"]["mean"]
    features /= card["scaler"]["scale"]
    model = LogisticRegression()
    model.classes_ = np.array([0, 1])
    model.coef_ = np.array([card["coefficients"]])
    model.intercept_ = np.array([card["intercept"]])
    probabilities = model.predict_proba(features)[:, 1]
    labels = rows[TARGET].to_numpy()
    print(f1_score(labels, probabilities > 0.5), roc_auc_score(labels, probabilities))


if __name__ == "__main__":
    main(*sys.argv[1:])
