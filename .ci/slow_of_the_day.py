"""Some of the slow tests, another choice each day, a line each: prints what is to be given to pytest.

pytest --collect-only -m slow | python .ci/slow_of_the_day.py 2026-11-28 12
"""

import hashlib
import sys


def chosen(tests: list[str], day: str, count: int) -> list[str]:
    """`count` of the tests, as day and name decide, so that whoever knows the day can repeat the choice."""
    return sorted(sorted(tests, key=lambda test: hashlib.sha256(f"{day} {test}".encode()).digest())[:count])


if __name__ == "__main__":
    day, count = sys.argv[1], int(sys.argv[2])
    print(*chosen([line.strip() for line in sys.stdin if "::" in line], day, count), sep="\n")
