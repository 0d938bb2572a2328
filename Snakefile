# The DAG of one study: data -> pretrain -> fine-tune -> figures. `make figures` calls it; each node is
# `python -m tlkit job NAME`, which does only what is not done yet. The working directory is runs/studies/STUDY/SCALE.
import sys

from tlkit import studies
from tlkit.workflow import jobs

study = studies.load(config["study"], config["scale"], config.get("data", ""))
JOBS = {job.output: job for job in jobs(study)}
WHERE = f"--study {study.name} --scale {study.scale} --data {study.spec['data']}"
KINDS = ("figure", "finetune", "pretrain", "data")  # what others wait for goes first


rule all:
    input:
        list(JOBS),


for priority_of_kind, kind in enumerate(KINDS):

    rule:
        name:
            kind
        input:
            lambda wildcards: JOBS[wildcards.output].needs,
        output:
            "{output}",
        wildcard_constraints:
            output="|".join(o for o, job in JOBS.items() if job.name.startswith(f"{kind}-")),
        params:
            name=lambda wildcards: JOBS[wildcards.output].name,
            python=sys.executable,
            where=WHERE,
        resources:
            gpu=1,
        priority: priority_of_kind
        shell:
            "{params.python} -m tlkit job {params.name} {params.where}"
