"""The run-time type checker that pytest applies to all of jaxland: beartype, with integers accepted as floats."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
