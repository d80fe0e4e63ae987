"""The most multiply-adds this machine can do: what a fused kernel is measured against."""

import ctypes
import time
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


def fma_peak(threads: int) -> Timed:
    """Reports float32 FLOP per second of multiply-adds that never leave the registers, a multiply-add counting two."""
    target = machine.host()
    lanes = target.vector_bytes // 4
    kernel = _compiled(target)
    flop = 2 * lanes * _CHAINS * _REPEATS * _ROUNDS

    def work():
        kernel.functions["spin"](_ROUNDS)
        return flop

    return on_threads(work, threads)


@lru_cache(maxsize=4)
def _compiled(target: Target) -> machine.Kernel:
    code = machine.compile_object(_assembly(target), target)
    return machine.load_object(code, {"spin": [machine.INTEGER]})


def _assembly(target: Target) -> str:
    vector = f"<{target.vector_bytes // 4} x float>"
    body = []
    for chain in range(_CHAINS):
        before = f"%a{chain}"
        for repeat in range(_REPEATS):
            after = f"%a{chain}.{repeat}"
            body.append(_multiply_add(target, vector, before, after))
            before = after
    phis = [
        f"%a{chain} = phi {vector} [ splat (float {chain}.0), %entry ], [ %a{chain}.{_REPEATS - 1}, %loop ]"
        for chain in range(_CHAINS)
    ]
    sums, total = [], "%a0.7"
    for chain in range(1, _CHAINS):
        sums.append(f"%sum{chain} = fadd {vector} {total}, %a{chain}.{_REPEATS - 1}")
        total = f"%sum{chain}"
    # The result is stored through a volatile pointer, so that the work cannot be left out.
    return f"""
declare {vector} @llvm.fma.v{target.vector_bytes // 4}f32({vector}, {vector}, {vector})
define void @spin(i64 %rounds) {{
entry:
  %sink = alloca {vector}
  store volatile {vector} splat (float 1.000000e+00), ptr %sink
  %scale = load volatile {vector}, ptr %sink
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  {chr(10).join(phis)}
  {chr(10).join(_in_turn(body))}
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %rounds
  br i1 %more, label %loop, label %done
done:
  {chr(10).join(sums)}
  store volatile {vector} {total}, ptr %sink
  ret void
}}
"""


def _multiply_add(target, vector, before, after):
    half = "splat (float 5.000000e-01)"
    if target.fused:
        name = f"@llvm.fma.v{target.vector_bytes // 4}f32"
        return f"{after} = call {vector} {name}({vector} {before}, {vector} {half}, {vector} %scale)"
    return f"{after}.product = fmul {vector} {before}, {half}\n  {after} = fadd {vector} {after}.product, %scale"


def _in_turn(body):
    # One line of each chain after the other, so that neighbours do not wait for each other.
    return [body[chain * _REPEATS + repeat] for repeat in range(_REPEATS) for chain in range(_CHAINS)]


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
