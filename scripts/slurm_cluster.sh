#!/usr/bin/env bash
# A real SLURM of a few nodes on this host, in a folder of its own: for tests and for trying things.
#   scripts/slurm_cluster.sh install FOLDER          Debian's slurm-wlm and munge; its log goes there
#   scripts/slurm_cluster.sh start FOLDER [NODES]    then: source FOLDER/env.sh
#   scripts/slurm_cluster.sh stop FOLDER
#   scripts/slurm_cluster.sh stop-node|start-node FOLDER NODE    stopping kills its jobs as well
#   scripts/slurm_cluster.sh stop-controller|start-controller FOLDER
# Nodes are called n1, n2, …; each is a daemon of its own with all CPUs of the host and two GPUs that
# do not exist (so that asking for some can be tried). No accounting: `sacct` says that it is off.
# Needs root, as munge and SLURM's daemons do here.
# MIN_JOB_AGE_S: how long the controller remembers a job that has ended (300).
# SLURMD_TIMEOUT_S: how long a node may be silent before it is down (10).
set -euo pipefail

usage() { sed -n '2,7s/^# *//p' "$0" >&2; exit 2; }
[ $# -ge 2 ] || usage
command=$1
folder=$(mkdir -p "$2" && cd "$2" && pwd)
third=${3:-}
export SLURM_CONF=$folder/slurm.conf

install() {
    local missing=0
    for program in slurmctld slurmd munged sbatch; do
        command -v "$program" >/dev/null || missing=1
    done
    [ "$missing" = 0 ] && return
    [ "$(id -u)" = 0 ] || { echo "slurm-wlm and munge are missing, and only root can install them" >&2; exit 3; }
    command -v apt-get >/dev/null || { echo "slurm-wlm and munge are missing, and there is no apt-get" >&2; exit 3; }
    export DEBIAN_FRONTEND=noninteractive
    local log=$folder/install.log
    { apt-get install -y --no-install-recommends slurm-wlm munge >"$log" 2>&1 \
        || { apt-get update && apt-get install -y --no-install-recommends slurm-wlm munge; } >>"$log" 2>&1; } \
        || { echo "slurm-wlm and munge cannot be installed: $log" >&2; exit 3; }
}

free_ports() {
    "${PYTHON:-python3}" - "$1" <<'PYTHON'
import socket, sys

held = [socket.socket() for _ in range(int(sys.argv[1]))]
for one in held:
    one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in held))
PYTHON
}

write_configuration() {
    local count=$1 ports cpus memory_mib host i
    read -r -a ports <<<"$(free_ports $((count + 1)))"
    cpus=$(nproc)
    memory_mib=$(awk '/MemTotal/ {print int($2 / 1024 / 2)}' /proc/meminfo)
    host=$(hostname -s)
    cat >"$folder/slurm.conf" <<CONF
ClusterName=llem
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$folder/munge.sock
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmctldPidFile=$folder/slurmctld.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdSpoolDir=$folder/spool.%n
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmdLogFile=$folder/slurmd.%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
GresTypes=gpu
MailProg=/bin/true
ReturnToService=2
SlurmdTimeout=${SLURMD_TIMEOUT_S:-10}
MinJobAge=${MIN_JOB_AGE_S:-300}
KillWait=5
InactiveLimit=0
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=200000,bf_interval=1
CONF
    for ((i = 1; i <= count; i++)); do
        echo "NodeName=n$i NodeHostname=$host NodeAddr=127.0.0.1 Port=${ports[$i]} CPUs=$cpus" \
            "RealMemory=$memory_mib Gres=gpu:2 Feature=here State=UNKNOWN" >>"$folder/slurm.conf"
        # A file for each GPU: without one SLURM counts none.
        touch "$folder/n$i.gpu0" "$folder/n$i.gpu1"
        echo "NodeName=n$i Name=gpu File=$folder/n$i.gpu[0-1]" >>"$folder/gres.conf"
    done
    echo "PartitionName=main Nodes=n[1-$count] Default=YES MaxTime=1-00:00:00 State=UP" >>"$folder/slurm.conf"
    cat >"$folder/env.sh" <<ENV
export SLURM_CONF=$folder/slurm.conf
ENV
}

