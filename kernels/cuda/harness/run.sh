#!/usr/bin/env bash
# Builds and runs the CUDA harness with nothing but nvcc, its C++ compiler and a GPU: no Node, no CMake.
#   kernels/cuda/harness/run.sh [--sanitize] [options of cuda_harness: --check --few --quick --json]
# --sanitize runs the cases under compute-sanitizer's four tools instead. NVCC names the compiler, ARCH the target
# (native: this machine's GPU), OUT the folder for what is built.
set -euo pipefail
cd "$(dirname "$0")/.."
NVCC=${NVCC:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
ARCH=${ARCH:-native}
OUT=${OUT:-../build-cuda/harness-$ARCH}
command -v "$NVCC" >/dev/null || { echo "nvcc is needed: install a CUDA toolkit, or set NVCC" >&2; exit 2; }
mkdir -p "$OUT"

pids=()
objects=()
for source in kernels_dim*.cu harness/*.cu harness/*.cc launch.cc step_plan.cc ../src/step_metadata.cc; do
  name=$(basename "$source")
  object="$OUT/${name//./_}.o"
  objects+=("$object")
  # Anything that changed rebuilds everything: headers are shared by nearly all of it.
  if [ -f "$object" ] && [ -z "$(find . ../src ../test -newer "$object" \( -name '*.cu*' -o -name '*.h' -o -name '*.cc' \) -print -quit)" ]; then
    continue
  fi
  "$NVCC" -std=c++17 -O3 -lineinfo -arch="$ARCH" -I. -I../src -I../test -c "$source" -o "$object" &
  pids+=($!)
done
for pid in ${pids[@]+"${pids[@]}"}; do wait "$pid"; done
"$NVCC" -arch="$ARCH" ${LINK_FLAGS:-} -o "$OUT/cuda_harness" "${objects[@]}" -ldl

if [ "${1:-}" = "--sanitize" ]; then
  for tool in memcheck racecheck initcheck synccheck; do
    echo "== compute-sanitizer $tool"
    compute-sanitizer --tool "$tool" --error-exitcode 1 "$OUT/cuda_harness" --few
  done
else
  "$OUT/cuda_harness" "$@"
fi
