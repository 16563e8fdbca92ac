#!/usr/bin/env python3
"""Half an hour as of a busy year: load of all kinds, promotions, new files, and kills.

    cargo build --release && python3 benches/soak.py [--duration 1800] [--bin target/release]

Two services run over one workspace: `steady` to the end, `killed` by SIGKILL every 20 seconds and started
anew. Both are asked for one row, a thousand rows, CSV, by the protocols of MLflow and v2, and for pages, and are sent
batches of labels. All the while

- a promotion each second, of one of the two newest releases, as soon as no other run is at work;
- `fullprocess` runs again and again on files of new labelled rows, one every three seconds, and every fifth
  of its runs is killed at a moment of chance.

Checked, each with its count: no request fails but those of `killed` about the time of a kill; every row of
every file is in the data set once; every row that was answered is in the log of predictions (but for those
of `killed` in the last second before a kill) and no line of it is torn; every batch of labels that was
acknowledged is there, and each of its labels is joined; memory and descriptors of `steady`
are at the end what they were after the first quarter. Exit code 1 if anything is otherwise. The last lines
are the figures for docs/performance.md. Standard library only.
"""
import argparse, collections, csv, http.client, json, os, pathlib, random, shutil, signal, sqlite3, subprocess, sys, tempfile
import threading, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUSY = 75
TOKEN = "labels-of-the-soak-0123"
lock = threading.Lock()
over = threading.Event()
counts, wrong = collections.Counter(), []
kills = []                       # when `killed` was down: (from, until)
acknowledged = {}                # digest of a batch of labels -> rows
answered = {"steady": {}, "killed": {}}  # request id -> (time, rows)


def rows(seed, n, header=True):
    r = random.Random(seed)
    lines = ["id,x1,x2,x3,y"] if header else []
    for i in range(n):
        x = [r.gauss(0, 1) for _ in range(3)]
        lines.append(f"{seed}-{i}," + ",".join(f"{v:.4f}" for v in x) + f",{int(x[0] - x[1] + r.gauss(0, 1) > 0)}")
    return "\n".join(lines) + "\n"


class Server:
    """A service, started anew where it was killed."""

    def __init__(self, name, options, root, port):
        self.name, self.options, self.root, self.port = name, options, root, port
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [self.options.bin / "app", "--quiet", "--port", str(self.port), "--config", self.root / "config.json"],
            stdout=subprocess.DEVNULL, stderr=open(self.root / f"{self.name}.log", "ab"),
            env=dict(os.environ, MLOPS_LABELS_TOKEN=TOKEN))
        for _ in range(2000):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.01)
        wrong.append(f"{self.name} does not get ready")

    def kill(self):
        begun = time.monotonic()
        self.process.kill()
        self.process.wait()
        self.start()
        with lock:
            kills.append((begun - 1.0, time.monotonic() + 0.5))

    def look(self):
        folder = pathlib.Path(f"/proc/{self.process.pid}")
        status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        return int(status["VmRSS"].split()[0]) / 1024, len(list((folder / "fd").iterdir()))


def requests():
    """Every kind of request: path, type, body, number of rows that are logged."""
    one = {"id": "a", "x1": 0.5, "x2": -1, "x3": 2}
    many = [dict(one, id=f"m{i}", x1=i / 1000) for i in range(1000)]
    tensor = [{"name": n, "shape": [2], "datatype": "FP64", "data": [0.5, 1.5]} for n in ("x1", "x2", "x3")]
    kind = "application/json"
    return [("one row", "/prediction", kind, json.dumps(one), 1), ("1,000 rows", "/prediction", kind, json.dumps(many), 1000),
            ("CSV", "/prediction", "text/csv", rows("c", 100), 100),
            ("v2", "/v2/models/model/infer", kind, json.dumps({"inputs": tensor}), 2),
            ("MLflow", "/invocations", kind, json.dumps({"dataframe_records": [one]}), 1),
            ("score", "/scoring", None, None, 0), ("start page", "/", None, None, 0),
            ("drift page", "/drift", None, None, 0), ("labels", "/labels", kind, None, 0),
            ("metrics", "/metrics", None, None, 0), ("description", "/openapi.json", None, None, 0)]


