"""Training with scikit-learn: usage train_sklearn.py READER SOLVER DATA [TOL].

Reads with pandas or polars, leaves out rows with a missing value, standardises, and fits a logistic
regression with C = 1. Prints the coefficients. It is spared the check of the file's digest, the
hold-outs, the checked model file and the record.
"""

import json
import sys

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ID, TARGET = "corporation", "exited"


def matrix(reader: str, path: str):
    if reader == "pandas":
        import pandas as pd

        rows = pd.read_csv(path).drop(columns=ID).dropna()
        return rows.drop(columns=TARGET).to_numpy(dtype=float), rows[TARGET].to_numpy()
    import polars as pl

    rows = pl.read_csv(path).drop(ID).drop_nulls()
    return rows.drop(TARGET).cast(pl.Float64).to_numpy(), rows[TARGET].to_numpy()


def main(reader: str, solver: str, path: str, tolerance: str = "1e-4") -> None:
    features, labels = matrix(reader, path)
    model = LogisticRegression(solver=solver, tol=float(tolerance), max_iter=1000)
    make_pipeline(StandardScaler(), model).fit(features, labels)
    print(json.dumps({"coefficients": model.coef_[0].tolist(), "intercept": model.intercept_[0]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
