"""Formats that hold volumes and that no bundled reader reads: to be told by name rather than as unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SLICES = "Export the reconstructed volume as TIFF slices"


@dataclass(frozen=True)
class Format:
    """A format by its files' endings (lower case) or first bytes, and the way from it to a scan."""

    name: str
    endings: tuple[str, ...]
    way: str
    magic: bytes = b""
    offset: int = 0


FORMATS = (
    Format("DICOM", (".dcm", ".dicom", ".ima"), f"{_SLICES} (16 bit).", b"DICM", 128),
    Format("Zeiss Xradia (TXM)", (".txm", ".txrm"), f"{_SLICES} in the scanner's own program.",
           b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
    Format("HDF5", (".h5", ".hdf5", ".hdf", ".nxs", ".nx5", ".he5"), f"{_SLICES}.", b"\x89HDF\r\n\x1a\n"),
    Format("NetCDF", (".nc", ".nc4", ".cdf"), f"{_SLICES}.", b"CDF"),
    Format("NIfTI", (".nii", ".nii.gz", ".hdr", ".img"), f"{_SLICES}.", b"n+1\x00", 344),
    Format("NumPy", (".npy", ".npz"), "Save it with tifffile.imwrite as TIFF.", b"\x93NUMPY"),
    Format("MATLAB", (".mat",), f"{_SLICES}.", b"MATLAB 5.0"),
    Format("Amira/Avizo", (".am", ".hx"), f"{_SLICES}.", b"# AmiraMesh"),
    Format("NRRD with its data inside", (".nrrd",), "Save it with a header of its own (.nhdr), uncompressed.",
           b"NRRD0"),
    Format("MetaImage with its data inside", (".mha",), "Save it as .mhd with a .raw beside it."),
    Format("Scanco ISQ", (".isq", ".aim", ".rsq"), f"{_SLICES}.", b"CTDATA-HEADER_V1"),
    Format("VGStudio project", (".vgl", ".vgarchive"), f"{_SLICES} or as .raw with its .vgi."),
    Format("TESCAN or Bruker volume", (".rek", ".vff", ".vg3"), f"{_SLICES}."),
    Format("PNG", (".png",), f"{_SLICES}: PNG has no place for a voxel size.", b"\x89PNG\r\n\x1a\n"),
    Format("BMP", (".bmp",), f"{_SLICES}.", b"BM"),
    Format("JPEG", (".jpg", ".jpeg", ".jp2"), f"{_SLICES}: what JPEG leaves out is what is measured.",
           b"\xff\xd8\xff"),
    Format("an archive", (".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz"), "Unpack it first."),
)  # fmt: skip


def format_of(file: Path) -> Format | None:
    """The unread format that a file is of, by its first bytes or else its ending; ``None`` for all others."""
    begin = b""
    try:
        with file.open("rb") as stream:
            begin = stream.read(352)
    except OSError:
        pass  # its name is enough
    for known in FORMATS:
        if known.magic and begin[known.offset : known.offset + len(known.magic)] == known.magic:
            return known
    return next((known for known in FORMATS if file.name.lower().endswith(known.endings)), None)


def common_format(files: Sequence[Path]) -> Format | None:
    """The format of the first of a folder's files that has one."""
    return next((found for file in files[:20] if (found := format_of(file)) is not None), None)
