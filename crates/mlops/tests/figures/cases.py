"""Workspaces with public data that scikit-learn and statsmodels bring along: what compare.py looks at.

    python cases.py FOLDER

writes a folder for each case, with config.json, in/a.csv and test/testdata.csv, and prints their names.
The data are real. Where a case needs missing values or rows that share an entity, which these data lack, cells
are emptied at regular places and neighbours share an id; each such place is named below.
"""

import json
import pathlib
import sys

try:
    import optbinning, pandas as pd, patsy, scipy, xxhash  # noqa: E401, F401
    from sklearn.datasets import load_breast_cancer
    from statsmodels.datasets import anes96, fair, randhie, spector
except ImportError as error:
    print(f"missing: {error.name}")
    sys.exit(0)


def cancer():
    """Wisconsin breast cancer: 569 rows, 30 numbers; malignant is positive."""
    data = load_breast_cancer(as_frame=True).frame.rename(columns=lambda name: name.replace(" ", "_"))
    data["malignant"] = 1 - data.pop("target")
    return data


def grades():
    """Spector and Mazzeo 1980: 32 students, of whom 11 improved."""
    return spector.load_pandas().data.rename(columns=str.lower).astype({"grade": int})


def voters(gaps):
    """American National Election Study 1996: 944 voters; with `gaps`, some cells are emptied."""
    data = anes96.load_pandas().data.drop(columns="logpopul").astype({"vote": int})
    data["PID"] = ["p%d" % value for value in data["PID"]]
    data["educ"] = ["e%d" % value for value in data["educ"]]
    if gaps:
        data.loc[::23, "TVnews"] = None
        data.loc[::41, "age"] = None
        data.loc[5::31, "PID"] = None
        data.loc[3::57, "educ"] = None
    return data


def affairs():
    """Fair 1978: 6,366 women, of whom 2,053 had an affair; columns with few different values."""
    data = fair.load_pandas().data
    data["affair"] = (data.pop("affairs") > 0).astype(int)
    for name in ("occupation", "occupation_husb"):
        data[name] = ["job %d" % value for value in data[name]]
    return data


def visits():
    """RAND health insurance experiment: 20,190 rows; did somebody see a doctor in the year?"""
    data = randhie.load_pandas().data
    data["visited"] = (data.pop("mdvis") > 0).astype(int)
    return data


MEANS = [name for name in cancer().columns if name.startswith("mean_")]
WORSE = [name for name in cancer().columns if name != "malignant"]
OPINIONS = ["popul", "TVnews", "selfLR", "ClinLR", "DoleLR", "age", "income"]
MARRIAGE = ["rate_marriage", "age", "yrs_married", "children", "religious", "educ"]
PLAN = ["lncoins", "idp", "lpi", "fmde", "physlm", "disea", "hlthg", "hlthf", "hlthp"]

# Name: data, numeric columns, categorical columns, target, other keys of the schema, keys of training, and how many
# neighbours share an id.
CASES = {
    "cancer": (cancer(), WORSE, [], "malignant", {}, {}, 1),
    "cancer-cv": (cancer(), MEANS, [], "malignant", {},
                  {"C": "cv", "class_weight": "balanced", "threshold": {"maximize": "mcc"}}, 1),
    "students": (grades(), ["gpa", "tuce", "psi"], [], "grade", {}, {"C": None}, 1),
    "students-cv": (grades(), ["gpa", "tuce"], ["psi"], "grade", {},
                    {"C": "cv", "folds": 3, "threshold": {"maximize": "balanced_accuracy"}}, 1),
    "voters-shapes": (voters(True), ["popul", "TVnews", "age", "income"], ["PID"], "vote", {"slice": ["educ"]},
                      {"C": "cv", "threshold": {"min_recall": 0.8}, "splines": {"age": {"knots": 5}},
                       "bins": {"income": {}}}, 1),
    "voters-card": (voters(True), ["TVnews", "age", "income", "selfLR"], ["PID", "educ"], "vote", {},
                    {"bins": {"TVnews": {}, "age": {"max_bins": 4}, "income": {"min_share": 0.1}, "selfLR": {},
                              "PID": {}},
                     "scorecard": {"points0": 600, "odds0": 0.02, "pdo": 20},
                     "threshold": {"cost": {"false_positive": 1, "false_negative": 5}}}, 1),
    "voters-wards": (voters(False), OPINIONS, ["educ"], "vote", {},
                     {"C": "cv", "threshold": {"maximize": "youden"}}, 4),
    "affairs-splines": (affairs(), MARRIAGE, [], "affair", {},
                        {"C": None, "threshold": {"top": 0.1},
                         "splines": {"age": {"knots": 4}, "yrs_married": {"knots": 5}, "children": {"knots": 3}}}, 1),
    "affairs-balanced": (affairs(), MARRIAGE, ["occupation", "occupation_husb"], "affair",
                         {"max_levels": 4, "slice": ["occupation"]}, {"class_weight": "balanced"}, 1),
    "affairs-precision": (affairs(), MARRIAGE[:5], ["occupation"], "affair", {},
                          {"C": 0.05, "missing": "mean", "threshold": {"min_precision": 0.65}}, 1),
    "visits": (visits(), PLAN, [], "visited", {}, {"C": "cv", "threshold": {"maximize": "accuracy"}}, 1),
}


def write(folder, name):
    data, numeric, categorical, target, schema, training, together = CASES[name]
    place = pathlib.Path(folder, name)
    config = {
        "input_folder_path": "in", "output_folder_path": "out", "test_data_path": "test",
        "output_model_path": "model", "prod_deployment_path": "live",
        "schema": {"id": ["who"], "numeric": numeric, "categorical": categorical, "target": target, **schema},
        "training": training,
    }
    for part in ("in", "test"):
        (place / part).mkdir(parents=True, exist_ok=True)
    (place / "config.json").write_text(json.dumps(config, indent=1))
    data = data.reset_index(drop=True)
    data.insert(0, "who", ["r%d" % (i // together) for i in data.index])
    tested = data.index // together % 4 == 1
    data[~tested].to_csv(place / "in/a.csv", index=False)
    data[tested].to_csv(place / "test/testdata.csv", index=False)


if __name__ == "__main__":
    for name in CASES:
        write(sys.argv[1], name)
        print(name)
