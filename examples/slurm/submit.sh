#!/bin/bash
# From a recipe to a dataset on a SLURM cluster:
#
#     ./submit.sh recipe.yaml /shared/results/plan 16
#
# Run it in the folder that paths in the recipe start from, on a file system that all nodes share.
set -euo pipefail
recipe=$1 plan=$2 tasks=${3:-16}
here=$(cd "$(dirname "$0")" && pwd)

preprocess plan "$recipe" --plan "$plan"
array=$(sbatch --parsable --array="0-$((tasks - 1))" "$here/make_shards.sbatch" "$plan")
# afterany: when a task failed, finish says which shards are missing.
sbatch --dependency="afterany:$array" "$here/finish.sbatch" "$plan"
echo "preprocess status $plan   shows how far it is"
