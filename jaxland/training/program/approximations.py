"""Transcendental functions as scalar expressions, so that they stay in full-width registers.

Each is a polynomial after range reduction, made of multiply-adds, shifts and selects: no library call, no table, no
branch. The same operations run on every CPU, so results do not depend on the machine's mathematical library.
NaN passes through. Largest errors over the tested ranges, relative unless said otherwise (with fused multiply-add):

| function | float32 | float64 | remarks |
|---|---|---|---|
| exp | 1.3e-7 | 4e-16 | results below the smallest normal number may be 0; infinite from exp(88.38) and exp(709.43) |
| expm1 | 2e-7 | 5e-16 | |
| log, log1p | 1.5e-7 | 4e-16 | |
| logistic | 2.5e-7 | 6e-16 | 0 where exp(-x) overflows |
| tanh | 3e-7 | 8e-16 | |
| sin, cos | 1.5e-7 absolute | 3e-16 absolute | for arguments up to 1e4 (float32), 1e6 (float64) |
| pow | 1.2e-7 | 1e-15 (1 + abs(y log x)) | float32 is computed in float64; 3e-7 without it (TPU) |
| erf, erfc | 5e-7, 4e-7 absolute | | float32 only |

References:
    W. J. Cody, W. Waite, Software Manual for the Elementary Functions (1980): range reduction in two or three parts.
    M. Abramowitz, I. A. Stegun, Handbook of Mathematical Functions (1964): 4.1.27, log as a series in f / (2 + f);
        7.1.26, erf to 1.5e-7.
    T. J. Dekker, A floating-point technique for extending the available precision, Numer. Math. 18 (1971): products and
        sums with their rounding errors, for pow without float64.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from jaxland.training.program.expression import Builder, Expression, Unlowerable


class _Format(NamedTuple):
    """What range reduction needs to know of a floating-point format."""

    integer: str
    mantissa: int
    bias: int
    round_shift: float  # adding 1.5 * 2**mantissa leaves the nearest integer in the low bits
    log2_parts: tuple[float, float]
    half_pi_parts: tuple[float, float, float]  # so short that multiples of the first two are exact: 8, 11; 33, 33 bits
    exp_limits: tuple[float, float]  # beyond these 2**n is exactly 0 and infinite
    expm1_limits: tuple[float, float]
    exp_series: tuple[float, ...]  # exp(r) = 1 + r + r**2 * series(r) on |r| <= log(2) / 2
    log_series: tuple[float, ...]  # log((1 + s) / (1 - s)) = 2 s + s * z * series(z), z = s**2
    sin_series: tuple[float, ...]  # sin(r) = r + r * u * series(u) on |r| <= pi / 4, u = r**2
    cos_series: tuple[float, ...]  # cos(r) = 1 - u / 2 + u**2 * series(u)


_FORMATS = {
    "f32": _Format(
        integer="i32",
        mantissa=23,
        bias=127,
        round_shift=1.5 * 2**23,
        log2_parts=(0.693359375, -0.00021219444170128554),
        half_pi_parts=(1.5703125, 0.0004837512969970703, 7.549790126404332e-08),
        exp_limits=(-88.0, 88.8),
        expm1_limits=(-30.0, 88.8),
        exp_series=(
            0.5,
            0.1666657698969876,
            0.041666554617205226,
            0.008363179052724155,
            0.001392618358764522,
        ),
        log_series=tuple(2 / (2 * k + 3) for k in range(4)),
        sin_series=(-0.16666664661114836, 0.008332748037516963, -0.00019587840521269743),
        cos_series=(0.04166666465830041, -0.0013888302802309168, 2.4547891619849327e-05),
    ),
    "f64": _Format(
        integer="i64",
        mantissa=52,
        bias=1023,
        round_shift=1.5 * 2**52,
        log2_parts=(6.93147180369123816490e-01, 1.90821492927058770002e-10),
        half_pi_parts=(1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21),
        exp_limits=(-708.8, 710.0),
        expm1_limits=(-60.0, 710.0),
        exp_series=tuple(1 / math.factorial(k) for k in range(2, 14)),
        log_series=tuple(2 / (2 * k + 3) for k in range(9)),
        sin_series=tuple((-1) ** (k + 1) / math.factorial(2 * k + 3) for k in range(8)),
        cos_series=tuple((-1) ** k / math.factorial(2 * k + 4) for k in range(8)),
    ),
}


class _Scalars:
    """Short names for the operations of one builder in one format."""

    def __init__(self, build: Builder, type: str):
        self.build, self.type, self.format = build, type, _FORMATS[type]

    def number(self, value: float) -> Expression:
        return self.build.constant(value, self.type)

    def integer(self, value: int) -> Expression:
        return self.build.constant(value, self.format.integer)

    def __call__(self, op: str, *args: Expression | float) -> Expression:
        return self.build(op, *(arg if isinstance(arg, Expression) else self.number(arg) for arg in args))

    def polynomial(self, coefficients: tuple[float, ...], x: Expression) -> Expression:
        """Horner's rule; the constant coefficient comes first."""
        total = self.number(coefficients[-1])
        for coefficient in coefficients[-2::-1]:
            total = self("fma", total, x, coefficient)
        return total

    def clamp(self, x: Expression, limits: tuple[float, float]) -> Expression:
        """x between the limits; NaN stays."""
        x = self("select", self("gt", x, limits[1]), limits[1], x)
        return self("select", self("lt", x, limits[0]), limits[0], x)

    def nearest(self, x: Expression, scale: float) -> tuple[Expression, Expression]:
        """The integer nearest to x * scale: as a number, and as a number whose low bits hold it."""
        shifted = self("fma", x, scale, self.format.round_shift)
        return self("sub", shifted, self.format.round_shift), shifted

    def power_of_two(self, shifted: Expression) -> Expression:
        """2**n for the n in the low bits of `shifted`; exactly 0 below the range of exponents, infinite above."""
        bits = self.build.bits(shifted, self.format.integer)
        exponent = self.build("shl", bits, self.integer(self.format.mantissa))
        one = self.integer(self.format.bias << self.format.mantissa)
        return self.build.bits(self.build("add", exponent, one), self.type)


