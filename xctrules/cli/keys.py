"""``xctrules keys``: the Ed25519 keys that records are signed with."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xctrules.cli.console import FINE, AsJson, command, group, say, say_json, warn

if TYPE_CHECKING:
    from xctrules.records.signing.keys import SigningKey

app = group("Keys to sign records with, and to check who signed them.")

PASSPHRASE = "XCTRULES_KEY_PASSPHRASE"
"""Environment variable with the passphrase of a private key, for where nobody can be asked."""


@app.command()
@command
def new(
    name: Annotated[str, typer.Argument(help="Person or role that signs with it.", metavar="NAME")],
    out: Annotated[Path, typer.Option(help="Folder for the two files.", metavar="DIR")] = Path(),
) -> int:
    """Make a key: NAME.key, which is secret, and NAME.pub for whoever checks signatures.

    A passphrase that is typed, or stands in XCTRULES_KEY_PASSPHRASE, encrypts the private key.
    """
    from xctrules.records.signing.keys import new_key, save_key

    key = new_key(name)
    passphrase = _new_passphrase()
    private, public = save_key(key, out, passphrase)
    say(f"Private key  {private} ({'encrypted' if passphrase else 'NOT encrypted'}; give it to nobody)")
    say(f"Public key   {public} (give it to whoever checks your signatures)")
    say(f"Key id       {key.key_id}")
    if not passphrase:
        warn(f"{private} is not encrypted: whoever copies it signs as {name}. {PASSPHRASE} sets a passphrase")
    return FINE


@app.command()
@command
def show(
    path: Annotated[Path, typer.Argument(help="A key's file, private or public.", metavar="PATH")],
    as_json: AsJson = False,
) -> int:
    """Show whose key a file holds, its key id, and the public key; of a private key, nothing secret."""
    from xctrules.records.signing.keys import is_private, load_public_key

    private = signing_key(path) if is_private(path) else None
    key = load_public_key(path) if private is None else private.public
    kind = "public" if private is None else "private"
    encrypted = None if private is None else private.encrypted
    if as_json:
        say_json(
            {
                "name": key.name, "key_id": key.key_id, "kind": kind, "encrypted": encrypted,
                "public_key": key.raw.hex(),
            }
        )  # fmt: skip
        return FINE
    say(f"Name        {key.name}")
    say(f"Key id      {key.key_id}")
    more = "" if encrypted is None else ", encrypted" if encrypted else ", NOT encrypted"
    say(f"This file   {kind} Ed25519 key{more}")
    say("Public key:")
    say(key.file_bytes().decode("utf-8").rstrip())
    return FINE


def signing_key(path: Path) -> SigningKey:
    """A private key from its file; its passphrase comes from the environment, or is asked for.

    Raises
    ------
    KeyFileError
        As :func:`xctrules.records.signing.keys.load_private_key`.
    """
    from xctrules.records.signing.keys import asks_for_passphrase, load_private_key

    passphrase = os.environ.get(PASSPHRASE)
    if not passphrase and asks_for_passphrase(path) and sys.stdin.isatty():
        passphrase = typer.prompt(f"Passphrase of {path}", hide_input=True, err=True)
    return load_private_key(path, passphrase)


def _new_passphrase() -> str | None:
    """From the environment, or typed twice; ``None`` where there is none."""
    given = os.environ.get(PASSPHRASE)
    if given or not sys.stdin.isatty():
        return given or None
    words = "Passphrase for the new key (empty for none)"
    typed = typer.prompt(
        words, default="", hide_input=True, confirmation_prompt=True, show_default=False, err=True
    )
    return str(typed) or None
