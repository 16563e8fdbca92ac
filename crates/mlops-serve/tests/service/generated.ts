// Uses every operation of a running service by a client whose types openapi-typescript has made from
// the service's description, so that the compiler checks what is sent and what is read.
//
// generated.mjs URL TOKEN; api.d.ts is beside it.
import createClient from "openapi-fetch";
import type { components, operations, paths } from "./api.d.ts";

declare const process: { argv: string[] };
const [url, token] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });
const used = new Set<keyof operations>();

function check(right: boolean, what: unknown): asserts right {
    if (!right) throw new Error(`not as described: ${JSON.stringify(what)}`);
}

/** What the operation answers, which must end with `status`. */
async function call<D, E>(
    name: keyof operations,
    answer: Promise<{ data?: D; error?: E; response: Response }>,
    status = 200,
): Promise<D & E> {
    used.add(name);
    const { data, error, response } = await answer;
    check(response.status === status, [name, response.status, data, error]);
    return (data ?? error) as D & E;
}

type Row = components["schemas"]["Row"];
const row: Row = { age: 41, balance: 12.5, country: "de" };
const hole: Row = { age: null, balance: "1,234.5", country: null };

const expected = await call("predict", client.POST("/prediction", { body: [row, hole] }));
check(expected.rows === 2 && expected.probabilities.every((p) => p > 0 && p < 1), expected);
const table = { columns: ["age", "balance", "country"], data: [[41, 12.5, "de"], [null, "1,234.5", null]] };
const same = await call("predict", client.POST("/prediction", { body: table }));
check(JSON.stringify(same.probabilities) === JSON.stringify(expected.probabilities), same);
const explained = await call(
    "predict",
    client.POST("/prediction", { body: [row, hole], params: { query: { explain: 2 } } }),
);
check(explained.explanations?.rows[0]?.contributions.length === 2, explained);
const wrong = await call("predict", client.POST("/prediction", { body: [{ ...row, age: "many" }] }), 422);
check(wrong.errors?.[0]?.column === "age" && wrong.status === 422, wrong);

const labelled = [{ ...row, churned: "yes" }, { ...row, age: 20, churned: "no" }];
const score = await call("score", client.POST("/scoring", { body: labelled }));
check(score.n === 2, score);
const recorded = await call("recordedScore", client.GET("/scoring"));
check(recorded.f1_interval !== null && Number(recorded.f1) > 0, recorded);
await call("summaryStatistics", client.GET("/summarystats"));
await call("diagnostics", client.GET("/diagnostics"));

const invoked = await call("invoke", client.POST("/invocations", { body: { dataframe_split: table } }));
check(JSON.stringify(invoked.predictions) === JSON.stringify(expected.predictions), invoked);
const mlflow = await call("invoke", client.POST("/invocations", { body: { instances: [{ ...row, age: "x" }] } }), 422);
check(mlflow.message.includes("age"), mlflow);

const [model, version] = ["model", expected.model_version];
const tensors: components["schemas"]["InferenceTensor"][] = [
    { name: "age", shape: [2], datatype: "INT64", data: [41, null] },
    { name: "balance", shape: [2], datatype: "BYTES", data: ["12.5", "1,234.5"] },
    { name: "country", shape: [2], datatype: "BYTES", data: ["de", null] },
];
const body = { id: "mine", inputs: tensors };
const inferred = await call("infer", client.POST("/v2/models/{model}/infer", { params: { path: { model } }, body }));
check(inferred.id === "mine" && inferred.outputs[0]?.name === "prediction", inferred);
const path = { model, version };
const again = await call(
    "inferVersion",
    client.POST("/v2/models/{model}/versions/{version}/infer", { params: { path }, body }),
);
check(JSON.stringify(again) === JSON.stringify(inferred), again);
const other = { params: { path: { model: "other" } }, body };
const unknown = await call("infer", client.POST("/v2/models/{model}/infer", other), 404);
check(typeof unknown.error === "string", unknown);
const metadata = await call("modelMetadata", client.GET("/v2/models/{model}", { params: { path: { model } } }));
check(metadata.inputs.map((t) => t.name).join() === "age,balance,country", metadata);
await call("modelMetadataVersion", client.GET("/v2/models/{model}/versions/{version}", { params: { path } }));
const ready = await call("modelReady", client.GET("/v2/models/{model}/ready", { params: { path: { model } } }));
check(ready.ready, ready);
await call("modelReadyVersion", client.GET("/v2/models/{model}/versions/{version}/ready", { params: { path } }));
check((await call("serverReady", client.GET("/v2/health/ready"))).ready, "ready");
check((await call("serverLive", client.GET("/v2/health/live"))).live, "live");
check((await call("serverMetadata", client.GET("/v2"))).name === "mlops", "name");
const state = await call("readyz", client.GET("/readyz"));
check(state.status === "ready" && state.trouble === null, state);
check((await call("livez", client.GET("/livez"))).status === "alive", "alive");

const outcomes = { body: [{ customer: "g1", churned: "yes" }, { customer: 7, churned: "no" }] };
const batch = await call("sendLabels", client.POST("/labels", outcomes));
check(batch.rows === 2 && batch.counts?.unknown === 2 && batch.counts.new === 0, batch);
const ruling = { params: { path: { release: version } }, body: { decision: "reject", reason: "none waits" } as const };
const none = await call("decideOnChallenger", client.POST("/approvals/{release}", ruling), 404);
check(none.status === 404, none);

const text = { parseAs: "text" } as const;
await call("metrics", client.GET("/metrics", text));
await call("docs", client.GET("/docs", text));
await call("ping", client.GET("/ping", text));
await call("health", client.GET("/health", text));
await call("version", client.GET("/version", text));
const api = await call("openapi", client.GET("/openapi.json"));

// Pages are for people and their browsers.
type Described = { paths: Record<string, Record<string, { operationId: string; tags: string[] }>> };
const described = Object.values((api as unknown as Described).paths).flatMap((path) => Object.values(path));
const all = described.filter(({ tags }) => !tags.includes("pages")).map(({ operationId }) => operationId);
const unused = all.filter((name) => !used.has(name as keyof operations));
check(unused.length === 0, { unused });
