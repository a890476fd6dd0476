#!/usr/bin/env bash
# All that wants a device, on one device in under 9 minutes: does it compute what the plain path computes, what does a
# step cost, what does TRL's cost beside it, is its memory what was planned, and does a run repeat. Random weights, no
# download, the package from src/.
#
#   benchmarks/gpu.sh               Qwen2-VL-2B's shape in bfloat16, 900 vision tokens, 8 completions of 200 tokens
#   DEVICE=cpu benchmarks/gpu.sh    the same script with the embedded model's shape, two minutes of CPU time
#
# DEVICE   cuda or cpu; by default cuda where torch sees a device
# SHAPE    of the weights, a name in src/rarl/assets/shapes
# PHASES   those to run, by default all: check-small check-shape step-4 trl step-16 plan-4 plan-16 repeat
# WHEELS   a wheel, or a folder of wheels or packages, to run with; say of TRL, which is left out where it is missing
# TRL_MICRO_BATCH   completions in TRL's forward; by default a group, all would not fit a device of 80 GB
# RESULTS  where the JSON goes, by default benchmarks/results
# PYTHON   by default python3
# Paths are seen from the root of the repository.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

BUDGET=530 # seconds for all of it
PYTHON=${PYTHON:-python3}
WORK=$(mktemp -d) || exit 1
trap 'rm -rf "$WORK"' EXIT
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}"

if [ -n "${WHEELS:-}" ]; then
  mkdir "$WORK/site"
  for wheel in "$WHEELS" "$WHEELS"/*; do
    case $wheel in *.whl) "$PYTHON" -m zipfile -e "$wheel" "$WORK/site" || exit 1 ;; esac
  done
  PYTHONPATH="$PYTHONPATH:$WORK/site"
  if [ -d "$WHEELS" ]; then PYTHONPATH="$PYTHONPATH:$(cd "$WHEELS" && pwd)"; fi
fi

has='import sys; from importlib.util import find_spec; sys.exit(any(find_spec(name) is None for name in sys.argv[1:]))'
"$PYTHON" -c "$has" torch transformers peft pydantic tomli_w || {
  echo "$PYTHON lacks one of torch, transformers, peft, pydantic and tomli_w: PYTHON names another, WHEELS brings some" >&2
  exit 1
}
DEVICE=${DEVICE:-$("$PYTHON" -c 'import torch; print("cuda" if torch.cuda.is_available() else "cpu")')}
if [ "$DEVICE" = cuda ]; then
  SHAPE=${SHAPE:-qwen2-vl-2b} SMALL=mid DTYPE=bfloat16 SIZES=900,8,200 STEPS=2
  small=(--vision-tokens 64 --new-tokens 16) large=(--vision-tokens 900 --new-tokens 32)
else
  SHAPE=${SHAPE:-tiny} SMALL=tiny DTYPE=float32 SIZES=16,4,8 STEPS=1
  small=(--vision-tokens 16 --new-tokens 8) large=("${small[@]}")
  export OMP_NUM_THREADS=1
fi
PHASES=${PHASES:-check-small check-shape step-4 trl step-16 plan-4 plan-16 repeat}
TRL_MICRO_BATCH=${TRL_MICRO_BATCH:-$(cut -d, -f2 <<<"$SIZES")}
step=(--model "$SHAPE" --dtype "$DTYPE" --device "$DEVICE" --shape "$SIZES")
failed=0
: >"$WORK/phases.tsv"

wanted() { case " $PHASES " in *" $1 "*) ;; *) return 1 ;; esac; }

# phase NAME SECONDS SCRIPT ARGUMENT.. runs a script with --out, and says how it went in one line.
phase() {
  local name=$1 limit=$2 script=$3 began=$SECONDS status left=$((BUDGET - SECONDS))
  shift 3
  wanted "$name" || return
  : >"$WORK/out" 2>"$WORK/err"
  if [ "$left" -lt "$limit" ]; then limit=$left; fi
  if [ "$limit" -le 0 ]; then
    status=124
  else
    timeout -k 5 "$limit" "$PYTHON" "benchmarks/$script" "$@" --out "$WORK/$name.json" >"$WORK/out" 2>"$WORK/err"
    status=$?
  fi
  printf '%s\t%s\t%s\n' "$name" "$status" "$((SECONDS - began))" >>"$WORK/phases.tsv"
  if [ "$status" -eq 0 ]; then
    echo "$name, $((SECONDS - began)) s: $(tail -n 1 "$WORK/out")"
  else
    failed=1
    echo "$name, $((SECONDS - began)) s: FAILED with status $status (124: out of time)"
    tail -n 20 "$WORK/out" "$WORK/err" >&2
  fi
}

phase check-small 120 device_check.py --shape "$SMALL" --device "$DEVICE" "${small[@]}"
if [ "$SHAPE" != "$SMALL" ]; then
  phase check-shape 150 device_check.py --shape "$SHAPE" --device "$DEVICE" "${large[@]}"
fi
phase step-4 120 device_step.py "${step[@]}" --groups 4 --steps "$STEPS"
if "$PYTHON" -c "$has" trl datasets; then
  phase trl 240 vs_trl.py "${step[@]}" --groups 4 --trl-micro-batch "$TRL_MICRO_BATCH"
elif wanted trl; then
  echo "trl: skipped, TRL or datasets is not installed; WHEELS can bring them along"
fi
phase step-16 120 device_step.py "${step[@]}" --groups 16
phase plan-4 120 memory.py "${step[@]}" --groups 4
phase plan-16 120 memory.py "${step[@]}" --groups 16
phase repeat 90 device_repeat.py --device "$DEVICE" --steps "$((10 * STEPS))"

"$PYTHON" benchmarks/device_results.py "$WORK" --device "$DEVICE" --results "${RESULTS:-benchmarks/results}" || failed=1
echo "all of it, $SECONDS s"
exit "$failed"
