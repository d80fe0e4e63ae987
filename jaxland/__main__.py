"""`python -m jaxland`, which is `jaxland`."""

import sys

from jaxland.cli import main

sys.exit(main())
