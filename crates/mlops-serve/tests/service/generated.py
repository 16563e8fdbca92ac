"""Generates a client from the description of a running service, and uses each of its operations.

generated.py URL TOKEN; needs openapi-python-client and openapi-spec-validator. The generator knows no
CSV and no pictures and says so; nothing else that it would leave out or warn of is tolerated."""
import importlib
import json
import re
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from openapi_spec_validator import validate

url, token = sys.argv[1:]
request = urllib.request.Request(url + "/openapi.json", headers={"Authorization": f"Bearer {token}"})
api = json.load(urllib.request.urlopen(request))
validate(api)

folder = Path(tempfile.mkdtemp())
(folder / "api.json").write_text(json.dumps(api))
# The generator knows CSV by no name.
(folder / "config.yml").write_text("post_hooks: []\n")
made = subprocess.run(
    [sys.executable, "-m", "openapi_python_client", "generate", "--path", folder / "api.json", "--config",
     folder / "config.yml", "--output-path", folder / "described", "--meta", "none"],
    capture_output=True, text=True)
said = made.stdout + made.stderr
warnings = re.findall(r"^(?:Unable|Unsupported|Attempted|Invalid|Cannot|Failure|Could not|type ).*|.*WARNING (?!parsing).*", said, re.M)
warnings = [w for w in warnings if "(Unsupported content_type image/svg+xml)" not in w]
assert made.returncode == 0 and warnings == ["Unsupported content type text/csv"] * 4, said
sys.path.insert(0, str(folder))
import described  # noqa: E402
from described import models as m  # noqa: E402

client = described.AuthenticatedClient(base_url=url, token=token, raise_on_unexpected_status=True)
snake = lambda name: re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).replace(" ", "_").lower()  # noqa: E731
operations = {o["operationId"]: (path, o) for path, methods in api["paths"].items() for o in methods.values()}
assert len(operations) == sum(len(methods) for methods in api["paths"].values()), "an operationId is there twice"
used = set()


def call(name, status=200, **arguments):
    """What the operation answers, as the client understands it."""
    used.add(name)
    tag = snake(operations[name][1]["tags"][0])
    module = importlib.import_module(f"described.api.{tag}.{snake(name)}")
    answer = module.sync_detailed(client=client, **arguments)
    assert answer.status_code == status, (name, answer)
    assert answer.parsed is not None, (name, answer)
    return answer.parsed


row = m.Row(age=41, balance=12.5, country="de", customer=9007199254740993)
hole = m.Row(age=None, balance="1,234.5", country=None)
table = m.Table(columns=["age", "balance", "country"], data=[[41, 12.5, "de"], [None, "1,234.5", None]])

expected = call("predict", body=[row, hole])
assert isinstance(expected, m.Predictions) and expected.rows == 2 and expected.imputed.additional_properties == {"age": 1, "country": 1}
assert all(0 < p < 1 for p in expected.probabilities) and set(expected.predictions) <= {"yes", "no"}
assert call("predict", body=table).probabilities == expected.probabilities
assert call("predict", body=row).probabilities == expected.probabilities[:1]
assert call("predict", body=m.NamedFile(filepath="test/some.csv")).rows == 5
explained = call("predict", body=[row, hole], explain=2)
assert explained.probabilities == expected.probabilities
for one in explained.explanations.rows:
    parts = [part.contribution for part in one.contributions]
    start = explained.explanations.reference.log_odds
    assert len(parts) == 2 and abs(start + sum(parts) + one.others - one.log_odds) < 1e-12, one
assert explained.explanations.reference.values["country"] in ("de", "es", "fr")
wrong = m.Row(age="many", balance=1, country="de")
problem = call("predict", 422, body=[row, wrong])
assert isinstance(problem, m.Problem) and (problem.errors[0].row, problem.errors[0].column) == (1, "age"), problem
assert isinstance(call("predict", 404, body=m.NamedFile(filepath="none.csv")), m.Problem)

labelled = [m.Row(age=age, balance=1, country="de", churned=label) for age, label in ((70, "yes"), (20, "no"))]
score = call("score", body=labelled)
assert isinstance(score, m.Score) and score.n == 2 and score.confusion_matrix.tn + score.confusion_matrix.tp <= 2
assert isinstance(call("score", 422, body=[row]), m.Problem)
recorded = call("recordedScore")
assert isinstance(recorded, m.RecordedScore) and 0 < recorded.f1_interval.low < recorded.f1 and recorded.deployment
assert call("summaryStatistics")["columns"] and call("diagnostics")["columns"]

cells = [[41, 12.5, "de"], [None, "1,234.5", None]]
columns = m.InputColumns()
columns.additional_properties = {"age": [41, None], "balance": [12.5, "1,234.5"], "country": ["de", None]}
for body in (m.SplitInvocation(dataframe_split=table), m.RecordsInvocation(dataframe_records=[row, hole]),
             m.InstancesInvocation(instances=[row, cells[1]]), m.InputsInvocation(inputs=columns),
             m.InputsInvocation(inputs=cells)):
    assert call("invoke", body=body).predictions == expected.predictions, body
