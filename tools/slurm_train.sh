#!/usr/bin/env bash
# Train as a Slurm job.
#   tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [arguments of train.py]
# GPUS, GPUS_PER_NODE and CPUS_PER_TASK default to 8, 8 and 5; SRUN_ARGS has further arguments of srun.
set -euo pipefail
if [ $# -lt 4 ]; then
    sed -n '2,4s/^# *//p' "$0" >&2
    exit 2
fi
tools=$(dirname "$0")
python=${PYTHON:-$(ls "$tools/../.venv/bin/python" 2>/dev/null || echo python)}
# shellcheck disable=SC2086 # SRUN_ARGS holds several
exec srun -p "$1" --job-name="$2" --gres=gpu:"${GPUS_PER_NODE:-8}" --ntasks="${GPUS:-8}" \
    --ntasks-per-node="${GPUS_PER_NODE:-8}" --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    "$python" -u "$tools/train.py" "$3" --work-dir="$4" --launcher slurm "${@:5}"
