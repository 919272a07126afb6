#!/usr/bin/env bash
# Runs the measurements of this bundle: bash run.sh [OPTIONS], with the options of python -m benchmarks.gpu.
# Nothing is installed on the machine: missing packages are unpacked into a temporary folder.
set -euo pipefail
bundle="$(cd "$(dirname "$0")" && pwd)"
python="${PYTHON:-python3}"
packages="$(mktemp -d)"
trap 'rm -rf "$packages"' EXIT
export PYTHONPATH="$bundle:$bundle/clients:$packages" PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
export HF_HUB_OFFLINE=1
"$python" -m benchmarks.gpu.wheels "$bundle/wheels" "$packages"
"$python" -m benchmarks.gpu "$@"
