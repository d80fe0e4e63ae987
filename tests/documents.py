"""Python blocks of Markdown pages: finding them, running them in order, and checking the values they state."""

import ast
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
# What a number stated to three or four digits may be off by, and one said to be "about" that.
_RELATIVE, _ABOUT = 0.01, 0.3


def script(path: Path):
    """A file that belongs to no package, as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(page: str, language: str = "python") -> list[str]:
    """The fenced blocks of a page, by its path from the root of the repository."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.S)


def run(code: str, names: dict) -> int:
    """Executes a block statement by statement, and compares each value it states with what comes out.

    A value is stated by a comment that begins with a literal, behind an expression that stands alone:

        fits.params.shape  # (256, 7); one row a fit
        shares  # about [0.9, 0.1]

    Returns:
        How many values were compared.
    """
    compared, lines = 0, code.splitlines()
    for statement in ast.parse(code).body:
        if not isinstance(statement, ast.Expr):
            exec(compile(ast.Module([statement], []), "<block>", "exec"), names)
            continue
        value = eval(compile(ast.Expression(statement.value), "<block>", "eval"), names)
        stated = _stated(lines[(statement.end_lineno or 0) - 1][statement.end_col_offset or 0 :])
        if stated is not None:
            compared += 1
            _compare(ast.unparse(statement.value), value, *stated)
    return compared


def untold(words: str, code: str) -> list[str]:
    """The numbers in words that code states nowhere, rounded as the words have them; a whole one may be in the code."""
    stated: list[float] = []
    asked = [abs(each.value) for each in ast.walk(ast.parse(code)) if isinstance(each, ast.Constant) and _counts(each)]
    lines = code.splitlines()
    for statement in ast.parse(code).body:
        found = _stated(lines[(statement.end_lineno or 0) - 1][statement.end_col_offset or 0 :])
        if isinstance(statement, ast.Expr) and found is not None and found[1] != _ABOUT:
            numbers = np.asarray(found[0]).ravel()
            stated += [abs(float(each)) for each in numbers if numbers.dtype.kind in "iuf"]
    missing = []
    for sign, number, share in re.findall(r"(?<![\w.])(-?)(\d[\d,]*(?:\.\d+)?)( ?%)?", words):
        value, digits = float(number.replace(",", "")), len(number.partition(".")[2])
        rounded = {round(each * (100 if share else 1), digits) for each in stated}
        # A count is what it is: 0.6 is no 1.
        if value not in (rounded if share or digits else {*stated, *asked}):
            missing.append(f"{sign}{number}{share}")
    return missing


def _counts(constant: ast.Constant) -> bool:
    return isinstance(constant.value, int) and not isinstance(constant.value, bool)


def _stated(comment: str):
    about, literal = re.fullmatch(r"\s*(?:#\s*(about )?([^;]*).*)?", comment).groups()
    try:
        return ast.literal_eval(literal), _ABOUT if about else _RELATIVE
    except (SyntaxError, ValueError, TypeError):
        return None


def _compare(expression, value, stated, relative):
    value, numbers = np.asarray(value), np.asarray(stated)
    # A count is what it is, unless it is said to be about that; a measured number has rounded digits.
    tolerance = 0 if relative != _ABOUT and numbers.dtype.kind != "f" else relative
    same = value.shape == numbers.shape and (
        (value == numbers).all() if tolerance == 0 else value == pytest.approx(numbers, rel=tolerance)
    )
    assert same, f"{expression} is {value.tolist()}, not {stated}"
