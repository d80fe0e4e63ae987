"""What this processor can do, and what decides bits that are left to a compiler's choice for it."""

LEVELS = {"avx512": ("avx512f", "avx512dq", "fma"), "avx2": ("avx2", "fma"), "sse": ("sse4.2",)}
"""Sets of instructions, the widest first, and what a processor says that has them."""


def instructions() -> list[str]:
    """The names in `LEVELS` of what this processor has, the widest first; none where it is no x86."""
    from llvmlite import binding as llvm  # here: what trains on accelerators needs no compiler for processors

    features = llvm.get_host_cpu_features()
    return [level for level, names in LEVELS.items() if all(features.get(name) for name in names)]


def kind_of_processor() -> str:
    """LLVM's name of this processor with its widest instructions: XLA compiles for both.

    Which sums it makes in which order follows from what is fastest there, so bits differ: those of small networks
    between AVX2 and AVX-512 already.
    """
    from llvmlite import binding as llvm

    return " ".join([llvm.get_host_cpu_name(), *instructions()[:1]])
