"""Says in a line of JSON what MLflow's own client finds in a tracking server.

    tracking.py URI
"""

import json
import sys

import mlflow

mlflow.set_tracking_uri(sys.argv[1])
client = mlflow.MlflowClient()
experiment = client.get_experiment_by_name("mlops")
runs = client.search_runs([experiment.experiment_id])
run = runs[0]
model = mlflow.pyfunc.load_model("models:/leavers@champion")
example = model.input_example if hasattr(model, "input_example") else None
if example is None:
    path = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="model/input_example.json")
    with open(path, encoding="utf-8") as file:
        example = json.load(file)
    import pandas

    example = pandas.DataFrame(example["data"], columns=example["columns"])
for name in example.columns:
    if example[name].dtype.kind in "iu":
        example[name] = example[name].astype(float)
print(
    json.dumps(
        {
            "runs": len(runs),
            "run": run.info.run_id,
            "name": run.info.run_name,
            "status": run.info.status,
            "metrics": run.data.metrics,
            "params": run.data.params,
            "tags": run.data.tags,
            "champion": str(client.get_model_version_by_alias("leavers", "champion").version),
            "versions": len(client.search_model_versions("name='leavers'")),
            "predicted": len(model.predict(example)["probability"]),
        }
    )
)
