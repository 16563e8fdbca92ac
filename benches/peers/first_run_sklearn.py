"""The first run in one Python process: usage first_run_sklearn.py INPUT_FOLDER TEST_CSV OUTPUT_FOLDER.

Merges and de-duplicates, fits, scores, copies the model into a folder for deployment, looks at the
columns, and draws the confusion matrix: the steps of the usual scripts, one import for all. It is
spared five of the six pictures, the page, intervals, digests, durability and the record.
"""

import json
import pathlib
import pickle
import shutil
import sys

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay, f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FEATURES, TARGET = ["lastmonth_activity", "lastyear_activity", "number_of_employees"], "exited"


def main(source: str, test: str, target: str) -> None:
    output = pathlib.Path(target)
    live = output / "live"
    live.mkdir(parents=True, exist_ok=True)
    files = sorted(pathlib.Path(source).glob("*.csv"))
    rows = pd.concat([pd.read_csv(file) for file in files]).drop_duplicates()
    rows.to_csv(output / "finaldata.csv", index=False)
    (output / "ingestedfiles.txt").write_text("\n".join(file.name for file in files))

    model = make_pipeline(StandardScaler(), LogisticRegression())
    complete = rows.dropna()
    model.fit(complete[FEATURES], complete[TARGET])
    (output / "trainedmodel.pkl").write_bytes(pickle.dumps(model))

    tested = pd.read_csv(test).dropna()
    predicted = model.predict(tested[FEATURES])
    (output / "latestscore.txt").write_text(str(f1_score(tested[TARGET], predicted)))

    for name in ["trainedmodel.pkl", "latestscore.txt", "ingestedfiles.txt"]:
        shutil.copy(output / name, live / name)

    figures = rows[[*FEATURES, TARGET]].agg(["mean", "median", "std"]).to_dict()
    missing = (rows.isna().mean() * 100).to_dict()
    (output / "diagnostics.json").write_text(json.dumps({"columns": figures, "missing": missing}))

    ConfusionMatrixDisplay.from_predictions(tested[TARGET], predicted)
    plt.savefig(output / "confusionmatrix.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
