"""``xctrules verify``: are reports and records whole, and does the verdict follow from them?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xctrules.cli.console import DOES_NOT_HOLD, FINE, UNUSABLE, AsJson, command, complain, say, say_json
from xctrules.core.errors import XctrulesError
from xctrules.core.wording import visible

if TYPE_CHECKING:
    from xctrules.records.archive.checkpoint import Checkpoint
    from xctrules.records.signing.checking import Signature, Trust
    from xctrules.records.verify import VerifyResult

EXIT_CODES = (
    "Exit codes: 0 everything holds; 1 something does not, or a page could not be checked; "
    "2 something cannot be read."
)


@command
def verify(
    paths: Annotated[
        list[Path], typer.Argument(help="Reports, records, folders of cells, archives.", metavar="PATH...")
    ],
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what does not hold.")] = False,
    trust: Annotated[
        list[Path] | None,
        typer.Option(help="Public key of somebody whose signature counts.", metavar="FILE.pub"),
    ] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(
            help="What must have been signed by a trusted key: measured, reviewed, released.",
            metavar="MEANING",
        ),
    ] = None,
    tsa_root: Annotated[
        list[Path] | None,
        typer.Option(help="Root certificate (PEM) of a time-stamp authority that you trust.", metavar="FILE"),
    ] = None,
    earlier: Annotated[
        list[Path] | None,
        typer.Option(help="Checkpoint of the archive that was kept elsewhere.", metavar="FILE"),
    ] = None,
) -> int:
    """Check reports and records offline: are they whole, and does the verdict follow from them?"""
    from xctrules.records.archive.checkpoint import parse_checkpoint
    from xctrules.records.reading import read_bytes

    trusted = _trust(trust or (), require or (), tsa_root or ())
    checkpoints = {str(path): parse_checkpoint(read_bytes(path), path) for path in earlier or ()}
    results: list[VerifyResult] = []
    unreadable = False
    for path in paths:
        try:
            results.extend(_check(path, trusted, checkpoints))
        except XctrulesError as error:  # the other paths are still worth checking
            complain(str(error))
            unreadable = True
    if as_json:
        say_json([_as_json(result) for result in results])
    else:
        for result in results:
            _show(result, quiet)
    if unreadable or any(result.unreadable for result in results):
        return UNUSABLE
    return FINE if all(result.ok for result in results) else DOES_NOT_HOLD


def _trust(keys: Sequence[Path], meanings: Sequence[str], authorities: Sequence[Path]) -> Trust:
    from xctrules.records.signing.checking import Trust, check_meaning
    from xctrules.records.signing.keys import load_public_key
    from xctrules.records.signing.timestamps import load_roots

    if meanings and not keys:
        raise XctrulesError(
            "nobody is trusted to have signed it", where="--require", todo="Give their keys with --trust."
        )
    return Trust(
        tuple(load_public_key(path) for path in keys),
        tuple(check_meaning(meaning, "--require") for meaning in meanings),
        tuple(root for path in authorities for root in load_roots(path)),
    )


def _check(path: Path, trust: Trust, earlier: Mapping[str, Checkpoint]) -> Iterable[VerifyResult]:
    """An archive as a whole, one of its records as a part of it, anything else by itself."""
    from xctrules.records.archive.checking import verify_archive
    from xctrules.records.archive.layout import archive_around, is_archive
    from xctrules.records.archive.member import verify_member
    from xctrules.records.archive.membership import check_proof_beside, vouched_by_proof
    from xctrules.records.certificates.checking import check_certificate_beside
    from xctrules.records.folders import verify_all

    if is_archive(path):
        return verify_archive(path, trust, earlier)
    archive = archive_around(path)
    if archive is not None:
        return [verify_member(path, archive, trust)]
    results = verify_all(path, vouched_by_proof(path, trust))
    return [check_certificate_beside(check_proof_beside(result, trust.keys)) for result in results]


def _show(result: VerifyResult, quiet: bool) -> None:
    more = ", but for what was not checked" if result.unchecked and result.answer == "holds" else ""
    whose = f"{result.cell_id}, {result.verdict}: " if result.cell_id else ""
    say(visible(f"{result.path}: {whose}{result.answer}{more}"))
    if result.record_sha256 and not quiet:
        say(visible(f"  {result.standing}"))
        say(f"  record's SHA-256: {result.record_sha256}")
    for finding in result.findings:
        if not quiet or finding.holds is False or (finding.needed and finding.holds is None):
            say(f"  {finding}")


def _as_json(result: VerifyResult) -> dict[str, Any]:
    findings = [{"where": f.where, "what": f.what, "holds": f.holds} for f in result.findings]
    return {
        "path": str(result.path),
        "cell_id": result.cell_id,
        "verdict": result.verdict,
        "holds": result.answer == "holds",
        "answer": result.answer,
        "record_sha256": result.record_sha256,
        "signatures": [_signature_json(each) for each in result.signatures],
        "findings": findings,
    }


def _signature_json(signature: Signature) -> dict[str, Any]:
    said = signature.statement
    return {
        "file": signature.file,
        "state": signature.state,
        "meaning": said and said.meaning,
        "signer": signature.name or None,
        "key_id": said and said.signer.key_id,
        "time": said and said.time,
        "time_stamped": signature.stamped,
    }
