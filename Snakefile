# The DAG of some studies: data -> pretrain -> fine-tune -> figures. `python -m tlkit figures` writes its jobs to
# dag.json below runs/studies and calls Snakemake there. Each job is `python -m tlkit job NAME --record`, which
# does only what is not done yet, and writes down a failure instead of ending with one: the others go on.
import os
import signal
import threading
import time


def end_with(parent):
    """When the process that called Snakemake is gone, however it ended, end the jobs and Snakemake, too."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os.killpg(0, signal.SIGKILL)


if os.getpgid(0) == os.getpid():  # started by tlkit as the leader of a process group of its own
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()


rule all:
    input:
        [job["output"] for job in config["jobs"]],


for job in config["jobs"]:

    rule:
        name:
            job["name"]
        input:
            job["needs"],
        output:
            job["output"],
        params:
            command=lambda wildcards, command=job["command"]: command,
        resources:
            **job["resources"],
        threads: job["threads"]
        priority: job["priority"]
        shell:
            "{params.command}"
