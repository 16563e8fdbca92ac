"""A client for the service `app`, and a reader of releases, in plain Python 3.8 or later: copy this file.

    from mlops_client import Client, Release
    Client("http://127.0.0.1:8000").predict([{"lastmonth_activity": 234, "number_of_employees": 67}])
    Release("data/production_deployment").probability({"lastmonth_activity": 234})
"""

import json
import math
import pathlib
import urllib.error
import urllib.request


class Client:
    def __init__(self, url="http://127.0.0.1:8000", token=None, timeout=30):
        self.url, self.token, self.timeout = url.rstrip("/"), token, timeout

    def call(self, path, body=None):
        """What GET answers, or POST where there is a body; an answer that is an error raises with its words."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        data = None if body is None else json.dumps(body, allow_nan=False).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers), timeout=self.timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{path}: {error.code} {error.read().decode(errors='replace')}") from None

    def predict(self, rows):
        """The answer for a list of rows, each a dict of columns: "predictions", "probabilities", "model_version"."""
        return self.call("/prediction", rows)


class Release:
    """The model of a release folder, or of the link to the live one. Not for splines, bins, dates and pooled levels."""

    def __init__(self, folder):
        self.card = json.loads((pathlib.Path(folder) / "model.json").read_text(encoding="utf-8"))
        if any(self.card.get(part) for part in ("splines", "attributes", "dates", "infrequent")):
            raise ValueError("this model has features that are not computed here: see docs/exports.md")

    def probability(self, row):
        """The probability of the positive label for one row, a dict of cleaned values."""
        row = {**self.card["imputation"], **{k: v for k, v in row.items() if v is not None and v != ""}}
        values = {**row, **{f"{name}={value}": 1.0 for name, value in row.items()}}
        scaler, total = self.card["scaler"], self.card["intercept"]
        parts = zip(self.card["features"], scaler["mean"], scaler["scale"], self.card["coefficients"])
        total += math.fsum(weight * (float(values.get(name, 0.0)) - mean) / scale for name, mean, scale, weight in parts)
        return 1 / (1 + math.exp(-total)) if total > -700 else math.exp(total)
