"""Ed25519 keys in files: a private one for who signs, a public one for who checks.

Both are plain PEM (PKCS#8 and SubjectPublicKeyInfo, RFC 5958 and RFC 8410), which OpenSSL and others read.
Two lines before the PEM block, which these leave aside, name whose key it is and which::

    Name: Jane Doe, quality assurance
    Key-Id: 8b1f...
    -----BEGIN PUBLIC KEY-----
    ...

The **key id** is the SHA-256, in hexadecimal, of the public key's SubjectPublicKeyInfo in DER: it depends on
the key alone, and ``openssl pkey -pubin -in FILE -outform DER | sha256sum`` gives it without xctrules. The
name is what the file's owner wrote; whoever trusts a public key vouches for the name in that file.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from xctrules.core.errors import KeyFileError
from xctrules.core.files import safe_file_stem, whole_file

PRIVATE_SUFFIX, PUBLIC_SUFFIX = ".key", ".pub"
_LONGEST_NAME = 100
_LARGEST_FILE = 20_000
"""Bytes; a key file has a few hundred."""

_PRIVATE, _ENCRYPTED = b"PRIVATE KEY-----", b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_HEAD = re.compile(rb"^(Name|Key-Id):[ \t]*(.*?)[ \t]*\r?$", re.M)


@dataclass(frozen=True)
class PublicKey:
    """A key to check signatures with, and the name of who signs with it.

    Attributes
    ----------
    name
        Person or role.
    raw
        The 32 bytes of RFC 8032.
    """

    name: str
    raw: bytes

    @property
    def key_id(self) -> str:
        """SHA-256 of the key's SubjectPublicKeyInfo (DER), in hexadecimal."""
        return hashlib.sha256(
            self._key.public_bytes(pem.Encoding.DER, pem.PublicFormat.SubjectPublicKeyInfo)
        ).hexdigest()

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Whether ``signature`` (64 bytes) is one of ``data`` by this key."""
        try:
            self._key.verify(signature, data)
        except InvalidSignature:
            return False
        return True

    def file_bytes(self) -> bytes:
        """What stands in a public key file."""
        body = self._key.public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
        return _with_head(self, body)

    @property
    def _key(self) -> Ed25519PublicKey:
        return Ed25519PublicKey.from_public_bytes(self.raw)


@dataclass(frozen=True)
class SigningKey:
    """A private key, as somebody signs with it.

    Attributes
    ----------
    public
        What others check its signatures with.
    encrypted
        Whether the file that it was read from asks for a passphrase; ``None`` when it comes from no file.
    """

    public: PublicKey
    encrypted: bool | None = None
    _private: Ed25519PrivateKey = field(repr=False, kw_only=True)

    @property
    def name(self) -> str:
        return self.public.name

    @property
    def key_id(self) -> str:
        return self.public.key_id

    def sign(self, data: bytes) -> bytes:
        """The signature of ``data``: 64 bytes, the same each time (RFC 8032)."""
        return self._private.sign(data)

    def file_bytes(self, passphrase: str | None = None) -> bytes:
        """What stands in a private key file: PKCS#8, encrypted where there is a passphrase."""
        lock: pem.KeySerializationEncryption = pem.NoEncryption()
        if passphrase:
            lock = pem.BestAvailableEncryption(passphrase.encode("utf-8"))
        body = self._private.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, lock)
        return _with_head(self.public, body)


def new_key(name: str) -> SigningKey:
    """A new key from the system's source of randomness.

    Raises
    ------
    KeyFileError
        When the name could not be shown to a reader as it is.
    """
    return _signing_key(Ed25519PrivateKey.generate(), check_name(name, "NAME"), None)


def check_name(name: str, where: object) -> str:
    """A signer's name, refused where it is empty, long, or holds what a terminal or a page would not show.

    Raises
    ------
    KeyFileError
    """
    problem = None
    if not name.strip() or name != name.strip():
        problem = "is empty, or begins or ends with a space"
    elif not name.isprintable():
        problem = "holds characters that cannot be printed, or a line break"
    elif len(name) > _LONGEST_NAME:
        problem = f"is longer than {_LONGEST_NAME} characters"
    if problem:
        raise KeyFileError(
            f"the signer's name {name[:_LONGEST_NAME]!r} {problem}",
            where=where,
            todo="Give a person or a role on one line.",
        )
    return name


def save_key(key: SigningKey, folder: Path, passphrase: str | None = None) -> tuple[Path, Path]:
    """Write a private key file, readable by its owner alone, and the public one beside it.

    Returns
    -------
    private, public
        ``<name>.key`` and ``<name>.pub``, the name with dashes for what a file's name should not hold.

    Raises
    ------
    KeyFileError
        When there is a file of one of these names: a key that is lost cannot be made again.
    OutputError
        When one cannot be written.
    """
    stem = safe_file_stem(key.name)
    private, public = (folder / f"{stem}{suffix}" for suffix in (PRIVATE_SUFFIX, PUBLIC_SUFFIX))
    for path in (private, public):
        if os.path.lexists(path):
            raise KeyFileError(
                "there is such a file already, and a key is never replaced",
                where=path,
                todo="Give another name or --out, or move the old key elsewhere.",
            )
    with whole_file(private, replace=False) as temporary:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(key.file_bytes(passphrase))
    with whole_file(public, replace=False) as temporary:
        temporary.write_bytes(key.public.file_bytes())
    return private, public


