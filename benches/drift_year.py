#!/usr/bin/env python3
"""A year of cron, week by week, with the release binaries: what each drift rule costs and finds.

    cargo build --release && python3 benches/drift_year.py [--seeds 10] [--rules raw,every] > table

Every week brings 200 labelled rows of a known population, and `fullprocess` runs once. Three years:
nothing changes; the labels follow other weights from week 26 on; they move there slowly, from week 13 to
week 39. Printed are, for each rule, means over the seeds, each with its standard error:

- trained: weeks in which a challenger was trained, before anything changed (all weeks, where nothing does);
- promoted: how many of them went live in that time;
- delay: weeks from the change (gradual: from its beginning) to the first challenger trained on a finding,
  and to the first one that went live;
- F1: of the live model on each week's rows before it could learn from them, over the whole year and over
  the last 20 weeks, and the difference of the latter from the first rule's, seed by seed: all rules see the
  same rows, so that this one is the sharper comparison;
- under the constant: weeks of the last 20 in which the live model did worse than the best constant answer.

A rule with "+accept" is run with `fullprocess --accept`: the gate without its rule on constant answers. One
with "+forget" is run with a person who, six weeks after the change, moves all files from before it away and
runs `ingestion --rebuild --partial`.
One with "+auto" is run with `"training.window": "auto"`.
`--log FILE` keeps each finished year in FILE, from which an interrupted simulation is taken up.

Standard library only. docs/drift.md has the tables.
"""
import argparse, concurrent.futures, json, math, os, pathlib, random, shutil, statistics, subprocess, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
WEEKS, ROWS, TEST, FIRST = 52, 200, 300, 600
RULES = ["raw", "parametric", "nonparametric", "significant", "pooled", "every"]
# Where the year changes: the first week that differs.
YEARS = {"none": None, "sudden": 26, "gradual": 13}
OLD, NEW = (1.4, -0.9, 0.0), (0.2, 0.9, -1.0)


def weights(year, week):
    share = {"none": 0.0, "sudden": float(week >= 26), "gradual": min(1.0, max(0.0, (week - 13) / 26))}[year]
    return [a + share * (b - a) for a, b in zip(OLD, NEW)]


def rows(r, prefix, n, w):
    lines = ["id,x1,x2,x3,y"]
    for i in range(n):
        x = [r.gauss(0, 1) for _ in w]
        p = 1 / (1 + math.exp(-(sum(a * b for a, b in zip(w, x)) * 1.5 - 0.4)))
        lines.append(f"{prefix}{i},{x[0]:.4f},{x[1]:.4f},{x[2]:.4f},{int(r.random() < p)}")
    return "\n".join(lines) + "\n"


def run(binary, root, *more):
    command = [str(BIN / binary), "--quiet", "--config", str(root / "config.json"), *more]
    return subprocess.run(command, capture_output=True, text=True)


def one_year(year, rule, seed):
    """The decisions of a year, week by week."""
    # The data are the same for every rule.
    r = random.Random(f"{year} {seed}")
    rule, *words = rule.split("+")
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    root = pathlib.Path(tempfile.mkdtemp(prefix="drift-year-", dir=memory))
    try:
        for name in ("in", "source", "test"):
            (root / name).mkdir()
        config = {"input_folder_path": "in", "source_folder_path": "source", "output_folder_path": "out",
                  "test_data_path": "test", "output_model_path": "model", "prod_deployment_path": "live",
                  "schema": {"id": ["id"], "numeric": ["x1", "x2", "x3"], "target": "y"},
                  "ingestion": {"settle_seconds": 0}, "drift": {"rule": rule}, "limits": {"threads": 1},
                  "apicalls": {"url": "http://127.0.0.1:9"}}
        if "auto" in words:
            config["training"] = {"window": "auto"}
        (root / "config.json").write_text(json.dumps(config))
        (root / "in/first.csv").write_text(rows(r, "f", FIRST, OLD))
        (root / "test/test.csv").write_text(rows(r, "t", TEST, OLD))
        for step in ("ingestion", "training", "scoring", "deployment"):
            done = run(step, root)
            if done.returncode:
                raise RuntimeError(f"{step}: {done.stderr}")
        # Diagnostics and reports follow a decision and do not touch it, but take most of the time: they
        # are cut short by a folder where their first file belongs, and the run then ends with 1.
        first_file = root / "model/diagnostics.json"
        first_file.unlink(missing_ok=True)
        first_file.mkdir()
        weeks, last = [], None
        for week in range(WEEKS):
            (root / f"source/w{week:02}.csv").write_text(rows(r, f"w{week}-", ROWS, weights(year, week)))
            if "forget" in words and week == (YEARS[year] or WEEKS) + 6:
                for old in [root / "in/first.csv", *(root / f"source/w{w:02}.csv" for w in range(YEARS[year]))]:
                    old.unlink()
                done = run("ingestion", root, "--rebuild", "--partial")
                if done.returncode:
                    raise RuntimeError(f"week {week}: {done.stderr}")
            done = run("fullprocess", root, *["--accept"][:"accept" in words])
            if done.returncode not in (0, 1, 3):
                raise RuntimeError(f"week {week}: {done.stderr}")
            newest = max((root / "out/decisions").glob("*.json"), key=lambda p: p.stat().st_mtime_ns)
            decision = json.loads(newest.read_text())
            if newest.name == last:
                raise RuntimeError(f"week {week}: no decision: {done.stderr}")
            last = newest.name
            drift, gate = decision["drift"], decision["gate"]
            weeks.append({
                "f1": drift["new_f1"], "constant": drift["constant_f1"],
                "asked": drift["drifted"] is True or drift["below_constant"],
                "promoted": decision["outcome"] == "promoted",
                "gate": gate and [gate["champion_f1"], gate["challenger_f1"], gate["constant_f1"], gate["n"]],
            })
        return weeks
    finally:
        shutil.rmtree(root, ignore_errors=True)


