"""The most multiply-adds this machine can do: what a fused kernel is measured against."""

from functools import lru_cache

from jaxland.bench.timing import Timed, on_threads
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
