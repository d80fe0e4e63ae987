"""The most multiply-adds this machine can do: what a fused kernel is measured against."""

import ctypes
import time
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from jaxland.bench.timing import Timed, on_threads
from jaxland.training.cuda import Device
from jaxland.training.lanes import machine
from jaxland.training.lanes.emit import Target

# Enough independent chains to hide the latency of a multiply-add (4 cycles on two pipes need 8), and no more than fit
# in half of the registers.
_CHAINS = 14
_REPEATS = 8
_ROUNDS = 400_000
_LENGTH = _CHAINS * _REPEATS

OPERATIONS = {"fma": 2, "add": 1, "mul": 1, "max": 0, "choose": 0}
"""What an instruction mix is made of, and what each counts for: "choose" is a comparison and a move under its mask."""


def fma_peak(threads: int) -> Timed:
    """Reports float32 FLOP per second of multiply-adds that never leave the registers, a multiply-add counting two."""
    return mix_peak({"fma": 1}, threads)


def mix_peak(mix: Mapping[str, float], threads: int) -> Timed:
    """Reports the same of any mix of `OPERATIONS`: what a kernel of this mix cannot pass, whatever its order.

    Args:
        mix: how often each occurs; only their ratios count.
        threads: how many do so side by side.
    """
    target = machine.host()
    body = _in_proportion(mix)
    kernel = _compiled(target, body)
    flop = sum(OPERATIONS[name] for name in body) * target.vector_bytes // 4 * _ROUNDS

    def work():
        kernel.functions["spin"](_ROUNDS)
        return flop

    return on_threads(work, threads)


def _in_proportion(mix: Mapping[str, float]) -> tuple[str, ...]:
    """`_LENGTH` operations, each as often as its share asks and as evenly spread as can be."""
    total, due = sum(mix.values()), dict.fromkeys(mix, 0.0)
    body = []
    for _ in range(_LENGTH):
        for name, count in mix.items():
            due[name] += count / total
        body.append(max(due, key=lambda name: due[name]))
        due[body[-1]] -= 1
    return tuple(body)


@lru_cache(maxsize=4)
def _compiled(target: Target, body: tuple[str, ...]) -> machine.Kernel:
    code = machine.compile_object(_assembly(target, body), target)
    return machine.load_object(code, {"spin": [machine.INTEGER]})


def _assembly(target: Target, body: tuple[str, ...]) -> str:
    lanes = target.vector_bytes // 4
    vector = f"<{lanes} x float>"
    last = [f"%a{chain}" for chain in range(_CHAINS)]
    lines = []
    # One line of each chain after the other, so that neighbours do not wait for each other.
    for place, name in enumerate(body):
        chain, after = place % _CHAINS, f"%v{place}"
        lines += _instruction(target, vector, name, last[chain], after)
        last[chain] = after
    phis = [
        f"%a{chain} = phi {vector} [ splat (float {chain}.0), %entry ], [ {end}, %loop ]"
        for chain, end in enumerate(last)
    ]
    sums, total = [], last[0]
    for chain in range(1, _CHAINS):
        sums.append(f"%sum{chain} = fadd {vector} {total}, {last[chain]}")
        total = f"%sum{chain}"
    # The result is stored through a volatile pointer, so that the work cannot be left out.
    return f"""
declare {vector} @llvm.fma.v{lanes}f32({vector}, {vector}, {vector})
define void @spin(i64 %rounds) {{
entry:
  %sink = alloca {vector}
  store volatile {vector} splat (float 1.000000e+00), ptr %sink
  %scale = load volatile {vector}, ptr %sink
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  {chr(10).join(phis)}
  {chr(10).join(lines)}
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %rounds
  br i1 %more, label %loop, label %done
done:
  {chr(10).join(sums)}
  store volatile {vector} {total}, ptr %sink
  ret void
}}
"""


