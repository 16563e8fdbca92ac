#!/usr/bin/env bash
# Hosts of their own for a cluster on this machine: network namespaces with addresses 10.77.0.1 to 10.77.0.5 for
# scheduler, executor1, executor2, executor3 and driver, of whose packets 1 % are lost and all take 50 ms. Only root
# may make them. All hosts see the same files. Not for what runs on them: see cluster/hosts.rs.
set -euo pipefail
hosts=(scheduler executor1 executor2 executor3 driver)
delay_ms=50
loss_percent=1

usage() {
    echo "usage: hosts.sh check | up PREFIX FOLDER | down PREFIX FOLDER" >&2
    exit 2
}

# The way in which packets are lost and late: by the kernel, or by a program that carries them.
has_netem() {
    local name=$1-probe found=no
    ip netns add "$name"
    if ip netns exec "$name" tc qdisc add dev lo root netem delay 1ms 2> /dev/null; then found=yes; fi
    ip netns del "$name"
    [ "$found" = yes ]
}

address() { ip -n "$1-$2" addr add "10.77.0.$3/24" dev eth0 && ip -n "$1-$2" link set eth0 up; }

down() {
    local prefix=$1 folder=$2
    if [ -f "$folder/cable.pid" ]; then
        kill "$(cat "$folder/cable.pid")" 2> /dev/null || true
        rm "$folder/cable.pid"
    fi
    for host in "${hosts[@]}" net; do
        if ip netns list | grep -q "^$prefix-$host\b"; then ip netns del "$prefix-$host"; fi
    done
}

case ${1-} in
check)
    [ "$(id -u)" = 0 ] || { echo "only root may make network namespaces"; exit 1; }
    command -v ip > /dev/null || { echo "there is no ip (the package iproute2)"; exit 1; }
    name=mlops-check-$$
    ip netns add "$name" 2> /dev/null || { echo "network namespaces are not permitted here"; exit 1; }
    ip netns del "$name"
    if ! has_netem "$name" && ! { command -v python3 > /dev/null && [ -c /dev/net/tun ]; }; then
        echo "the kernel has no netem, and there is no python3 or no /dev/net/tun to do without"
        exit 1
    fi
    ;;
up)
    [ $# = 3 ] || usage
    prefix=$2 folder=$3
    trap 'down "$prefix" "$folder"' ERR
    for host in "${hosts[@]}"; do
        ip netns add "$prefix-$host"
        ip -n "$prefix-$host" link set lo up
    done
    number=0
    if has_netem "$prefix"; then
        ip netns add "$prefix-net"
        ip -n "$prefix-net" link add switch type bridge
        ip -n "$prefix-net" link set switch up
        for host in "${hosts[@]}"; do
            number=$((number + 1))
            ip -n "$prefix-net" link add "port$number" type veth peer name eth0 netns "$prefix-$host"
            ip -n "$prefix-net" link set "port$number" master switch up
            address "$prefix" "$host" $number
            ip netns exec "$prefix-$host" tc qdisc add dev eth0 root netem delay "${delay_ms}ms" loss "$loss_percent%"
        done
        echo "netem"
    else
        ports=()
        for _ in "${hosts[@]}"; do
            number=$((number + 1))
            ports+=("mlops$$p$number")
        done
        python3 "$(dirname "$0")/hosts_cable.py" $delay_ms $loss_percent "${ports[@]}" \
            > "$folder/cable.log" 2>&1 < /dev/null &
        echo $! > "$folder/cable.pid"
        for _ in $(seq 100); do
            if grep -q ready "$folder/cable.log"; then break; fi
            sleep 0.1
        done
        number=0
        for host in "${hosts[@]}"; do
            ip link set "${ports[$number]}" netns "$prefix-$host" name eth0
            number=$((number + 1))
            address "$prefix" "$host" $number
        done
        echo "cable"
    fi
    ;;
down)
    [ $# = 3 ] || usage
    down "$2" "$3"
    ;;
*)
    usage
    ;;
esac
