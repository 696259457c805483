#!/usr/bin/env bash
# Starts a Docker engine of its own on a private socket, and ends it: for tests, as root.
#   scripts/docker_engine.sh start <folder>    prints the value for DOCKER_HOST; 0 when it answers
#   scripts/docker_engine.sh stop <folder>
# Where dockerd is missing and this is root on a Debian, it is installed first. Where an engine
# cannot be started, the reason is printed and the exit code is 3.
set -euo pipefail
action=$1
folder=$(mkdir -p "$2" && cd "$2" && pwd)
socket="unix://$folder/docker.sock"

cannot() {
    echo "no Docker engine: $1" >&2
    exit 3
}

stop() {
    [ -s "$folder/pid" ] || return 0
    local pid
    pid=$(cat "$folder/pid")
    kill "$pid" 2>/dev/null || return 0
    for _ in $(seq 100); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
}

start() {
    [ "$(id -u)" -eq 0 ] || cannot "it needs root"
    if ! command -v dockerd >/dev/null; then
        command -v apt-get >/dev/null || cannot "dockerd is not installed"
        apt-get install -y --no-install-recommends docker.io >"$folder/install.log" 2>&1 ||
            { apt-get update && apt-get install -y --no-install-recommends docker.io; } \
                >"$folder/install.log" 2>&1 || cannot "docker.io cannot be installed"
    fi
    # No bridge and no rules: containers have no network or the host's, and nothing here changes.
    setsid dockerd --iptables=false --ip6tables=false --bridge=none -H "$socket" \
        --data-root "$folder/data" --exec-root "$folder/exec" -p "$folder/pid" \
        >"$folder/log" 2>&1 </dev/null &
    local started=$!
    for _ in $(seq 300); do
        if docker -H "$socket" version >/dev/null 2>&1; then
            echo "$socket"
            return
        fi
        kill -0 "$started" 2>/dev/null || cannot "$(tail -n 1 "$folder/log")"
        sleep 0.1
    done
    stop
    cannot "it did not answer within 30 s ($folder/log)"
}

case $action in
    start) start ;;
    stop) stop ;;
    *) echo "usage: $0 start|stop <folder>" >&2; exit 2 ;;
esac
