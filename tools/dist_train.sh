#!/usr/bin/env bash
# Train on several GPUs, or, where there is none, in several processes on the CPU.
#   tools/dist_train.sh CONFIG PROCESSES [arguments of train.py]
# For several machines set NNODES, NODE_RANK, MASTER_ADDR and PORT on each of them.
set -euo pipefail
if [ $# -lt 2 ]; then
    sed -n '2,4s/^# *//p' "$0" >&2
    exit 2
fi
tools=$(dirname "$0")
python=${PYTHON:-$(ls "$tools/../.venv/bin/python" 2>/dev/null || echo python)}
exec "$python" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --nproc_per_node="$2" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    "$tools/train.py" "$1" --launcher pytorch "${@:3}"
