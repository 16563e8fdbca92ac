"""Writes shipped.json: what pandas and scikit-learn make of the shipped data.

The files are cleaned here once more, cell by cell, in a few lines that share nothing with the
product. Then: median imputation, StandardScaler, LogisticRegression (newton-cholesky, tol=1e-12).

Needs pandas and scikit-learn. Run: python make_shipped.py ../../../../data > shipped.json
"""

import csv
import json
import pathlib
import re
import sys

import numpy
import pandas
import sklearn
from sklearn import metrics
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

FEATURES = ["lastmonth_activity", "lastyear_activity", "number_of_employees"]
COLUMNS = ["corporation", *FEATURES, "exited"]
MISSING = {"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"}


def number(text):
    if re.fullmatch(r"-?\d{1,3}(,\d{3})+", text):
        text = text.replace(",", "")
    return float(text)


def clean(cells, header):
    """A row in the order of COLUMNS; ValueError for a bad one."""
    if len(cells) != len(header):
        raise ValueError("wrong width")
    by_name = dict(zip(header, (c.strip() for c in cells)))
    row = [by_name["corporation"]]
    row += [None if by_name[f] in MISSING else number(by_name[f]) for f in FEATURES]
    label = number(by_name["exited"])
    if label not in (0.0, 1.0):
        raise ValueError("unknown label")
    return [*row, int(label)]


def read(path):
    """Good rows, and the number of bad ones. No shipped row has more than one line."""
    lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()
    header = [name.strip() for name in next(csv.reader([lines[0].decode()]))]
    rows, bad = [], 0
    for line in lines[1:]:
        try:
            rows.append(clean(next(csv.reader([line.decode()])), header))
        except ValueError:
            bad += 1
    return pandas.DataFrame(rows, columns=COLUMNS), bad


def case(name, folder, paths):
    files, kept = [], pandas.DataFrame(columns=COLUMNS)
    for path in paths:
        rows, bad = read(folder / path)
        before = len(kept)
        kept = pandas.concat([kept, rows]).drop_duplicates() if before else rows.drop_duplicates()
        read_rows = len(rows) + bad
        files.append({"file": path, "read": read_rows, "kept": len(kept) - before, "bad": bad})
    test, rejected = read(folder / "testdata/testdata.csv")
    known = kept.merge(test.drop_duplicates(), how="left", on=COLUMNS, indicator=True)
    train = kept[(known["_merge"] == "left_only").to_numpy()]
    impute = SimpleImputer(strategy="median")
    scaler = StandardScaler()
    x = scaler.fit_transform(impute.fit_transform(train[FEATURES].astype(float)))
    y = train["exited"].astype(int)
    model = LogisticRegression(solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(x, y)
    truth = test["exited"].astype(int)
    found = model.predict_proba(
        scaler.transform(impute.transform(test[FEATURES].astype(float)))
    )[:, 1]
    said = found > 0.5
    return {
        "name": name,
        "files": files,
        "rows": len(kept),
        "trained": len(train),
        "positives": int(y.sum()),
        "missing": [int(n) for n in kept[FEATURES].isna().sum()],
        "median": impute.statistics_.tolist(),
        "mean": scaler.mean_.tolist(),
        "scale": scaler.scale_.tolist(),
        "coefficients": model.coef_[0].tolist(),
        "intercept": float(model.intercept_[0]),
        "test": {
            "n": len(test),
            "rejected": rejected,
            "confusion": metrics.confusion_matrix(truth, said).ravel().tolist(),
            "f1": metrics.f1_score(truth, said),
            "accuracy": metrics.accuracy_score(truth, said),
            "roc_auc": metrics.roc_auc_score(truth, found),
            "log_loss": metrics.log_loss(truth, found),
        },
    }


def main():
    folder = pathlib.Path(sys.argv[1])
    practice = ["practicedata/dataset1.csv", "practicedata/dataset2.csv"]
    source = ["sourcedata/dataset3.csv", "sourcedata/dataset4.csv"]
    cases = [case("practice", folder, practice), case("all", folder, practice + source)]
    versions = {m.__name__: m.__version__ for m in (numpy, pandas, sklearn)}
    json.dump({"versions": versions, "cases": cases}, sys.stdout, indent=1)
    print()


main()
