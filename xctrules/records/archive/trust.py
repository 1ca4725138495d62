"""Whose log this is: the key that its first entry names, and the keys that its reader trusts."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from xctrules.core.errors import KeyFileError, RecordError
from xctrules.records.archive.checkpoint import ED25519, verifier_key
from xctrules.records.archive.log import Log
from xctrules.records.signing.keys import PublicKey, SigningKey


def key_of_archive(first_entry: Mapping[str, Any]) -> PublicKey | None:
    """The key that an archive's first entry names; ``None`` where it says that there is none.

    That an archive names its own key proves nothing by itself: compare it with one that came another way.

    Raises
    ------
    RecordError
        When it is not the first entry of an archive, or its key is none.
    """
    try:
        if first_entry["kind"] != "archive":
            raise ValueError("the log does not begin with an archive's first entry")
        stated = first_entry["key"]
        if stated is None:
            return None
        _, _, encoded = str(stated["verifier"]).split("+", 2)  # base64 may hold a plus itself
        raw = base64.b64decode(encoded.encode(), validate=True)
        key = PublicKey(str(stated["name"]), raw[1:])
        if raw[:1] != ED25519 or len(key.raw) != 32:
            raise ValueError("the key is no Ed25519 key")
        if verifier_key(str(first_entry["origin"]), key) != stated["verifier"]:
            raise ValueError("the key's hash does not fit the key")
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise RecordError(f"it does not say whose archive this is ({error})", where="entry 0") from error
    return key


def check_own_key(log: Log, key: SigningKey | None) -> None:
    """Refuse to write with a key that is not the archive's, or on a checkpoint that this key did not sign.

    Raises
    ------
    KeyFileError, RecordError
    """
    own = key_of_archive(log.entry(0))
    if own is None and key is None:
        return
    if own is None:
        raise KeyFileError(
            "this archive has no key of its own, so that none can sign for it",
            where=log.folder,
            todo="Leave --key out, or make a signed archive: xctrules archive init DIR --key FILE.",
        )
    if key is None or key.public.raw != own.raw:
        raise KeyFileError(
            f"this archive is signed with the key {own.key_id[:16]}... of {own.name}",
            where=log.folder,
            todo="Give that key's file with --key.",
        )
    if not log.head.is_signed_by(own):
        raise RecordError(
            "the newest checkpoint is not signed with the archive's key, so that nothing is added to it",
            where=log.folder / "checkpoint",
            todo="See what `xctrules verify` says of the archive.",
        )
