#!/usr/bin/env python3
"""Check an archive of inspected cells: nothing was changed, dropped, added or moved since it was logged.

    python verify_xctrules.py ARCHIVE [--key FILE.pub] [--earlier CHECKPOINT]

Python's standard library does all of it but the signatures (Ed25519), which take the package "cryptography".
Exit code 0: holds; 1: does not hold; 2: cannot be checked.

What is checked, in this order:

1. "checkpoint": a text of three lines (whose log, number of entries, root hash) and its signature.
2. Every entry of the log, whose hashes together give that root (the Merkle tree of RFC 6962).
3. Every file that an entry lists: its SHA-256 and its size.
4. The proof beside every record: its hashes lead from the entry to a checkpoint signed at that time.
5. That there are no files that the log does not know.

Not checked here: that a verdict follows from its numbers. "xctrules verify" does that.
"""

# mypy: allow-untyped-defs, allow-untyped-calls

import argparse
import base64
import hashlib
import json
import re
import sys
from pathlib import Path

DERIVED = {"index.sqlite", "index.sqlite-journal", "index.html", "lock", "pending"}
"""Files that may be there and prove nothing."""


class Wrong(Exception):
    """Something that does not hold."""


# --- hashes ------------------------------------------------------------------------------------------------


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def grown(frontier, size, leaf):
    """Roots of the perfect subtrees of a tree of ``size`` leaves, after one more."""
    frontier, node = list(frontier), leaf
    while size & 1:
        node, size = sha256(b"\x01", frontier.pop(), node), size >> 1
    return [*frontier, node]


def root_of(frontier):
    """The tree's root from those of its perfect subtrees."""
    root = frontier[-1]
    for left in reversed(frontier[:-1]):
        root = sha256(b"\x01", left, root)
    return root


# --- texts -------------------------------------------------------------------------------------------------


def decoded(text, length):
    data = base64.b64decode(text, validate=True)
    if len(data) != length or base64.b64encode(data).decode() != text:
        raise Wrong("base64 that is not as it was written")
    return data


def parse_checkpoint(data):
    """Origin, size, root, signed bytes, and signatures as (name, hash and signature)."""
    try:
        text = data.decode("utf-8")
        body, signatures = text.split("\n\n", 1)
        origin, size, root = body.split("\n")
        if not re.fullmatch(r"[^\s+\x00-\x1f\x7f]{1,200}", origin) or not re.fullmatch(
            r"0|[1-9][0-9]*", size
        ):
            raise Wrong("no checkpoint")
        lines = signatures.splitlines()
        signed = [line.removeprefix("— ").split(" ") for line in lines if line.startswith("— ")]
        if "".join(f"— {name} {code}\n" for name, code in signed) != signatures:
            raise Wrong("no checkpoint")
        known = [(name, decoded(code, 68)) for name, code in signed]
        return origin, int(size), decoded(root, 32), (body + "\n").encode(), known
    except (ValueError, AttributeError) as error:
        raise Wrong("not readable as a checkpoint") from error


def is_signed(checkpoint, raw_key):
    """Whether a checkpoint has a signature of a key (32 bytes) in its own name, and no wrong one."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    origin, _, _, body, signatures = checkpoint
    key_hash = sha256(origin.encode(), b"\n\x01", raw_key)[:4]
    own = [code[4:] for name, code in signatures if name == origin and code[:4] == key_hash]
    try:
        for signature in own:
            Ed25519PublicKey.from_public_bytes(raw_key).verify(signature, body)
    except InvalidSignature:
        return False
    return bool(own)


def key_of(entry):
    """The key (32 bytes) that the archive's first entry names; None where it has none."""
    if entry.get("kind") != "archive":
        raise Wrong("the log does not begin with an archive's first entry")
    try:
        if entry["key"] is None:
            return None
        name, key_hash, code = entry["key"]["verifier"].split("+", 2)
        raw = decoded(code, 33)[1:]
        if name != entry["origin"] or sha256(name.encode(), b"\n\x01", raw)[:4].hex() != key_hash:
            raise Wrong("the key's hash does not fit the key")
        return raw
    except (KeyError, TypeError, ValueError) as error:
        raise Wrong("it names no key that could be used") from error


def given_key(path):
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    return load_pem_public_key(Path(path).read_bytes()).public_bytes(Encoding.Raw, PublicFormat.Raw)


# --- where files lie ---------------------------------------------------------------------------------------


def entry_path(index):
    return f"log/{index // 1000:06d}/{index:09d}.json"


def folder_of(entry):
    return f"records/{entry['record'][:2]}/{entry['record']}"


def proof_path(entry, index):
    if entry["kind"] == "record":
        return f"{folder_of(entry)}/archive.tlog-proof"
    return entry_path(index).removesuffix(".json") + ".tlog-proof"


def file_path(entry, name):
    return name if entry["kind"] == "archive" else f"{folder_of(entry)}/{name}"


# --- checks ------------------------------------------------------------------------------------------------


