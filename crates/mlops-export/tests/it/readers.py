"""Computes exported models with the programs that they are for, and compares with known probabilities.

    readers.py FOLDER ROWS.json READER

FOLDER is what `deployment export` wrote. Ends with an assertion that fails, or prints the largest deviation;
prints "missing: NAME" where the reader is not installed.
"""

import json
import math
import sqlite3
import subprocess
import sys

folder, rows, reader = sys.argv[1:]
with open(rows, encoding="utf-8") as file:
    told = json.load(file)
columns, kinds = zip(*told["columns"])
known = told["probabilities"]
positive, negative = told["labels"]


def compare(probabilities, labels, tolerance):
    """`None` or NaN is no prediction."""
    assert len(probabilities) == len(known), (len(probabilities), len(known))
    largest = 0.0
    for at, (found, expected) in enumerate(zip(probabilities, known)):
        nothing = found is None or math.isnan(found)
        assert nothing == (expected is None), (at, told["rows"][at], found, expected)
        if nothing:
            assert labels is None or labels[at] in (None, "", "nan") or labels[at] != labels[at], labels[at]
            continue
        assert abs(found - expected) <= tolerance, (at, told["rows"][at], found, expected)
        largest = max(largest, abs(found - expected))
        if labels is not None and abs(expected - told["threshold"]) > tolerance:
            right = positive if expected > told["threshold"] else negative
            assert labels[at] == right, (at, labels[at], right)
    print(f"{reader}: largest deviation {largest:.2e} in {len(known)} rows")


def module(name):
    try:
        return __import__(name)
    except ImportError:
        print(f"missing: {name}")
        sys.exit()


def column(at):
    return [row[at] for row in told["rows"]]


def feed(number):
    numpy = module("numpy")
    inputs = {}
    for at, (name, kind) in enumerate(zip(columns, kinds)):
        if kind == "text":
            inputs[name] = numpy.array(column(at), dtype=object)
        else:
            inputs[name] = numpy.array([math.nan if x is None else x for x in column(at)], dtype=number)
    return inputs


