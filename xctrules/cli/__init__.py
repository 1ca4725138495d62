"""The command line: words in, results on stdout, an exit code out; see ``docs/architecture.md``.

``main`` only mounts the commands, each of which has a file of its own; what they share is in ``console``.
A command imports what it needs when it runs, so that ``xctrules --help`` answers at once.
"""
