#!/usr/bin/env python3
"""A year of cron, week by week, with the release binaries: what each drift rule costs and finds.

    cargo build --release && python3 benches/drift_year.py [--seeds 4] [--rules raw,every] > table

Every week brings 200 labelled rows of a known population, and `fullprocess` runs once. Three years:
nothing changes; the labels follow other weights from week 26 on; they move there slowly, from week 13 to
week 39. Printed are, for each rule, the mean over the seeds of

- trained: weeks in which a challenger was trained, before anything changed (all weeks, where nothing does);
- promoted: how many of them went live in that time;
- delay: weeks from the change (gradual: from its beginning) to the first challenger trained on a finding,
  and to the first one that went live;
- F1: of the live model on each week's rows before it could learn from them, over the whole year and over
  the last 20 weeks.

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


def run(binary, root):
    command = [str(BIN / binary), "--quiet", "--config", str(root / "config.json")]
    return subprocess.run(command, capture_output=True, text=True)


def one_year(year, rule, seed):
    """The decisions of a year: (new F1, asked for a challenger, promoted) for each week."""
    # The data are the same for every rule.
    r = random.Random(f"{year} {seed}")
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
        (root / "config.json").write_text(json.dumps(config))
        (root / "in/first.csv").write_text(rows(r, "f", FIRST, OLD))
        (root / "test/test.csv").write_text(rows(r, "t", TEST, OLD))
        for step in ("ingestion", "training", "scoring", "deployment"):
            done = run(step, root)
            if done.returncode:
                raise RuntimeError(f"{step}: {done.stderr}")
        weeks = []
        for week in range(WEEKS):
            (root / f"source/w{week:02}.csv").write_text(rows(r, f"w{week}-", ROWS, weights(year, week)))
            done = run("fullprocess", root)
            if done.returncode not in (0, 1, 3):
                raise RuntimeError(f"week {week}: {done.stderr}")
            newest = max((root / "out/decisions").glob("*.json"), key=lambda p: p.stat().st_mtime_ns)
            decision = json.loads(newest.read_text())
            drift = decision["drift"]
            asked = drift["drifted"] is True or drift["below_constant"]
            weeks.append((drift["new_f1"], asked, decision["outcome"] == "promoted"))
        return weeks
    finally:
        shutil.rmtree(root, ignore_errors=True)


def table(results, years, rules, seeds):
    mean = lambda values: f"{statistics.mean(values):.2f}" if values else "-"
    print("| year | rule | trained (% of weeks) | promoted | delay: trained | delay: live | F1, year | F1, last 20 weeks |")
    print("|---|---|---|---|---|---|---|---|")
    for year in years:
        for rule in rules:
            all_weeks = [results[year, rule, seed] for seed in range(seeds)]
            change = YEARS[year] if YEARS[year] is not None else WEEKS
            quiet = [w[:change] for w in all_weeks]
            trained = [100 * sum(a for _, a, _ in w) / change for w in quiet]
            promoted = [sum(p for _, _, p in w) for w in quiet]
            first = lambda w, at: next((i for i, week in enumerate(w[change:]) if week[at]), None)
            delays = [[d for w in all_weeks if (d := first(w, at)) is not None] for at in (1, 2)]
            of = lambda at: mean(delays[at]) + ("" if len(delays[at]) == seeds else f" ({len(delays[at])} of {seeds})") if change < WEEKS else "-"
            f1 = statistics.mean(f for w in all_weeks for f, _, _ in w)
            last = statistics.mean(f for w in all_weeks for f, _, _ in w[-20:])
            print(f"| {year} | {rule} | {statistics.mean(trained):.0f} | {mean(promoted)} | {of(0)} | {of(1)} | {f1:.4f} | {last:.4f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--rules", default=",".join(RULES))
    parser.add_argument("--years", default=",".join(YEARS))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--bin", default=str(ROOT / "target/release"))
    a = parser.parse_args()
    BIN = pathlib.Path(a.bin).resolve()
    rules, years = a.rules.split(","), a.years.split(",")
    tasks = [(y, rule, seed) for seed in range(a.seeds) for y in years for rule in rules]
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        results = dict(zip(tasks, pool.map(lambda t: one_year(*t), tasks)))
    table(results, years, rules, a.seeds)
