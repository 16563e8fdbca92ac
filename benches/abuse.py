#!/usr/bin/env python3
"""How long good clients wait while others attack the service: p99 under each attack beside p99 without.

    cargo build --release && python3 benches/abuse.py [--seconds 10] [--bin target/release]

A good client asks for one row a hundred times a second, each time on a new connection, without an attack and
under each attack in turn, several rounds. Printed are medians over the rounds of the 50th and the 99th
percentile, and the ratio of the latter to that without. The peak of the server's memory comes last.

Standard library only. Not for what is answered: `bins/app/tests/abuse.rs` tests that.
"""
import argparse, gzip, json, multiprocessing, os, pathlib, random, socket, statistics, subprocess, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADER = "id,x1,x2,x3,y\n"
ROW = b'{"x1": 0.5, "x2": -1, "x3": 2}'


def rows(seed, n):
    r = random.Random(seed)
    text = HEADER
    for i in range(n):
        x = [r.gauss(0, 1) for _ in range(3)]
        text += f"{seed}-{i}," + ",".join(f"{v:.4f}" for v in x) + f",{int(x[0] - x[1] + r.gauss(0, 1) > 0)}\n"
    return text


def post(path, body, more=b""):
    return (b"POST " + path + b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n"
            + more + b"content-length: %d\r\n\r\n" % len(body) + body)


def good(port, seconds, out):
    """Asks a hundred times a second; puts all times and the number of requests without a prediction into `out`."""
    times, refused, end, request = [], 0, time.monotonic() + seconds, post(b"/prediction", ROW)
    while time.monotonic() < end:
        begun, answer = time.monotonic(), b""
        try:
            with socket.create_connection(("127.0.0.1", port), 30) as s:
                s.sendall(request)
                while more := s.recv(4096):
                    answer += more
        except OSError:
            # No answer within the time, or the connection broke: it counts, with the time that was waited.
            answer = b""
        refused += not answer.startswith(b"HTTP/1.1 200 ")
        times.append(time.monotonic() - begun)
        time.sleep(max(0, 0.01 - times[-1]))
    out.put((times, refused))


def quiet(port):
    time.sleep(3600)


def idle(port):
    held = []
    for n in range(5000):
        held.append(socket.create_connection(("127.0.0.1", port)))
        if n % 2:
            held[-1].sendall(b"GET /scoring HTTP/1.1\r\nhost: ")
    time.sleep(3600)


def slow(port):
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(500)]
    for s in held:
        s.sendall(post(b"/prediction", ROW * 10)[:150])
    while True:
        for s in held:
            try:
                s.sendall(b" ")
            except OSError:
                pass
        time.sleep(1)


def deaf(port):
    held = []
    while True:
        s = socket.create_connection(("127.0.0.1", port))
        s.settimeout(0.05)
        try:
            s.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n" * 200)
        except OSError:
            pass
        held = held[-300:] + [s]
        time.sleep(0.02)


def sent(port, request):
    try:
        with socket.create_connection(("127.0.0.1", port), 30) as s:
            s.sendall(request)
            s.recv(100)
    except OSError:
        pass


def bombs(port):
    bomb = gzip.compress(b" " * (1 << 20), 9) * 1024
    while True:
        sent(port, post(b"/prediction", bomb, b"content-encoding: gzip\r\n"))


def nesting(port):
    body = b"[" * 7_000_000
    while True:
        sent(port, post(b"/prediction", body))


def garbage(port):
    while True:
        sent(port, os.urandom(2000))


ATTACKS = {"none": quiet, "5,000 idle connections": idle, "500 slow bodies": slow, "clients that do not read": deaf,
           "bombs of 1 GiB": bombs, "7,000,000 levels": nesting, "garbage": garbage}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "target/release")
    options = parser.parse_args()
    root = pathlib.Path(tempfile.mkdtemp(prefix="abuse-"))
    (root / "in").mkdir()
    (root / "test").mkdir()
    (root / "config.json").write_text(json.dumps({
        "input_folder_path": "in", "output_folder_path": "out", "test_data_path": "test",
        "output_model_path": "model", "prod_deployment_path": "live", "ingestion": {"settle_seconds": 0},
        "schema": {"id": ["id"], "numeric": ["x1", "x2", "x3"], "target": "y"},
        "service": {"max_connections": 6000, "body_timeout_seconds": 5, "header_timeout_seconds": 600}}))
    (root / "in/first.csv").write_text(rows("f", 2000))
    (root / "test/test.csv").write_text(rows("t", 500))
    for step in ("ingestion", "training", "scoring", "deployment"):
        subprocess.run([options.bin / step, "--quiet", "--config", root / "config.json"], check=True)
    app = subprocess.Popen([options.bin / "app", "--port", "0", "--config", root / "config.json"],
                           stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    for line in app.stderr:
        if "listening on http://" in line:
            port = int(line.rsplit(":", 1)[1].strip())
            break
    multiprocessing.Process(target=lambda: [None for _ in app.stderr], daemon=True).start()
    found = {name: [] for name in ATTACKS}
    for _ in range(options.rounds):
        for name, attack in ATTACKS.items():
            attacker = multiprocessing.Process(target=attack, args=(port,), daemon=True)
            attacker.start()
            time.sleep(2)
            out = multiprocessing.Queue()
            client = multiprocessing.Process(target=good, args=(port, options.seconds, out))
            client.start()
            times, refused = out.get(timeout=options.seconds + 120)
            times.sort()
            client.join()
            attacker.kill()
            attacker.join()
            found[name].append((times[len(times) // 2], times[len(times) * 99 // 100], refused))
            time.sleep(1)
    print("| attack | p50 ms | p99 ms | p99 beside none | refused |\n|---|---:|---:|---:|---:|")
    quiet99 = [p99 for _, p99, _ in found["none"]]
    for name, triples in found.items():
        ratio = statistics.median(p99 / q for (_, p99, _), q in zip(triples, quiet99))
        p50, p99 = (statistics.median(1000 * pair[k] for pair in triples) for k in (0, 1))
        print(f"| {name} | {p50:.2f} | {p99:.2f} | {ratio:.1f} | {sum(t[2] for t in triples)} |")
    status = pathlib.Path(f"/proc/{app.pid}/status").read_text()
    print([line for line in status.splitlines() if line.startswith("VmHWM")][0])
    app.terminate()
    app.wait()


if __name__ == "__main__":
    main()
