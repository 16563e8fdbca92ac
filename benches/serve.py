#!/usr/bin/env python3
"""The CPU that a request costs the service, beside two peers, in turn.

    cargo build --release -p app -p first_run && python3 benches/serve.py [--rounds 5] [--seconds 3] [--axum PATH]

In each round every contestant answers each load in turn, so that all meet the same noise: `one row` and
`1,000 rows` of JSON by `POST`. The peers are a tuned FastAPI (`peers/serve_fastapi.py`: orjson, numpy,
uvicorn with uvloop and httptools, two workers, no log), and, with `--axum`, a program of axum alone that
answers `GET /hello` and is given a port as its argument (`peers/serve_axum.rs` says how to build it). The service runs as it is installed, with its log of requests. Printed are medians and the ratio of every round, in microseconds of user and system time of the
server's processes per request. Needs `wrk`, and for FastAPI a Python with fastapi, uvicorn[standard], orjson and numpy.
"""
import argparse, json, os, pathlib, re, shutil, signal, socket, statistics, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROW = {"lastmonth_activity": 234, "lastyear_activity": 6540, "number_of_employees": 67}


def tree(pid):
    found = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        for child in open(f"/proc/{pid}/task/{task}/children").read().split():
            found += tree(int(child))
    return found


def cpu(pid):
    """Seconds of user and system time, to the nanosecond, of a process and those below it."""
    total = 0
    for process in tree(pid):
        for task in os.listdir(f"/proc/{process}/task"):
            try:
                total += int(open(f"/proc/{process}/task/{task}/schedstat").read().split()[0])
            except OSError:
                pass
    return total / 1e9


class Contestant:
    def __init__(self, name, port, command, paths, folder):
        self.name, self.port, self.paths = name, port, paths
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=open(folder / f"{name}.log", "ab"))
        for _ in range(1000):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        sys.exit(f"{name} does not start: see {folder}/{name}.log")

    def run(self, load, folder, seconds, connections):
        """Microseconds of CPU for a request, requests in a second, the 99th percentile in milliseconds."""
        url = f"http://127.0.0.1:{self.port}{self.paths[load]}"
        before = cpu(self.process.pid)
        out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", folder / f"{load}.lua", url],
                             capture_output=True, text=True).stdout
        found = re.search(r"RES (\d+) (\d+) (\d+) (\d+)", out)
        if not found or int(found[4]):
            sys.exit(f"{self.name}, {load}: {out}")
        requests, duration, p99 = (int(n) for n in found.groups()[:3])
        return (cpu(self.process.pid) - before) / requests * 1e6, requests / duration * 1e6, p99 / 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--axum", help="a program that serves /hello by axum alone")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "target/release")
    parser.add_argument("--before", type=pathlib.Path, help="an earlier build of ours, to compare with")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="serve-"))
    for name, body in (("one", ROW), ("many", [dict(ROW, lastmonth_activity=i) for i in range(1000)])):
        (folder / f"{name}.lua").write_text(
            f'wrk.method="POST"\nwrk.headers["Content-Type"]="application/json"\nwrk.body=[==[{json.dumps(body)}]==]\n' + DONE)
    (folder / "hello.lua").write_text(DONE)
    config = folder / "config.json"
    shutil.copy(ROOT / "config.json", config)
    shutil.copytree(ROOT / "data", folder / "data")
    subprocess.run([options.bin / "first_run", "--quiet", "--config", config], check=True)
    contestants = []

    def ours(name, binary, port):
        return Contestant(name, port, [binary, "--config", config, "--port", str(port)],
                          {"one": "/prediction", "many": "/prediction", "hello": "/livez"}, folder)
    contestants.append(ours("ours", options.bin / "app", 8111))
    if options.before:
        contestants.append(ours("before", options.before / "app", 8112))
    if options.axum:
        contestants.append(Contestant("axum", 8113, [options.axum, "8113"], {"hello": "/hello"}, folder))
    peer = ROOT / "benches/peers"
    if subprocess.run([sys.executable, "-c", "import fastapi, uvicorn, orjson, numpy"], stderr=subprocess.DEVNULL).returncode == 0:
        command = [sys.executable, "-m", "uvicorn", "serve_fastapi:app", "--app-dir", peer, "--port", "8114", "--workers", "2",
                   "--log-level", "warning", "--no-access-log"]
        contestants.append(Contestant("fastapi", 8114, command, {"one": "/predict", "many": "/predict"}, folder))
        time.sleep(3)
    loads = {"one": 32, "many": 8, "hello": 32}
    found = {}
    for number in range(options.rounds + 1):
        for load, connections in loads.items():
            for contestant in contestants:
                if load in contestant.paths:
                    # The first round warms up.
                    figures = contestant.run(load, folder, options.seconds if number else 1, connections)
                    if number:
                        found.setdefault((load, contestant.name), []).append(figures)
    for (load, name), figures in found.items():
        median = [statistics.median(column) for column in zip(*figures)]
        print(f"{load:6} {name:8} {median[0]:8.1f} us of CPU, {median[1]:9,.0f} requests/s, p99 {median[2]:.2f} ms")
    for load, ours, theirs, peer in (("one row", "one", "one", "fastapi"), ("1,000 rows", "many", "many", "fastapi"),
                                     ("one row", "one", "hello", "axum"), ("one row", "one", "one", "before"), ("1,000 rows", "many", "many", "before")):
        if (theirs, peer) in found:
            pairs = [b[0] / a[0] for a, b in zip(found[ours, "ours"], found[theirs, peer])]
            print(f"{load}: {peer} / ours {statistics.median(pairs):.2f} [{min(pairs):.2f}..{max(pairs):.2f}], "
                  f"ours / {peer} {1 / statistics.median(pairs):.2f}")
    for contestant in contestants:
        contestant.process.send_signal(signal.SIGTERM)
        contestant.process.wait()


DONE = 'done=function(s,l,r) io.write(string.format("RES %d %d %d %d\\n",s.requests,s.duration,l:percentile(99),' \
       's.errors.status+s.errors.read+s.errors.connect+s.errors.timeout)) end\n'

if __name__ == "__main__":
    main()
