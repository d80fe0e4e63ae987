"""Acceptance of one machine with an NVIDIA GPU: what `benchmarks/gpu.py` checks and measures."""