def load_private_key(path: str | Path, passphrase: str | None = None) -> SigningKey:
    """A private key from its file.

    Parameters
    ----------
    passphrase
        Left aside where the file is not encrypted.

    Raises
    ------
    KeyFileError
        When others than its owner may use the file; when the passphrase is missing or wrong; when it is no
        Ed25519 private key, or not the one that its ``Key-Id`` names.
    """
    path = Path(path)
    data = _read(path, private=True)
    encrypted = _ENCRYPTED in data
    if encrypted and not passphrase:
        raise KeyFileError(
            "the key is encrypted", where=path, todo="Give its passphrase, or set XCTRULES_KEY_PASSPHRASE."
        )
    secret = passphrase.encode("utf-8") if encrypted and passphrase else None
    try:
        key = pem.load_pem_private_key(data, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if encrypted and "password" in str(error).lower():
            raise KeyFileError("the passphrase is wrong", where=path, todo="Give the key's own.") from error
        raise _no_key(path, "private") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(path, "private")
    return _checked(_signing_key(key, _name(data, path), encrypted), data, path)


def load_public_key(path: str | Path) -> PublicKey:
    """A public key from its file; of a private key's file, nothing is taken.

    Raises
    ------
    KeyFileError
        When it is no Ed25519 public key, or not the one that its ``Key-Id`` names.
    """
    path = Path(path)
    data = _read(path, private=False)
    if _PRIVATE in data:
        raise KeyFileError(
            "this is a private key, which belongs to who signs",
            where=path,
            todo=f"Give the public one beside it, which ends in {PUBLIC_SUFFIX}.",
        )
    try:
        key = pem.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _no_key(path, "public") from error
    if not isinstance(key, Ed25519PublicKey):
        raise _no_key(path, "public")
    public = PublicKey(_name(data, path), key.public_bytes_raw())
    return _checked(public, data, path)


def is_private(path: str | Path) -> bool:
    """Whether a file claims to hold a private key.

    Raises
    ------
    KeyFileError
        When it cannot be read.
    """
    return _PRIVATE in _read(Path(path), private=False)


def asks_for_passphrase(path: str | Path) -> bool:
    """Whether a private key file is encrypted.

    Raises
    ------
    KeyFileError
        As :func:`load_private_key`, before any passphrase is asked for.
    """
    return _ENCRYPTED in _read(Path(path), private=True)


def _signing_key(key: Ed25519PrivateKey, name: str, encrypted: bool | None) -> SigningKey:
    return SigningKey(PublicKey(name, key.public_key().public_bytes_raw()), encrypted, _private=key)


def _with_head(key: PublicKey, body: bytes) -> bytes:
    return f"Name: {key.name}\nKey-Id: {key.key_id}\n".encode() + body


def _read(path: Path, *, private: bool) -> bytes:
    """A key file's bytes; a private one must be its owner's alone (where the system has such permissions)."""
    try:
        with path.open("rb") as stream:
            held = os.fstat(stream.fileno())
            mode = stat.S_IMODE(held.st_mode)
            if private and mode & 0o077 and os.name == "posix":
                raise KeyFileError(
                    f"others may use this private key (its permissions are {mode:03o})",
                    where=path,
                    todo=f"chmod 600 {path.name} makes it its owner's; if others had it, make a new one.",
                )
            data = stream.read(_LARGEST_FILE + 1)
    except FileNotFoundError as error:
        raise KeyFileError("there is no such file", where=path, todo="Check the path.") from error
    except OSError as error:
        raise KeyFileError(f"cannot be read ({error.strerror or error})", where=path) from error
    if len(data) > _LARGEST_FILE:
        raise KeyFileError("the file is too large to be a key", where=path, todo="Check the path.")
    return data


def _head(data: bytes) -> dict[str, bytes]:
    """The lines before the PEM block, by their first word."""
    return {name.decode(): value for name, value in _HEAD.findall(data.partition(b"-----BEGIN")[0])}


def _name(data: bytes, path: Path) -> str:
    """The name in a key file; where there is none, as in one that another program made, the file's own."""
    stated = _head(data).get("Name")
    name = path.stem if stated is None else stated.decode("utf-8", "backslashreplace")
    return check_name(name, path)


_K = TypeVar("_K", PublicKey, SigningKey)


def _checked(key: _K, data: bytes, path: Path) -> _K:
    stated = _head(data).get("Key-Id")
    if stated is not None and stated != key.key_id.encode():
        raise KeyFileError(
            f"the key in it is not the one that its Key-Id names: it is {key.key_id}",
            where=path,
            todo="The file was changed or put together from two; get it anew from its owner.",
        )
    return key


def _no_key(path: Path, kind: str) -> KeyFileError:
    made_by = "xctrules keys new makes one"
    return KeyFileError(
        f"this is no Ed25519 {kind} key in PEM", where=path, todo=f"Check the path; {made_by}."
    )
