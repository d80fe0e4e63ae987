"""The compiler: the training of one fit as scalar programs, from which the fused backends write their kernels.

trace -> scalarize (expressions, approximations) -> schedule -> roll; layout and memory say where every scalar lives,
and cache keeps what was made. Nothing here knows a machine.
"""