def load(server, number):
    """Asks until the end, on a connection that is kept."""
    connection, n, mine = None, 0, requests()
    while not over.is_set():
        kind, path, media, body, logged = mine[(n + number) % len(mine)]
        n += 1
        # A thousand rows leave as many lines in the log, which has to fit on a disk.
        if logged == 1000 and n % 5:
            continue
        if kind == "labels":
            # Each batch that is new is joined at once.
            if n % 20:
                continue
            # New ones, and one of a row that was predicted, which says the same again or something else.
            batch = [{"id": f"{server.name}-{number}-{n}-{i}", "y": i % 2} for i in range(20)]
            body = json.dumps([*batch, {"id": f"m{n % 1000}", "y": n // 1000 % 2}])
        identity, begun = f"{server.name}-{number}-{n}", time.monotonic()
        try:
            connection = connection or http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
            headers = {"x-request-id": identity} | ({"content-type": media} if media else {})
            if kind == "labels":
                headers["authorization"] = f"Bearer {TOKEN}"
            connection.request("POST" if media else "GET", path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
            with lock:
                counts[kind] += 1
                if answer.status != 200:
                    wrong.append(f"{server.name}: {path} {answer.status} {text[:200]}")
                elif kind == "labels":
                    acknowledged[json.loads(text)["batch"]] = 21
                elif logged:
                    answered[server.name][identity] = (time.monotonic(), logged)
        except (OSError, http.client.HTTPException) as error:
            connection = None
            with lock:
                counts["broken by a kill"] += 1
                failures.append((server.name, begun, time.monotonic(), f"{path}: {error!r}"))
            time.sleep(0.02)
        time.sleep(0.02)


failures = []


def run(options, root, name, *arguments, kill_after=None):
    """A program; its exit code, or nothing if it was killed."""
    process = subprocess.Popen([options.bin / name, "--quiet", *arguments, "--config", root / "config.json"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        _, said = process.communicate(timeout=kill_after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None
    if process.returncode not in (0, 3, BUSY):
        with lock:
            wrong.append(f"{name} {arguments} ended with {process.returncode}: {said[-500:]}")
    return process.returncode


def promotions(options, root):
    """Of the two newest releases the one that is not live, as soon as no other run is at work."""
    while not over.wait(1.0):
        newest = sorted((root / "models").glob("r-*"), key=lambda p: int(p.name.split("-")[1]))[-2:]
        live = (root / "live").resolve().name
        other = [p.name for p in newest if p.name != live]
        code = BUSY
        while code == BUSY and other and not over.is_set():
            code = run(options, root, "deployment", "rollback", "--to", other[-1], "--reason", "soak")
            counts["promotions" if code == 0 else "promotions that gave way"] += 1
            # Otherwise the attempts themselves would be most of the load.
            over.wait(0.1 if code == BUSY else 0)


def files(root, written):
    n = 0
    while not over.wait(3.0):
        n += 1
        name, seed = f"new{n:05}.csv", f"n{n}"
        (root / "spare").write_text(rows(seed, 200))
        (root / "spare").rename(root / "source" / name)
        written.append(200)


def unattended(options, root):
    r, n = random.Random(7), 0
    while not over.is_set():
        n += 1
        code = run(options, root, "fullprocess", kill_after=r.uniform(0.02, 0.6) if n % 5 == 0 else None)
        counts["runs of fullprocess killed" if code is None else "runs of fullprocess" if code != BUSY else "runs that gave way"] += 1
        over.wait(0.5)


def check_log(root):
    """Every answered row is in the log, each line whole; returns the number of lines."""
    found, lines, torn = collections.Counter(), 0, 0
    for path in (root / "log").iterdir():
        with open(path, errors="replace") as file:
            for line in file:
                lines += 1
                try:
                    found[json.loads(line)["request_id"]] += 1
                except (ValueError, KeyError):
                    torn += 1
    if torn > len(kills):
        wrong.append(f"{torn} torn lines in the log of predictions after {len(kills)} kills")
    lost = 0
    for name, requests in answered.items():
        for identity, (at, expected) in requests.items():
            excused = name == "killed" and any(a - 0.5 <= at <= b for a, b in kills)
            if found[identity] != expected and not excused:
                lost += 1
    if lost:
        wrong.append(f"the log of predictions lacks rows of {lost} requests")
    return lines


def check_labels(options, root):
    """Every acknowledged batch is kept, and every label that is kept is joined; returns the number of labels."""
    with sqlite3.connect(root / "out/received.sqlite") as db:
        kept = {digest: text.count(b"\n") - 1 for digest, text in db.execute("SELECT digest, csv FROM batches")}
    lost = [digest for digest, rows in acknowledged.items() if kept.get(digest) != rows]
    if lost:
        wrong.append(f"{len(lost)} batches of labels were acknowledged and are not kept, the first {lost[0]}")
    lines = sum(kept.values())
    joined = subprocess.run([options.bin / "diagnostics", "outcomes", "--json", "--quiet", "--config", root / "config.json"],
                            capture_output=True, text=True)
    if joined.returncode not in (0, 3):
        wrong.append(f"diagnostics outcomes ended with {joined.returncode}: {joined.stderr[-500:]}")
        return lines
    labels = json.loads(joined.stdout)["labels"]
    if labels["kept"] + labels["doubled"] != lines or labels["unreadable"] or labels["without_key"]:
        wrong.append(f"{lines} labels were received, and joined were {labels}")
    return lines


def check_rows(root, expected):
    newest = max((root / "out").glob("finaldata*.csv"), key=lambda p: int(p.stem[9:]))
    with open(newest) as file:
        identities = [row["id"] for row in csv.DictReader(file)]
    if len(identities) != expected or len(set(identities)) != expected:
        wrong.append(f"{newest.name} has {len(identities)} rows ({len(set(identities))} different), {expected} were written")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--duration", type=float, default=1800, help="in seconds")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "target/release")
    parser.add_argument("--port", type=int, default=18200, help="this and the next are used")
    options = parser.parse_args()
    root = pathlib.Path(tempfile.mkdtemp(prefix="soak-"))
    for name in ("in", "source", "test"):
        (root / name).mkdir()
    (root / "config.json").write_text(json.dumps({
        "input_folder_path": "in", "source_folder_path": "source", "output_folder_path": "out", "test_data_path": "test",
        "output_model_path": "model", "models_path": "models", "prod_deployment_path": "live",
        "schema": {"id": ["id"], "numeric": ["x1", "x2", "x3"], "target": "y"}, "ingestion": {"settle_seconds": 0},
        "labels": {"receive": True},
        "apicalls": {"url": f"http://127.0.0.1:{options.port}"},
        "service": {"prediction_log_path": "log", "prediction_log_keep_files": 100_000}}))
    (root / "in/first.csv").write_text(rows("f", 3000))
    (root / "test/test.csv").write_text(rows("t", 500))
    for extra in ("", "g"):
        if extra:
            (root / "in/second.csv").write_text(rows(extra, 300))
        for step in ("ingestion", "training", "scoring", "deployment"):
            subprocess.run([options.bin / step, "--quiet", "--config", root / "config.json"], check=True)
    steady = Server("steady", options, root, options.port)
    killed = Server("killed", options, root, options.port + 1)
    written = []
    threads = [threading.Thread(target=load, args=(server, n)) for server in (steady, killed) for n in range(4)]
    threads += [threading.Thread(target=promotions, args=(options, root)), threading.Thread(target=files, args=(root, written)),
                threading.Thread(target=unattended, args=(options, root))]
    begun, samples, next_kill = time.monotonic(), [], 20.0
    for thread in threads:
        thread.start()
    while (passed := time.monotonic() - begun) < options.duration:
        time.sleep(1)
        samples.append((passed, *steady.look()))
        if passed > next_kill:
            next_kill = passed + 20
            killed.kill()
    over.set()
    for thread in threads:
        thread.join()
    for name, start, end, what in failures:
        if name == "steady" or not any(start <= b and end >= a for a, b in kills):
            wrong.append(f"{name}: {what}")
    # What the last kill left is completed, and what came last is taken, once the services have joined the last labels.
    calm = 0
    for _ in range(600):
        calm = 0 if run(options, root, "fullprocess") == BUSY else calm + 1
        if calm == 3:
            break
        time.sleep(0.1)
    else:
        wrong.append("the workspace is held for ever")
    seconds = time.monotonic() - begun
    for server in (steady, killed):
        server.process.send_signal(signal.SIGTERM)
        if server.process.wait(60) != 0:
            wrong.append(f"{server.name} did not end well")
    lines = check_log(root)
    labels = check_labels(options, root)
    check_rows(root, 3300 + sum(written))
    # The first quarter fills what is kept for reuse.
    warm = [s for s in samples if s[0] > options.duration / 4]
    half = len(warm) // 2
    (memory, later), (open_, open_later) = [[max(s[k] for s in part) for part in (warm[:half], warm[half:])] for k in (1, 2)]
    if later > 1.15 * memory + 4:
        wrong.append(f"the memory of steady grows: {memory:.0f}, then {later:.0f} MiB")
    if open_later > open_ + 8:
        wrong.append(f"the descriptors of steady grow: {open_}, then {open_later}")
    print(f"{seconds:.0f} s, {len(kills)} kills of a service")
    for name, n in sorted(counts.items()):
        print(f"  {name}: {n:,}")
    print(f"  rows in new files: {sum(written):,}; lines in the log of predictions: {lines:,}; "
          f"labels in {len(acknowledged):,} acknowledged batches, all in all {labels:,}")
    print(f"  steady: {memory:.0f} MiB and {open_} descriptors at most, later {later:.0f} MiB and {open_later}")
    for what in wrong[:20]:
        print("WRONG:", what)
    print(f"{len(wrong)} things were wrong" + (f"; everything is in {root}" if wrong else ""))
    if not wrong:
        shutil.rmtree(root)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
