#!/usr/bin/env bash
# A scheduler and two executors of mlops-cluster on this machine: up, first-run, down. For trying and for tests of
# commands; on real hosts each is started by systemd or in a container.
set -euo pipefail
cd "$(dirname "$0")/.."
state=$PWD/target/cluster/running
program=$PWD/target/cluster/release/mlops-cluster

alive() { [ -f "$state/$1.pid" ] && kill -0 "$(cat "$state/$1.pid")" 2> /dev/null; }

start() {
    local name=$1
    shift
    mkdir -p "$state/$name"
    nohup "$program" "$@" > "$state/$name.log" 2>&1 < /dev/null &
    echo $! > "$state/$name.pid"
}

# Waits until somebody listens at a port of this machine.
await() {
    for _ in $(seq 200); do
        (exec 3<> "/dev/tcp/127.0.0.1/$2") 2> /dev/null && return
        alive "$1" || break
        sleep 0.1
    done
    echo "$1 did not start; $state/$1.log has:" >&2
    cat "$state/$1.log" >&2
    exit 1
}

case ${1-} in
up)
    (cd crates/mlops-cluster && cargo build --release)
    if alive scheduler; then
        echo "The cluster is up already: make cluster-down stops it"
        exit
    fi
    start scheduler scheduler
    await scheduler 27050
    start executor1 executor --cores 1 --folder "$state/executor1"
    start executor2 executor --cores 1 --folder "$state/executor2" --port 27061
    await executor1 27051
    await executor2 27061
    echo "A scheduler at 127.0.0.1:27050 and two executors are up; their logs are in $state"
    ;;
first-run)
    alive scheduler || { echo "there is no cluster here: make cluster-up starts one" >&2; exit 1; }
    folder=$PWD/target/cluster/first-run
    mkdir -p "$folder"
    cat > "$folder/config.json" << CONFIG
{
  "input_folder_path": "$PWD/data/practicedata",
  "output_folder_path": "ingested",
  "test_data_path": "$PWD/data/testdata",
  "output_model_path": "model",
  "prod_deployment_path": "live",
  "engine": { "kind": "ballista", "scheduler": "127.0.0.1:27050", "range_mib": 0.01, "partitions": 4 }
}
CONFIG
    "$program" first_run --config "$folder/config.json"
    ;;
down)
    for name in executor1 executor2 scheduler; do
        if alive "$name"; then kill "$(cat "$state/$name.pid")"; fi
    done
    rm -rf "$state"
    echo "The cluster is down"
    ;;
*)
    echo "usage: packaging/cluster.sh up|first-run|down" >&2
    exit 2
    ;;
esac