def parse_entry(data, index):
    try:
        entry = json.loads(data.decode("utf-8"))
        plain = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        names = [file["name"] for file in entry["files"]]
        safe = all(not n.startswith("/") and "\\" not in n and ".." not in n.split("/") for n in names)
        hashes = [file["sha256"] for file in entry["files"]] + (
            [] if entry["kind"] == "archive" else [entry["record"]]
        )
        safe = safe and all(re.fullmatch("[0-9a-f]{64}", h) for h in hashes)
        safe = safe and entry["kind"] in ("archive", "record", "addition")
        safe = safe and all(type(file["size"]) is int for file in entry["files"])
        if plain != data or entry["index"] != index or not safe or sorted(set(names)) != names:
            raise Wrong("it is not the entry that belongs here, or was changed")
        own = {file["name"]: file["sha256"] for file in entry["files"]}
        if entry["kind"] == "record" and own.get("record.json") != entry["record"]:
            raise Wrong("the record that it names is not the one that it lists")
        return entry
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Wrong("not readable as an entry") from error


def check_proof(data, entry_data, index, before, key):
    """A proof is this text, made anew from the entry, the tree before it, and its signed checkpoint."""
    head, _, note = data.partition(b"\n\n")
    path = "".join(base64.b64encode(h).decode() + "\n" for h in reversed(before))
    extra = base64.b64encode(entry_data).decode()
    expected = f"c2sp.org/tlog-proof@v1\nextra {extra}\nindex {index}\n{path}"
    if (head.decode("utf-8", "replace") + "\n") != expected:
        raise Wrong("the proof is not of this entry at this place in the log")
    checkpoint = parse_checkpoint(note)
    if checkpoint[1] != index + 1:
        raise Wrong("the proof's checkpoint is of another size")
    if checkpoint[2] != root_of(grown(before, index, sha256(b"\x00", entry_data))):
        raise Wrong("the proof's hashes do not lead to its checkpoint")
    if bool(checkpoint[4]) != (key is not None) or (key is not None and not is_signed(checkpoint, key)):
        raise Wrong("the proof's checkpoint is not signed as this archive's are")
    return checkpoint[0]


def check(root, key_file=None, earlier=None, say=print):
    """Check the archive at ``root``; the number of things that do not hold."""
    faults = 0

    def wrong(where, what):
        nonlocal faults
        faults += 1
        say(f"DOES NOT HOLD: {where}: {what}")

    where = "checkpoint"
    try:
        head = parse_checkpoint((root / where).read_bytes())
        where = entry_path(0)
        key = key_of(parse_entry((root / where).read_bytes(), 0))
    except (OSError, Wrong) as error:
        wrong(where, error)
        return faults
    if key is None and (head[4] or key_file):
        wrong("checkpoint", "the archive has no key, but is signed, or a key was given to check it with")
    elif key is not None and not is_signed(head, key):
        wrong("checkpoint", "it is not signed with the archive's key")
    if key_file and key is not None and given_key(key_file) != key:
        wrong(entry_path(0), "the archive's key is not the one that was given")
    if key is None:
        say("not checked: the archive is not signed: who writes all of it anew leaves no trace")
    elif not key_file:
        say("not checked: whose key this is; give the one that you trust with --key")

    frontier: list[bytes] = []
    known, old_root = {"checkpoint"}, None
    old = parse_checkpoint(earlier.read_bytes()) if earlier else None
    for index in range(head[1]):
        where = entry_path(index)
        known.add(where)
        try:
            data = (root / where).read_bytes()
        except OSError:
            wrong(where, "the entry is missing")
            return faults
        before, frontier = frontier, grown(frontier, index, sha256(b"\x00", data))
        if old and old[1] == index + 1:
            old_root = root_of(frontier)
        try:
            entry = parse_entry(data, index)
        except Wrong as error:
            wrong(where, error)
            continue
        for file in entry["files"]:
            path = file_path(entry, file["name"])
            known.add(path)
            try:
                content = (root / path).read_bytes()
            except OSError:
                wrong(path, "the file is missing")
                continue
            if (hashlib.sha256(content).hexdigest(), len(content)) != (file["sha256"], file["size"]):
                wrong(path, "the file was changed")
        where = proof_path(entry, index)
        known.add(where)
        try:
            proof = (root / where).read_bytes()
            if b"\nextra " + base64.b64encode(data) + b"\n" not in proof:
                wrong(
                    entry_path(index), "it is not the entry that its proof holds: one of the two was changed"
                )
            if check_proof(proof, data, index, before, key) != head[0]:
                raise Wrong("the proof is of another log")
        except (OSError, Wrong) as error:
            wrong(where, f"the proof is missing: {error}" if isinstance(error, OSError) else error)
    if not frontier or root_of(frontier) != head[2]:
        wrong("checkpoint", f"its root is not that of the {head[1]} entries")
    if old and (old[0] != head[0] or old_root != old[2] or (key is not None and not is_signed(old, key))):
        wrong(earlier, "the log does not go on from this checkpoint")
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        transient = name in DERIVED or name.endswith(".new") or name.startswith("pages/")
        if (path.is_symlink() or not path.is_dir()) and name not in known and not transient:
            wrong(name, "the log does not know this file")
    say(f"{root}: {'DOES NOT HOLD' if faults else 'holds'}: {head[1]} entries of {head[0]}")
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("archive", type=Path)
    parser.add_argument("--key", help="public key (PEM) of whom you trust to have written it")
    parser.add_argument("--earlier", type=Path, help="a checkpoint that was kept elsewhere")
    given = parser.parse_args()
    try:
        return 1 if check(given.archive, given.key, given.earlier) else 0
    except (OSError, Wrong, ValueError, ImportError) as error:
        print(f"cannot be checked: {error}")
        return 2


if __name__ == "__main__":
    sys.exit(main())
