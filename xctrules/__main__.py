"""``python -m xctrules``."""

from xctrules.cli.main import main

main()