def onnx_core():
    onnx, runtime = module("onnx"), module("onnxruntime")
    numpy = module("numpy")
    onnx.checker.check_model(onnx.load(f"{folder}/model.onnx"), full_check=True)
    session = runtime.InferenceSession(f"{folder}/model.onnx", providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["threshold"] == str(told["threshold"])
    log_odds, probability, label = session.run(None, feed(numpy.float64))
    with numpy.errstate(over="ignore"):
        again = 1 / (1 + numpy.exp(-log_odds))
    assert numpy.allclose(again, probability, atol=1e-12, equal_nan=True)
    compare(probability.tolist(), label.tolist(), 1e-12)


def tract():
    """Labels are texts, which its interface for Python does not hand on."""
    runner = module("tract")
    numpy = module("numpy")
    inputs = feed(numpy.float64)
    loaded = runner.onnx().load(f"{folder}/model.onnx")
    names = [loaded.input_name(at) for at in range(loaded.input_count())]
    answer = loaded.into_model().into_runnable().run([inputs[name] for name in names])
    compare(answer[1].to_numpy().tolist(), None, 1e-12)


def onnx_classic():
    onnx, runtime = module("onnx"), module("onnxruntime")
    numpy = module("numpy")
    onnx.checker.check_model(onnx.load(f"{folder}/model-ml.onnx"), full_check=True)
    session = runtime.InferenceSession(f"{folder}/model-ml.onnx", providers=["CPUExecutionProvider"])
    label, probabilities = session.run(None, feed(numpy.float32))
    # Times in seconds since 1970 have 31 binary digits, and floats have 24.
    compare(probabilities[:, 1].tolist(), label.tolist(), told["tolerance"])


def in_table(insert, kinds_of):
    """Creates the table `clients` of the rows, whose number is `who`."""
    quote = lambda name: '"' + name.replace('"', '""') + '"'
    definition = ", ".join(f"{quote(name)} {kinds_of[kind]}" for name, kind in zip(columns, kinds))
    insert(f"CREATE TABLE clients (who INTEGER, {definition})", None)
    marks = ", ".join("?" for _ in range(len(columns) + 1))
    plain = sum(kind == "number" for kind in kinds)
    for at, row in enumerate(told["rows"]):
        cells = [at]
        dates = iter(told["dates"][at])
        for cell, kind in zip(row, kinds):
            cells.append(next(dates) if kind == "date" else cell)
        insert(f"INSERT INTO clients VALUES ({marks})", cells)


def script(name):
    with open(f"{folder}/{name}", encoding="utf-8") as file:
        return file.read()


def sqlite():
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("SELECT exp(1.0)")
    except sqlite3.OperationalError:
        print("missing: an SQLite with functions of mathematics")
        sys.exit()
    in_table(
        lambda sql, cells: connection.execute(sql, cells or []),
        {"number": "REAL", "date": "TEXT", "text": "TEXT"},
    )
    found = sorted(connection.execute(script("model.sql").rstrip().rstrip(";")).fetchall())
    compare([row[2] for row in found], [row[3] for row in found], 1e-12)
    golden = connection.execute(script("model-test.sql").rstrip().rstrip(";")).fetchone()
    assert golden[0] > 10 and golden[1] == 0 and golden[2] <= 1e-12, golden


def duckdb():
    connection = module("duckdb").connect(":memory:")
    in_table(
        lambda sql, cells: connection.execute(sql, cells or []),
        {"number": "DOUBLE", "date": "TIMESTAMP", "text": "VARCHAR"},
    )
    found = sorted(connection.execute(script("model.sql")).fetchall())
    compare([row[2] for row in found], [row[3] for row in found], 1e-12)
    golden = connection.execute(script("model-test.sql")).fetchone()
    assert golden[0] > 10 and golden[1] == 0 and golden[2] <= 1e-12, golden


def mlflow():
    module("onnxruntime")
    module("onnx")
    module("mlflow")
    pandas = module("pandas")
    import mlflow.pyfunc

    model = mlflow.pyfunc.load_model(f"{folder}/mlflow")
    # MLflow hands on what pandas keeps, and onnxruntime takes no texts of pandas' own type.
    frame = pandas.DataFrame({name: pandas.Series(x, dtype=x.dtype) for name, x in feed(float).items()})
    answer = model.predict(frame)
    compare(answer["probability"].tolist(), answer["label"].tolist(), 1e-12)
    with open(f"{folder}/mlflow/input_example.json", encoding="utf-8") as file:
        example = json.load(file)
    frame = pandas.DataFrame(example["data"], columns=example["columns"], dtype=object)
    frame = frame.astype({name: float for name, kind in told["columns"] if kind != "text"})
    assert len(model.predict(frame)) == len(frame) > 0


def pmml():
    pypmml = module("pypmml")
    pandas = module("pandas")
    if subprocess.run(["java", "-version"], capture_output=True, check=False).returncode != 0:
        print("missing: java")
        sys.exit()
    model = pypmml.Model.fromFile(f"{folder}/model.pmml")
    answer = model.predict(pandas.DataFrame(feed(float)))
    compare(answer["probability"].tolist(), answer["predicted"].tolist(), 1e-12)
    pypmml.Model.close()


def jpmml():
    """Both documents in the reference implementation, whose archive has the schema."""
    evaluator = module("jpmml_evaluator")
    etree = module("lxml.etree").etree
    import glob
    import os
    import zipfile

    if subprocess.run(["java", "-version"], capture_output=True, check=False).returncode != 0:
        print("missing: java")
        sys.exit()
    jars = os.path.join(os.path.dirname(evaluator.__file__), "dependencies", "pmml-model-[0-9]*.jar")
    with zipfile.ZipFile(glob.glob(jars)[0]) as jar:
        schema = etree.XMLSchema(etree.fromstring(jar.read("pmml.xsd")))
    names = [name for name in ("model", "scorecard") if os.path.exists(f"{folder}/{name}.pmml")]
    assert ("scorecard" in names) == told["all_in_bins"], names
    for name in names:
        schema.assertValid(etree.parse(f"{folder}/{name}.pmml"))
    rows = [{name: x for name, x in zip(columns, row) if x not in (None, "")} for row in told["rows"]]

    def answers(name):
        document = evaluator.make_evaluator(f"{folder}/{name}.pmml").verify()
        return [answer(document, row) for row in rows]

    def answer(document, row):
        try:
            return document.evaluate(row)
        except evaluator.JavaError as error:
            # What the standard has for a scorecard of which a row finds no attribute.
            assert "UndefinedResultException" in str(error), error
            return {}

    found = answers("model")
    compare([row.get("probability") for row in found], [row.get("predicted") for row in found], 1e-12)
    if "scorecard" not in names:
        return
    found = answers("scorecard")
    if told["points"] is None:
        compare([row["probability"] for row in found], None, 1e-12)
    else:
        assert [row.get("points") for row in found] == told["points"]
    # Points are rounded, which can put a reason before one that adds hardly more.
    near = 1e-9 if told["factor"] is None else 1 / abs(told["factor"])
    for row, reasons in ((row, reasons) for row, reasons in zip(found, told["reasons"]) if row):
        of_column = dict(reasons)
        for rank in range(1, 5):
            reason = row.get(f"reason_{rank}")
            expected = reasons[rank - 1][1] if rank <= len(reasons) else 0.0
            assert abs(of_column.get(reason, 0.0) - expected) <= near, (row, reasons)
    assert any(row.get("reason_2") for row in found)


def card():
    """The lines of the documentation."""
    module("numpy")
    import os
    import re

    page = os.path.join(os.path.dirname(__file__), "../../../../docs/exports.md")
    with open(page, encoding="utf-8") as file:
        text = file.read().split("## Six lines of numpy")[1]
    code = re.search(r"```python\n(.*?)```", text, re.S)[1]
    names = {}
    exec(code.replace('open("model.json")', f'open("{folder}/../../model.json")'), names)
    compare([names["probability"](dict(zip(columns, row))) for row in told["rows"]], None, 1e-12)


try:
    {
        "card": card,
        "onnx": onnx_core,
        "onnx-ml": onnx_classic,
        "tract": tract,
        "sqlite": sqlite,
        "duckdb": duckdb,
        "mlflow": mlflow,
        "pmml": pmml,
        "jpmml": jpmml,
    }[reader]()
except FileNotFoundError as error:
    if error.filename != "java":
        raise
    print("missing: java")