def _reduced_exp(s: _Scalars, x: Expression) -> tuple[Expression, Expression]:
    """(q, 2**n) with exp(x) = (1 + q) * 2**n."""
    n, shifted = s.nearest(x, 1 / math.log(2))
    r = x
    for part in s.format.log2_parts:
        r = s("fma", n, -part, r)
    series = s.polynomial(s.format.exp_series, r)
    return s("fma", series, s("mul", r, r), r), s.power_of_two(shifted)


def exp(build: Builder, x: Expression) -> Expression:
    s = _Scalars(build, x.type)
    q, scale = _reduced_exp(s, s.clamp(x, s.format.exp_limits))
    return s("mul", s("add", q, 1.0), scale)


def _clamped_expm1(s: _Scalars, x: Expression) -> Expression:
    q, scale = _reduced_exp(s, x)
    return s("fma", q, scale, s("sub", scale, 1.0))


def expm1(build: Builder, x: Expression) -> Expression:
    s = _Scalars(build, x.type)
    result = _clamped_expm1(s, s.clamp(x, s.format.expm1_limits))
    # Here 2**n may be infinite and q negative, which would give NaN.
    return s("select", s("gt", x, s.format.exp_limits[1] - 0.5), math.inf, result)


def logistic(build: Builder, x: Expression) -> Expression:
    s = _Scalars(build, x.type)
    return s("div", 1.0, s("add", exp(build, build("neg", x)), 1.0))


def tanh(build: Builder, x: Expression) -> Expression:
    # 1 - tanh(x) is below half a unit in the last place beyond these limits.
    s = _Scalars(build, x.type)
    limit = 9.5 if x.type == "f32" else 20.0
    m = _clamped_expm1(s, s("mul", s.clamp(x, (-limit, limit)), 2.0))
    return s("div", m, s("add", m, 2.0))


def _reduced_log(s: _Scalars, x: Expression) -> tuple[Expression, Expression]:
    """(f, n) with x = (1 + f) * 2**n and |f| < 0.42, for positive finite x."""
    build = s.build
    tiny = s("lt", x, 2.0 ** (2 - s.format.bias))
    scaled = s("select", tiny, s("mul", x, 2.0**s.format.mantissa), x)
    bits = build.bits(scaled, s.format.integer)
    middle = build.bits(s.number(math.sqrt(0.5)), s.format.integer)
    shift = s.integer(s.format.mantissa)
    exponent = build("shr", build("sub", bits, middle), shift)
    f = s("sub", build.bits(build("sub", bits, build("shl", exponent, shift)), x.type), 1.0)
    return f, s("sub", build.cast(exponent, x.type), s("select", tiny, float(s.format.mantissa), 0.0))


def log(build: Builder, x: Expression) -> Expression:
    s = _Scalars(build, x.type)
    result = _log_near_one(s, *_reduced_log(s, x))
    result = s("select", s("eq", x, math.inf), math.inf, result)
    result = s("select", s("eq", x, 0.0), -math.inf, result)
    result = s("select", s("lt", x, 0.0), math.nan, result)
    return s("select", s("ne", x, x), x, result)