start_munge() {
    mkdir -p "$folder/munge"
    chmod 755 "$folder/munge"
    head -c 1024 /dev/urandom >"$folder/munge/key"
    chmod 400 "$folder/munge/key"
    munged --force --key-file "$folder/munge/key" --socket "$folder/munge.sock" \
        --pid-file "$folder/munged.pid" --log-file "$folder/munge/log" \
        --seed-file "$folder/munge/seed" >"$folder/munge/start.log" 2>&1 \
        || { cat "$folder/munge/start.log" >&2; exit 1; }
}

# Whether a process belongs to this cluster, and to a node of it where one is given.
is_ours() {
    local variables
    variables=$({ tr '\0' '\n' <"/proc/$1/environ"; } 2>/dev/null) || return 1
    grep -qx "SLURM_CONF=$folder/slurm.conf" <<<"$variables" || return 1
    [ -z "${2:-}" ] || grep -qx "SLURMD_NODENAME=$2" <<<"$variables"
}

# Ends what runs on a node, or on all of them: jobs and the step daemons that watch them.
kill_jobs() {
    local entry pid parent steps=() jobs=()
    for entry in /proc/[0-9]*; do
        pid=${entry#/proc/}
        is_ours "$pid" "${1:-}" && grep -qz '^SLURM_JOB_ID=' "$entry/environ" 2>/dev/null || continue
        [ "$pid" != "$$" ] || continue
        jobs+=("$pid")
        parent=$(awk '{print $4}' "$entry/stat" 2>/dev/null) || continue
        grep -q slurmstepd "/proc/$parent/comm" 2>/dev/null && steps+=("$parent")
    done
    # The step daemons first, so that they cannot report.
    for pid in "${steps[@]}" "${jobs[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
}

is_alive() { grep -q '^State:.[^Z]' "/proc/$1/status" 2>/dev/null; }

end_by_file() {
    local pid
    [ -e "$1" ] || return 0
    pid=$(cat "$1")
    kill "-${2:-TERM}" "$pid" 2>/dev/null || true
    for _ in $(seq 50); do is_alive "$pid" || break; sleep 0.1; done
    kill -KILL "$pid" 2>/dev/null || true
    rm -f "$1"
}

start_node() { mkdir -p "$folder/spool.$1"; slurmd -N "$1" 2>>"$folder/slurmd.$1.start.log"; }

start() {
    local count=${third:-2} i program
    [ ! -e "$folder/slurm.conf" ] || { echo "$folder has a cluster already; stop it first" >&2; exit 1; }
    for program in slurmctld slurmd munged sbatch; do
        command -v "$program" >/dev/null || { echo "there is no $program; $0 install FOLDER" >&2; exit 3; }
    done
    mkdir -p "$folder/state"
    write_configuration "$count"
    start_munge
    slurmctld 2>"$folder/slurmctld.start.log"
    for ((i = 1; i <= count; i++)); do start_node "n$i"; done
    for _ in $(seq 100); do
        [ "$(sinfo -h -t idle -o %D 2>/dev/null)" = "$count" ] && return
        sleep 0.2
    done
    { sinfo; tail -n 20 "$folder/slurmctld.log"; } >&2 || true
    stop
    exit 1
}

stop() {
    local file
    kill_jobs
    for file in "$folder"/slurmd.*.pid "$folder/slurmctld.pid" "$folder/munged.pid"; do
        end_by_file "$file" KILL
    done
    rm -f "$folder/slurm.conf"
}

case $command in
    install) install ;;
    start) start ;;
    stop) stop ;;
    # As if its power had been cut: nobody tells the controller.
    stop-node) end_by_file "$folder/slurmd.$third.pid" KILL; kill_jobs "$third" ;;
    start-node) start_node "$third" ;;
    stop-controller) end_by_file "$folder/slurmctld.pid" ;;
    start-controller) slurmctld 2>>"$folder/slurmctld.start.log" ;;
    *) usage ;;
esac
