#!/bin/bash
# The smoke studies through a real SLURM on this one machine: two virtual nodes, each with two GPUs that are plain files.
# On the way one job is requeued, one node's daemon killed, and one of two processes of a run; all figures must be there
# at the end. 23 minutes on two cores.
#   tests/cluster/run.sh [STUDY ...]      as root; needs slurm-wlm and munge of Debian, and pip install -e ".[slurm]"
set -eu
cd "$(dirname "$0")/../.."
left_out() { echo "tests/cluster/run.sh is left out: $1"; exit 0; }
for program in slurmctld slurmd munged sbatch; do
    command -v $program >/dev/null || left_out "$program is not installed (apt-get install slurm-wlm munge)"
done
python=${PYTHON:-.venv/bin/python}
$python -c "import snakemake_executor_plugin_slurm" 2>/dev/null || left_out 'pip install -e ".[slurm]"'
[ "$(id -u)" = 0 ] || left_out "slurmd needs root"
[ ! -e /etc/slurm/slurm.conf ] || left_out "this machine has a SLURM of its own (/etc/slurm/slurm.conf)"

work=$(mktemp -d) host=$(hostname)
export TLKIT_RUNS=$work/runs TLKIT_PAPER=$work/paper TLKIT_STUDIES=$work/studies
mkdir -p $work/ctld $work/n1 $work/n2 $work/site $work/studies /run/munge
cp paper/studies/*.yaml tests/cluster/ranks.yaml $work/studies
touch $work/gpu0 $work/gpu1
sed "s#@WORK@#$work#g; s#@HOST@#$host#g" tests/cluster/slurm.conf >/etc/slurm/slurm.conf
echo "NodeName=n[1-2] Name=gpu File=$work/gpu[0-1]" >/etc/slurm/gres.conf
end() {
    for started in ${watcher:-} ${figures:-}; do kill "$started" 2>/dev/null || true; done
    scancel --state=PENDING 2>/dev/null && scancel --state=RUNNING 2>/dev/null || true
    for _ in $(seq 40); do [ "$(squeue -h 2>/dev/null)" ] || break; sleep 1; done
    for name in slurmctld slurmd_n1 slurmd_n2; do [ -f $work/$name.pid ] && kill "$(cat $work/$name.pid)" 2>/dev/null; done
    rm -f /etc/slurm/slurm.conf /etc/slurm/gres.conf
    [ "${keep:-}" ] || rm -rf "$work"
}
trap end EXIT
trap 'echo "$0: line $LINENO failed"' ERR
[ -f /etc/munge/munge.key ] || { dd if=/dev/urandom of=/etc/munge/munge.key bs=1 count=1024 status=none; }
chown -R munge: /etc/munge /run/munge && chmod 400 /etc/munge/munge.key
pgrep -x munged >/dev/null || munged --force
node() { slurmd -N "$1"; }
slurmctld && node n1 && node n2
for _ in $(seq 30); do [ "$(sinfo -h -t idle -o %D)" = 2 ] && break; sleep 1; done
sinfo -o "%P %D %T %G"

cat >$work/site/config.yaml <<Y
$(grep -v "^#\|^latency\|^retries" tlkit/workflow/profiles/slurm/config.yaml)
latency-wait: 30
retries: 3
slurm-init-seconds-before-status-checks: 2
seconds-between-status-checks: 3
slurm-status-command: squeue
Y
began=$(date +%s)
say() { echo "$(($(date +%s) - began)) s: $*"; }
until_there() { for _ in $(seq "$1"); do ${*:2} >/dev/null 2>&1 && return; sleep 1; done; say "waited in vain: ${*:2}"; exit 1; }
$python -m tlkit figures --study "ranks ${*:-boundaries radiologynet}" --scale smoke --profile $work/site >$work/log 2>&1 &
figures=$!
$python -m tlkit status --watch >$work/watched 2>&1 &
watcher=$!

# One of the two processes of a run, once it has kept a state: both are started again, from there.
kept() { ls $TLKIT_RUNS/pretrain-imagenet-*.partial/checkpoint/last.pt; }
ranks() { for p in $(pgrep -f -- "-m tlkit run $TLKIT_RUNS"); do
    tr '\0' '\n' </proc/$p/environ 2>/dev/null | grep -qx RANK=1 && echo $p; done | grep .; }
until_there 1200 kept && until_there 60 ranks
kill -9 "$(ranks | head -1)" && say "killed rank 1 of a pretraining by two processes"
logs() { find $TLKIT_RUNS -path '*slurm_logs*' -name '*.log'; }
lost() { grep -q "a process was lost" $(logs); }
until_there 300 lost && say "$(grep -h -m1 -o "a process was lost.*" $(logs) | cut -c1-100)"
until_there 60 grep running $work/watched && grep -m1 running $work/watched

# A job that is requeued, and a node whose daemon dies for a while under another one.
first() { squeue -h -t R -o "%A %N" | grep "$1" | head -1 | cut -d' ' -f1 | grep .; }
until_there 1200 first n1
job=$(first n1) && sleep 3 && scontrol requeue "$job" && say "requeued job $job of node n1"
until_there 1200 first n2
kill -9 "$(cat $work/slurmd_n2.pid)" && say "killed the daemon of node n2 under job $(first n2)"
sleep 45 && node n2 && say "node n2 is back"
wait $figures && state=0 || state=$?
kill $watcher || true
figures= watcher=
say "all jobs have ended"
tail -n 16 $work/log
sinfo -o "%P %D %T %G"
for told in "resuming after epoch" "epoch 1/"; do
    grep -q "$told" $(logs) || { echo "no job's log says '$told'"; state=1; }
done
exit $state