def _log_near_one(s: _Scalars, f: Expression, n: Expression) -> Expression:
    """n log(2) + log(1 + f) for |f| < 0.42."""
    root = s("div", f, s("add", f, 2.0))
    z = s("mul", root, root)
    series = s("mul", z, s.polynomial(s.format.log_series, z))
    half_square = s("mul", s("mul", f, f), 0.5)
    high, low = s.format.log2_parts
    tail = s("fma", root, s("add", half_square, series), s("mul", n, low))
    return s("fma", n, high, s("add", f, s("sub", tail, half_square)))


def log1p(build: Builder, x: Expression) -> Expression:
    s = _Scalars(build, x.type)
    u = s("add", x, 1.0)
    # What rounding took from 1 + x, given back to first order.
    lost = s("select", s("ge", x, 1.0), s("sub", 1.0, s("sub", u, x)), s("sub", x, s("sub", u, 1.0)))
    inside = build("and", s("gt", u, 0.0), s("lt", u, math.inf))
    return s("add", log(build, u), s("select", inside, s("div", lost, u), 0.0))


def _reduced_angle(s: _Scalars, x: Expression) -> tuple[Expression, Expression]:
    """(x minus the nearest multiple of pi/2, bits that end in that multiple)."""
    n, shifted = s.nearest(x, 2 / math.pi)
    for part in s.format.half_pi_parts:
        x = s("fma", n, -part, x)
    # Only arguments too large for the reduction leave this range; the result then still lies in [-1, 1].
    return s.clamp(x, (-0.9, 0.9)), s.build.bits(shifted, s.format.integer)


def _sine_of_quadrant(build: Builder, x: Expression, quarter_turns: int) -> Expression:
    s = _Scalars(build, x.type)
    r, bits = _reduced_angle(s, x)
    quadrant = build("add", bits, s.integer(quarter_turns))
    u = s("mul", r, r)
    sine = s("fma", s("mul", r, u), s.polynomial(s.format.sin_series, u), r)
    cosine = s("fma", s("mul", u, u), s.polynomial(s.format.cos_series, u), s("fma", u, -0.5, 1.0))
    odd = build("ne", build("and", quadrant, s.integer(1)), s.integer(0))
    negative = build("ne", build("and", quadrant, s.integer(2)), s.integer(0))
    value = s("select", odd, cosine, sine)
    return s("select", negative, build("neg", value), value)


def sin(build: Builder, x: Expression) -> Expression:
    return _sine_of_quadrant(build, x, 0)


def cos(build: Builder, x: Expression) -> Expression:
    return _sine_of_quadrant(build, x, 1)


def tan(build: Builder, x: Expression) -> Expression:
    return build("div", sin(build, x), cos(build, x))


def power(build: Builder, x: Expression, y: Expression) -> Expression:
    """x**y by exp(y log x). Within that in float64: 1 - b**count of Adam cancels most digits when count is small."""
    type = x.type
    s = _Scalars(build, "f64" if build.float64 or type == "f64" else "f32")
    x, y = build.cast(x, s.type), build.cast(y, s.type)
    size = build("abs", x)
    result = exp(build, s("mul", y, log(build, size))) if s.type == "f64" else _power_in_two_parts(s, size, y)
    # 0 times infinity is not a number, though these powers of 1 and -1 are 1.
    result = s("select", s("eq", size, 1.0), 1.0, result)
    whole = s("eq", y, build("floor", y))
    half = s("mul", y, 0.5)
    odd = build("and", whole, s("ne", half, build("floor", half)))
    # Zeros and infinities have signs too.
    minus = build("lt", build.bits(x, s.format.integer), s.integer(0))
    result = s("select", build("and", odd, minus), build("neg", result), result)
    root = build("and", build("not", whole), build("and", s("lt", x, 0.0), s("gt", x, -math.inf)))
    result = s("select", root, math.nan, result)
    return build.cast(s("select", s("eq", y, 0.0), 1.0, result), type)


def _power_in_two_parts(s: _Scalars, x: Expression, y: Expression) -> Expression:
    """x**y in float32 for x >= 0: the error of y log x is an error of the result, so both have a second part."""
    high, low = _log_in_two_parts(s, x)
    for special, value in ((math.inf, math.inf), (0.0, -math.inf)):
        high = s("select", s("eq", x, special), value, high)
    high = s("select", s("ne", x, x), x, high)
    product, error = _exact_product(s, y, high)
    error = s("fma", y, low, error)
    result = exp(s.build, product)
    # Where the result is 0, infinite or NaN, the error is of no use and may be NaN.
    exact = s("lt", s.build("abs", product), 88.0)
    return s("select", exact, s("fma", result, error, result), result)