answer = call("invoke", body=m.InstancesInvocation(instances=[row], params=m.Parameters(explain=2)))
assert answer.explanations.rows[0] == explained.explanations.rows[0], answer
error = call("invoke", 422, body=m.RecordsInvocation(dataframe_records=[wrong]))
assert isinstance(error, m.MlflowError) and "age" in error.message, error

model, version = "model", expected.model_version
kinds = m.InferenceTensorDatatype
tensor = lambda name, kind, data: m.InferenceTensor(name=name, shape=[len(data)], datatype=kind, data=data)  # noqa: E731
inputs = [tensor("age", kinds.INT64, [41, None]), tensor("balance", kinds.BYTES, ["12.5", "1,234.5"]),
          tensor("country", kinds.BYTES, ["de", None])]
numbers = m.InferenceTensor(name="country", shape=[1, 1], datatype=kinds.BYTES, data=[["de"]])
output = m.RequestedOutput(name=m.RequestedOutputName.PROBABILITY)
for name, more in (("infer", {}), ("inferVersion", {"version": version})):
    answer = call(name, model=model, **more, body=m.Inference(inputs=inputs, id="mine"))
    assert isinstance(answer, m.InferenceAnswer) and answer.id == "mine" and answer.model_version == version
    assert [o.name for o in answer.outputs] == ["prediction", "probability"]
    assert answer.outputs[0].data == expected.predictions and answer.outputs[1].data == expected.probabilities
    answer = call(name, model=model, **more, body=m.Inference(inputs=inputs, parameters=m.Parameters(explain=2)))
    found = {o.name: o.data for o in answer.outputs}
    parts = [[p.contribution for p in r.contributions] for r in explained.explanations.rows]
    assert found["contribution"] == parts[0] + parts[1], answer
    assert answer.parameters["reference_log_odds"] == explained.explanations.reference.log_odds
    one = [tensor("age", kinds.FP64, [41.0]), tensor("balance", kinds.FP64, [12.5]), numbers]
    answer = call(name, model=model, **more, body=m.Inference(inputs=one, outputs=[output]))
    assert [o.data for o in answer.outputs] == [expected.probabilities[:1]]
    error = call(name, 400, model=model, **more, body=m.Inference(inputs=[tensor("age", kinds.FP64, [1.0, 2.0]), numbers]))
    assert isinstance(error, m.InferenceError) and "1 row, another has 2" in error.error, error
assert isinstance(call("infer", 404, model="other", body=m.Inference(inputs=inputs)), m.InferenceError)
metadata = call("modelMetadata", model=model)
assert isinstance(metadata, m.ModelMetadata) and [t.name for t in metadata.inputs] == ["age", "balance", "country"]
assert call("modelMetadataVersion", model=model, version=version) == metadata
assert call("modelReady", model=model).ready and call("modelReadyVersion", model=model, version=version).ready
assert call("serverReady").ready and call("serverLive").live and call("serverMetadata").name == "mlops"
ready = call("readyz")
assert isinstance(ready, m.Readiness) and ready.status == m.ReadinessStatus.READY and ready.trouble is None
assert call("livez").status == "alive" and call("openapi")["openapi"] == api["openapi"]
for name in ("metrics", "docs", "ping", "health", "version", "logInForm", "style"):
    assert isinstance(call(name), str), name
for name in ("start", "findings", "releases", "decisions", "runs", "ingestions", "quarantine", "sources"):
    assert isinstance(call(name), m.Record), name
assert call("start")["live"]["release"] == version and call("release", release=version)["live"] is True
assert call("compare", a=version, b=version)["scores"] == []
assert call("run", run=call("runs")["items"][0]["run_id"])["steps"]
assert isinstance(call("decision", 404, run="none"), m.Problem)


def label(customer, churned):
    one = m.Label()
    one.additional_properties = {"customer": customer, "churned": churned}
    return one


batch = call("sendLabels", body=[label("g1", "yes"), label(7, "no")])
assert isinstance(batch, m.LabelBatch) and batch.rows == 2, batch
assert isinstance(batch.counts, m.LabelCounts) and (batch.counts.unknown, batch.counts.new) == (2, 0), batch
assert call("sendLabels", body=[label("g1", "yes"), label(7, "no")]).known is True
assert isinstance(call("sendLabels", 422, body=label("g1", "maybe")), m.Problem)
ruling = m.Ruling(decision=m.RulingDecision.REJECT, reason="nobody waits")
assert isinstance(call("decideOnChallenger", 404, release=version, body=ruling), m.Problem)
# A browser's own forms, and a picture, of which the generator knows nothing.
used |= {"logIn", "logOut", "icon"}
# Other pages are for people and their browsers.
unused = {name for name, (_, o) in operations.items() if "pages" not in o["tags"]} - used
assert not unused, f"never used: {unused}"
