"""``python -m xctrules``."""

from xctrules.cli import main

main()