_LONG_LOG_SERIES = tuple(2 / (2 * k + 3) for k in range(5))


def _log_in_two_parts(s: _Scalars, x: Expression) -> tuple[Expression, Expression]:
    """log x as the sum of a float32 and a small correction, relative error about 1e-9."""
    f, n = _reduced_log(s, x)
    below = s("add", f, 2.0)
    below_error = s("sub", f, s("sub", below, 2.0))
    root = s("div", f, below)
    product, error = _exact_product(s, root, below)
    rest = s("sub", s("sub", s("sub", f, product), error), s("mul", root, below_error))
    z = s("mul", root, root)
    series = s("mul", s("mul", root, z), s.polynomial(_LONG_LOG_SERIES, z))
    low = s("fma", s("div", rest, below), 2.0, series)
    # n has 8 bits and the first part of log 2 has 9, so their product is exact; it is 0 or larger than 2 root.
    whole, fraction = s("mul", n, s.format.log2_parts[0]), s("mul", root, 2.0)
    high, lost = _exact_sum(s, whole, fraction)
    low = s("fma", n, s.format.log2_parts[1], s("add", low, lost))
    return _exact_sum(s, high, low)


def _exact_sum(s: _Scalars, a: Expression, b: Expression) -> tuple[Expression, Expression]:
    """a + b rounded, and what rounding took away, where |a| >= |b| or a = 0."""
    total = s("add", a, b)
    return total, s("sub", b, s("sub", total, a))


def _exact_product(s: _Scalars, a: Expression, b: Expression) -> tuple[Expression, Expression]:
    """a * b rounded to float32, and what rounding took away (Dekker 1971); it needs no fused multiply-add."""
    product = s("mul", a, b)
    (a_high, a_low), (b_high, b_low) = _halves(s, a), _halves(s, b)
    error = s("sub", s("mul", a_high, b_high), product)
    for one, other in ((a_high, b_low), (a_low, b_high), (a_low, b_low)):
        error = s("add", error, s("mul", one, other))
    return product, error


def _halves(s: _Scalars, x: Expression) -> tuple[Expression, Expression]:
    """x as the sum of two numbers of 12 bits each, whose products are exact in float32."""
    build = s.build
    high = build.bits(build("and", build.bits(x, "i32"), s.integer(-(2**12))), "f32")
    return high, s("sub", x, high)


def erf(build: Builder, x: Expression) -> Expression:
    if x.type != "f32":
        raise Unlowerable("erf has no float64 approximation.")
    s = _Scalars(build, x.type)
    size = build("abs", x)
    t = s("div", 1.0, s("fma", size, 0.3275911, 1.0))
    series = s.polynomial((0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429), t)
    tail = s("mul", s("mul", series, t), exp(build, build("neg", s("mul", x, x))))
    result = s("sub", 1.0, tail)
    return s("select", s("lt", x, 0.0), build("neg", result), result)


def erfc(build: Builder, x: Expression) -> Expression:
    return build("sub", build.constant(1, x.type), erf(build, x))


def exp2(build: Builder, x: Expression) -> Expression:
    return power(build, build.constant(2.0, x.type), x)


def sinh(build: Builder, x: Expression) -> Expression:
    # m + m / (m + 1) = exp(x) - exp(-x) with m = expm1(x), without cancellation for small x.
    s = _Scalars(build, x.type)
    m = expm1(build, build("abs", x))
    whole = s("add", m, s("select", s("eq", m, math.inf), 1.0, s("div", m, s("add", m, 1.0))))
    half = s("mul", whole, 0.5)
    return s("select", s("lt", x, 0.0), build("neg", half), half)


def cosh(build: Builder, x: Expression) -> Expression:
    s = _Scalars(build, x.type)
    e = exp(build, build("abs", x))
    return s("fma", e, 0.5, s("div", 0.5, e))


FUNCTIONS: dict[str, Callable[[Builder, Expression], Expression]] = {
    "exp": exp,
    "exp2": exp2,
    "expm1": expm1,
    "log": log,
    "log1p": log1p,
    "logistic": logistic,
    "tanh": tanh,
    "sin": sin,
    "cos": cos,
    "tan": tan,
    "sinh": sinh,
    "cosh": cosh,
    "erf": erf,
    "erfc": erfc,
}
"""One argument, by the name of JAX's primitive."""