def with_error(values, digits):
    """Mean and standard error."""
    if not values:
        return "-"
    mean = f"{statistics.mean(values):.{digits}f}"
    if len(values) < 2:
        return mean
    return f"{mean} ± {statistics.stdev(values) / math.sqrt(len(values)):.{digits}f}"


def table(results, years, rules, seeds):
    print(f"| year | rule | seeds | trained (% of weeks) | promoted | delay: trained | delay: live | F1, year | F1, last 20 weeks | less {rules[0]}'s | under the constant |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for year in years:
        first = [results.get((year, rules[0], seed)) for seed in range(seeds)]
        for rule in rules:
            found = [results.get((year, rule, seed)) for seed in range(seeds)]
            done = [w for w in found if w]
            change = YEARS[year] if YEARS[year] is not None else WEEKS
            quiet = [w[:change] for w in done]
            trained = [100 * sum(k["asked"] for k in w) / change for w in quiet]
            promoted = [sum(k["promoted"] for k in w) for w in quiet]
            since = lambda w, what: next((i for i, week in enumerate(w[change:]) if week[what]), None)

            def delay(what):
                delays = [d for w in done if (d := since(w, what)) is not None]
                all_of_them = "" if len(delays) == len(done) else f" ({len(delays)} of {len(done)})"
                return with_error(delays, 1) + all_of_them if change < WEEKS else "-"

            f1 = lambda w: statistics.mean(k["f1"] for k in w)
            both = [f1(w[-20:]) - f1(o[-20:]) for w, o in zip(found, first) if w and o]
            under = [sum(k["f1"] < k["constant"] for k in w[-20:]) for w in done]
            print(f"| {year} | {rule} | {len(done)} | {with_error(trained, 0)} | {with_error(promoted, 1)} | {delay('asked')} "
                  f"| {delay('promoted')} | {with_error([f1(w) for w in done], 3)} "
                  f"| {with_error([f1(w[-20:]) for w in done], 3)} "
                  f"| {'-' if rule == rules[0] else with_error(both, 3)} | {with_error(under, 1)} |")
        constant = [statistics.mean(k["constant"] for k in w[-20:]) for w in first if w]
        print(f"| {year} | (best constant answer) | | | | | | | {with_error(constant, 3)} | | |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rules", default=",".join(RULES))
    parser.add_argument("--years", default=",".join(YEARS))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--bin", default=str(ROOT / "target/release"))
    parser.add_argument("--log", type=pathlib.Path)
    a = parser.parse_args()
    BIN = pathlib.Path(a.bin).resolve()
    rules, years = a.rules.split(","), a.years.split(",")
    results = {}
    if a.log and a.log.exists():
        for line in a.log.read_text().splitlines():
            *key, weeks = json.loads(line)
            results[tuple(key)] = weeks
    tasks = [(y, rule, seed) for seed in range(a.seeds) for y in years for rule in rules]

    def work(task):
        if task not in results:
            results[task] = one_year(*task)
            if a.log:
                with a.log.open("a") as log:
                    log.write(json.dumps([*task, results[task]]) + "\n")

    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        list(pool.map(work, tasks))
    table(results, years, rules, a.seeds)