def _instruction(target: Target, vector: str, name: str, before: str, after: str) -> list[str]:
    half, lanes = "splat (float 5.000000e-01)", target.vector_bytes // 4
    if name == "fma" and target.fused:
        operands = f"{vector} {before}, {vector} {half}, {vector} %scale"
        return [f"{after} = call {vector} @llvm.fma.v{lanes}f32({operands})"]
    if name == "fma":
        product = f"{after}.product = fmul {vector} {before}, {half}"
        return [product, f"{after} = fadd {vector} {after}.product, %scale"]
    if name in ("add", "mul"):
        return [f"{after} = f{name} {vector} {before}, {'%scale' if name == 'add' else half}"]
    bound, other = ("zeroinitializer",) * 2 if name == "max" else ("%scale", half)
    test = f"{after}.test = fcmp olt {vector} {before}, {bound}"
    return [test, f"{after} = select nsz <{lanes} x i1> {after}.test, {vector} {other}, {vector} {before}"]


# A GPU hides the latency of a multiply-add (4 cycles) behind other warps as well as behind other chains.
_GPU_CHAINS, _GPU_REPEATS, _GPU_THREADS, _GPU_BLOCKS = 16, 8, 256, 8
# A device loads kernels named `train` and `start`, and gives `train` the arguments that a training loop has.
GPU_SOURCE = f"""
extern "C" __global__ void __launch_bounds__({_GPU_THREADS})
train(char *__restrict__ state, const float *__restrict__ x, const float *__restrict__ y,
      float *__restrict__ trace, long long first, long long count, long long every, int closing) {{
  extern __shared__ __align__(16) float shared[];
  const float half = x[0], scale = x[1];
  const int rounds = (int)count;
  float a[{_GPU_CHAINS}], sum = 0;
  #pragma unroll
  for (int k = 0; k < {_GPU_CHAINS}; ++k) a[k] = threadIdx.x + k;
  #pragma unroll 1
  for (int i = 0; i < rounds; ++i) {{
    #pragma unroll
    for (int repeat = 0; repeat < {_GPU_REPEATS}; ++repeat) {{
      #pragma unroll
      for (int k = 0; k < {_GPU_CHAINS}; ++k) a[k] = fmaf(a[k], half, scale);
    }}
  }}
  #pragma unroll
  for (int k = 0; k < {_GPU_CHAINS}; ++k) sum += a[k];
  ((float *)state)[blockIdx.x * {_GPU_THREADS} + threadIdx.x] = sum;
}}
extern "C" __global__ void start(char *__restrict__ state) {{}}
"""
GPU_MULTIPLY_ADDS = _GPU_CHAINS * _GPU_REPEATS
"""Instructions of the loop's body, if nothing else is in it."""


def gpu_fma_peak(device: Device, seconds: float = 0.2) -> Timed:
    """Reports float32 FLOP per second of multiply-adds that never leave a GPU's registers, each counting two.

    A measurement lasts about so many seconds.

    Raises:
        RuntimeError: the kernel did not compute what it should, when a measurement is taken.
    """
    kernels = device.load(device.compile(GPU_SOURCE), 0)
    blocks = device.multiprocessors * _GPU_BLOCKS
    sums = device.upload(np.zeros(blocks * _GPU_THREADS, np.float32))
    numbers = device.upload(np.array([0.5, 1.0], np.float32))

    def spin(rounds: int) -> float:
        counts = (ctypes.c_longlong(0), ctypes.c_longlong(rounds), ctypes.c_longlong(0), ctypes.c_int(0))
        began = time.perf_counter()
        device.launch(kernels, "train", blocks, _GPU_THREADS, [sums, numbers, numbers, numbers, *counts])
        return time.perf_counter() - began

    rounds = 32
    while spin(rounds) < seconds / 2:
        rounds *= 2

    def timed():
        elapsed = spin(rounds)
        # Halving and adding one ends at two, whatever a chain begins with.
        if not (sums.read(0, blocks * _GPU_THREADS * 4).view(np.float32) == 2 * _GPU_CHAINS).all():
            raise RuntimeError("the multiply-adds of the peak's kernel give a wrong sum.")
        return 2 * GPU_MULTIPLY_ADDS * rounds * blocks * _GPU_THREADS / elapsed

    return timed
