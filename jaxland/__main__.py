"""`python -m jaxland`, which is `jaxland`."""

import sys
from pathlib import Path

# Python has put the current directory first, where a file json.py or numpy.py would stand for the library. Where
# jaxland itself was found there, as in a checkout, worker processes need it.
if not sys.flags.safe_path and sys.path:
    _here = sys.path.pop(0)
    if Path(_here) == Path(__file__).parents[1]:
        sys.path.append(_here)

from jaxland.cli import main

sys.exit(main())
