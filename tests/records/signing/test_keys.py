"""Keys: what OpenSSL reads and signs, whom a file lets sign, and what is refused."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from xctrules.core.errors import KeyFileError, OutputError
from xctrules.core.files import whole_file
from xctrules.records.signing.keys import (
    PublicKey,
    load_private_key,
    load_public_key,
    new_key,
    save_key,
)

#: RFC 8032, section 7.1, TEST 2.
SEED = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
PUBLIC = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
SIGNATURE = (
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)
DER = {
    "private": bytes.fromhex("302e020100300506032b657004220420"),
    "public": bytes.fromhex("302a300506032b6570032100"),
}
"""The fixed head of an Ed25519 key in PKCS#8 and in SubjectPublicKeyInfo (RFC 8410)."""


def pem(kind: str, body: bytes) -> bytes:
    import base64

    label = f"{kind.upper()} KEY"
    text = base64.b64encode(DER[kind] + body).decode()
    return f"-----BEGIN {label}-----\n{text}\n-----END {label}-----\n".encode()


def private_file(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def test_a_key_of_the_standard_signs_as_the_standard_says(tmp_path: Path) -> None:
    path = private_file(tmp_path / "lab.key", pem("private", bytes.fromhex(SEED)))
    key = load_private_key(path)
    assert key.sign(b"\x72").hex() == SIGNATURE
    assert key.public.raw.hex() == PUBLIC
    assert key.name == "lab"  # for want of a better one
    assert key.key_id == hashlib.sha256(DER["public"] + bytes.fromhex(PUBLIC)).hexdigest()
    assert key.public.verify(bytes.fromhex(SIGNATURE), b"\x72")
    assert not key.public.verify(bytes.fromhex(SIGNATURE), b"\x73")
    assert not key.public.verify(b"", b"\x72")
    (tmp_path / "lab.pub").write_bytes(pem("public", bytes.fromhex(PUBLIC)))
    assert load_public_key(tmp_path / "lab.pub") == key.public


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs OpenSSL")
def test_openssl_reads_both_files_and_agrees(tmp_path: Path) -> None:
    key = new_key("Jörg, QA")
    private, public = save_key(key, tmp_path, "a long pässphrase")

    def openssl(*words: str) -> bytes:
        return subprocess.run(["openssl", *words], check=True, capture_output=True).stdout

    der = openssl("pkey", "-pubin", "-in", str(public), "-outform", "DER")
    assert hashlib.sha256(der).hexdigest() == key.key_id
    (tmp_path / "data").write_bytes(b"some bytes")
    passphrase = f"pass:{'a long pässphrase'}"
    signature = openssl(
        "pkeyutl", "-sign", "-rawin", "-inkey", str(private), "-passin", passphrase,
        "-in", str(tmp_path / "data"),
    )  # fmt: skip
    assert signature == key.sign(b"some bytes")


def test_what_was_saved_is_read_back(tmp_path: Path) -> None:
    key = new_key("Jane Doe, quality assurance")
    private, public = save_key(key, tmp_path / "new")
    assert (private.name, public.name) == (
        "Jane-Doe--quality-assurance.key",
        "Jane-Doe--quality-assurance.pub",
    )
    again = load_private_key(private)
    assert (again.name, again.public, again.encrypted) == (key.name, key.public, False)
    assert load_public_key(public) == key.public
    assert again.sign(b"x") == key.sign(b"x")
    with pytest.raises(KeyFileError, match="already"):
        save_key(new_key("Jane Doe, quality assurance"), tmp_path / "new")
    assert load_private_key(private).key_id == key.key_id
    assert "_private" not in repr(again)


@pytest.mark.skipif(os.name != "posix", reason="needs permissions")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610, 0o666])
def test_a_private_key_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    old = os.umask(0)
    try:
        private, _ = save_key(new_key("lab"), tmp_path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    private.chmod(mode)
    with pytest.raises(KeyFileError, match=rf"others may use.*{mode:03o}.*chmod 600"):
        load_private_key(private)


def test_passphrases(tmp_path: Path) -> None:
    key = new_key("lab")
    private, _ = save_key(key, tmp_path, "right")
    assert load_private_key(private, "right").encrypted is True
    with pytest.raises(KeyFileError, match="encrypted"):
        load_private_key(private)
    with pytest.raises(KeyFileError, match="passphrase is wrong"):
        load_private_key(private, "wrong")
    open_key, _ = save_key(new_key("open"), tmp_path)
    assert load_private_key(open_key, "not needed").encrypted is False


@pytest.mark.parametrize(
    "name", ["", " ", "a ", "a\nKey-Id: 00", "a\x1b[31mred", "\u202egnp.exe", "x" * 101, "\ud800", "a\u2028b"]
)
def test_hostile_names_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="name"):
        new_key(name)
    if "\n" not in name and name not in ("a ", "\ud800"):  # such a file says something else
        head = f"Name: {name}\n".encode()
        path = tmp_path / "x.pub"
        path.write_bytes(head + pem("public", bytes.fromhex(PUBLIC)))
        with pytest.raises(KeyFileError, match="name"):
            load_public_key(path)


def test_a_name_leads_no_file_out_of_the_folder(tmp_path: Path) -> None:
    private, public = save_key(new_key("../../etc/x"), tmp_path)
    assert private.parent == public.parent == tmp_path
    assert load_public_key(public).name == "../../etc/x"


def test_what_is_no_key_is_refused_with_words(tmp_path: Path) -> None:
    private, public = save_key(new_key("lab"), tmp_path)
    with pytest.raises(KeyFileError, match="private key, which belongs"):
        load_public_key(private)
    with pytest.raises(KeyFileError, match="no Ed25519 private key"):
        load_private_key(private_file(tmp_path / "a", public.read_bytes()))
    for data in (b"", b"junk", public.read_bytes().replace(b"MC", b"MD"), b"x" * 30_000):
        (tmp_path / "b").write_bytes(data)
        with pytest.raises(KeyFileError):
            load_public_key(tmp_path / "b")
    with pytest.raises(KeyFileError, match="no such file"):
        load_public_key(tmp_path / "c")
    swapped = public.read_bytes().split(b"-----BEGIN")[0] + pem("public", bytes.fromhex(PUBLIC))
    (tmp_path / "d").write_bytes(swapped)
    with pytest.raises(KeyFileError, match="not the one that its Key-Id names"):
        load_public_key(tmp_path / "d")


def test_keys_of_other_kinds_are_refused(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    other = X25519PrivateKey.generate()
    secret = other.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())
    with pytest.raises(KeyFileError, match="no Ed25519"):
        load_private_key(private_file(tmp_path / "x.key", secret))
    (tmp_path / "x.pub").write_bytes(
        other.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(KeyFileError, match="no Ed25519"):
        load_public_key(tmp_path / "x.pub")


def test_two_keys_differ_and_do_not_verify_each_other() -> None:
    one, other = new_key("lab"), new_key("lab")
    assert one.key_id != other.key_id
    assert not other.public.verify(one.sign(b"x"), b"x")
    assert PublicKey("another name", one.public.raw).key_id == one.key_id  # it depends on the key alone


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_must_not_be_replaced_stays(tmp_path: Path, monkeypatch, links: bool) -> None:
    if not links:
        monkeypatch.setattr(os, "link", lambda *args, **options: (_ for _ in ()).throw(OSError))
    with whole_file(tmp_path / "a", replace=False) as temporary:
        temporary.write_bytes(b"first")
    with pytest.raises(OutputError, match="already"), whole_file(tmp_path / "a", replace=False) as temporary:
        temporary.write_bytes(b"second")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a", b"first")]
