#!/bin/bash
# The smoke study through a real SLURM on this one machine: two virtual nodes, one with two GPUs that nothing uses.
# One job is requeued and one node's daemon killed on the way; all figures must be there at the end.
#   tests/cluster/run.sh [STUDY ...]      as root; needs slurm-wlm and munge of Debian, and pip install -e ".[slurm]"
set -eu
cd "$(dirname "$0")/../.."
for program in slurmctld slurmd munged sbatch; do
    command -v $program >/dev/null || { echo "left out: $program is not installed (apt-get install slurm-wlm munge)"; exit 0; }
done
python=.venv/bin/python
$python -c "import snakemake_executor_plugin_slurm" 2>/dev/null || { echo 'left out: pip install -e ".[slurm]"'; exit 0; }
[ "$(id -u)" = 0 ] || { echo "left out: slurmd needs root"; exit 0; }

[ ! -e /etc/slurm/slurm.conf ] || { echo "left out: this machine has a SLURM of its own"; exit 0; }

work=$(mktemp -d) host=$(hostname)
export TLKIT_RUNS=$work/runs TLKIT_PAPER=$work/paper
touch $work/gpu0 $work/gpu1
sed "s#@WORK@#$work#g; s#@HOST@#$host#g" tests/cluster/slurm.conf >/etc/slurm/slurm.conf
echo "NodeName=n2 Name=gpu File=$work/gpu[0-1]" >/etc/slurm/gres.conf
mkdir -p $work/ctld $work/n1 $work/n2 $work/site /run/munge
end() {
    scancel --state=RUNNING,PENDING 2>/dev/null || true
    for name in slurmctld slurmd_n1 slurmd_n2; do [ -f $work/$name.pid ] && kill "$(cat $work/$name.pid)" 2>/dev/null; done
    rm -f /etc/slurm/slurm.conf /etc/slurm/gres.conf
    [ "${keep:-}" ] || rm -rf "$work"
}
trap end EXIT
[ -f /etc/munge/munge.key ] || { dd if=/dev/urandom of=/etc/munge/munge.key bs=1 count=1024 status=none; }
chown -R munge: /etc/munge /run/munge && chmod 400 /etc/munge/munge.key
pgrep -x munged >/dev/null || munged --force
node() { slurmd -N "$1"; }
slurmctld && node n1 && node n2
for _ in $(seq 30); do [ "$(sinfo -h -t idle -o %D)" = 2 ] && break; sleep 1; done
sinfo

cat >$work/site/config.yaml <<Y
$(grep -v "^#\|^latency\|^retries" tlkit/workflow/profiles/slurm/config.yaml)
latency-wait: 30
retries: 2
slurm-init-seconds-before-status-checks: 2
seconds-between-status-checks: 3
slurm-status-command: squeue
Y
$python -m tlkit figures --study "${*:-boundaries}" --scale smoke --profile $work/site >$work/log 2>&1 &
figures=$!
first() { squeue -h -t R -o "%A %N" | grep "$1" | head -1 | cut -d' ' -f1; }
for _ in $(seq 120); do [ "$(first n1)" ] && break; sleep 1; done
job=$(first n1) && sleep 3 && scontrol requeue "$job" && echo "requeued job $job of node n1"
for _ in $(seq 120); do [ "$(first n2)" ] && break; sleep 1; done
kill -9 "$(cat $work/slurmd_n2.pid)" && echo "killed the daemon of node n2 under job $(first n2)"
sleep 45 && node n2 && echo "node n2 is back"
wait $figures && state=0 || state=$?
tail -n 12 $work/log
sinfo
exit $state
