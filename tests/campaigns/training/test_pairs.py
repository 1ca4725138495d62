"""Images and labels as annotation tools write them: read alike, refused by name, split fairly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from training_planes import BACKGROUND, CAN, CATHODE, COPPER, HEIGHT, OVERHANG, save, stripes, write

from xctrules.campaigns.training.augment import Augmentation, vary
from xctrules.campaigns.training.pairs import UNKNOWN, named, read_pairs, turned
from xctrules.core.errors import XctrulesError


def read(data: Path, **options):
    pairs = read_pairs(data, **options)
    return np.concatenate([s.grey for s in (*pairs.train, *pairs.validation)]), pairs


# --- formats ---------------------------------------------------------------------------------------------


def fiji(path: Path, planes: np.ndarray) -> None:
    tifffile.imwrite(path, planes, imagej=True, metadata={"axes": "ZYX"})


def pages(path: Path, planes: np.ndarray) -> None:
    """One page after the other, as ITK writes them: nothing says that they belong together."""
    with tifffile.TiffWriter(path) as tiff:
        for plane in planes:
            tiff.write(plane, contiguous=False, metadata=None)


def napari(path: Path, planes: np.ndarray) -> None:
    tifffile.imwrite(path, planes, compression="zlib", photometric="minisblack")


@pytest.mark.parametrize("writer", [fiji, pages, napari])
@pytest.mark.parametrize(
    ("image_type", "scale", "label_type"),
    [
        ("uint8", 40, "uint8"),
        ("uint16", 9000, "uint16"),
        ("float32", 0.01, "float32"),
        ("int16", 3000, "int8"),
    ],
)
def test_any_grey_scale_and_any_writer_gives_the_same_planes(tmp_path, writer, image_type, scale, label_type):
    """A scale and an offset are all that differ, so the standard grey must be the same but for rounding."""
    if writer is fiji and (image_type == "int16" or label_type == "int8"):
        pytest.skip("ImageJ has no signed integers")
    grey, labels = stripes(6, seed=3)
    write(tmp_path / "plain", "stack", grey * 100 + 100, labels)
    other = tmp_path / "other"
    for name, planes in (
        ("images", (grey * scale + scale).astype(image_type)),
        ("labels", labels.astype(label_type)),
    ):
        (other / name).mkdir(parents=True)
        writer(other / name / "stack.tif", planes)
    expected, found = read(tmp_path / "plain")[0], read(other)[0]
    # Rounding moves each pixel by one of the file's steps at most, and the levels, being means, by less.
    step = 0.0 if image_type == "float32" else 1 / scale
    assert np.abs(found - expected).max() <= 3 * step + 1e-5


def test_planes_on_the_standard_scale_stay_as_they_are(tmp_path):
    grey, labels = stripes(6, seed=3)
    write(tmp_path, "stack", grey, labels)
    _, pairs = read(tmp_path)
    held = {
        plane: image
        for s in (*pairs.train, *pairs.validation)
        for plane, image in zip(s.planes, s.grey, strict=True)
    }
    for name, image in held.items():
        np.testing.assert_array_equal(image, grey[int(name.split()[2]) - 1])


def test_a_width_that_cannot_be_halved_is_filled_up_with_unknown(tmp_path):
    grey, labels = stripes(6, width=141, seed=3)
    write(tmp_path, "stack", grey, labels)
    for sequence in read(tmp_path)[1].train:
        assert sequence.grey.shape[1:] == sequence.labels.shape[1:] == (HEIGHT, 144)
        assert (sequence.labels[:, :, 141:] == UNKNOWN).all()
        assert (sequence.labels[:, :, :141] != UNKNOWN).all()


def test_a_stack_of_three_planes_written_as_colours_is_a_stack(tmp_path):
    grey, labels = stripes(4, seed=3)
    write(tmp_path, "stack", grey, labels)
    for name, planes in (("images", grey), ("labels", labels)):
        tifffile.imwrite(tmp_path / name / "stack.tif", planes, photometric="rgb", planarconfig="separate")
    assert read(tmp_path)[0].shape[1:] == grey.shape[1:]


# --- refusals --------------------------------------------------------------------------------------------


def missing_label(data):
    (data / "labels" / "b.tif").unlink()
    return "b.tif", "no labels for this image"


def missing_image(data):
    (data / "images" / "b.tif").unlink()
    return "b.tif", "no image for these labels"


def other_shape(data):
    save(data / "labels" / "b.tif", tifffile.imread(data / "labels" / "b.tif")[:, :, 8:])
    return "b.tif", "the labels are 4 planes of 96 × 136 pixels, their image is 4 planes of 96 × 144 pixels"


def fewer_planes(data):
    save(data / "labels" / "b.tif", tifffile.imread(data / "labels" / "b.tif")[:3])
    return "b.tif", "the labels are 3 planes"


def unknown_value(data):
    labels = tifffile.imread(data / "labels" / "b.tif")
    labels[2, 5, 5] = 7
    save(data / "labels" / "b.tif", labels)
    return "b.tif", "label 7 means nothing (plane 3)"


def half_values(data):
    save(data / "labels" / "b.tif", tifffile.imread(data / "labels" / "b.tif") * np.float32(0.5))
    return "b.tif", "label 0.5 means nothing"


def upside_down(data):
    for name in ("images", "labels"):
        save(data / name / "b.tif", tifffile.imread(data / name / "b.tif")[:, ::-1])
    return "b.tif", "upside down"


def upside_down_with_a_cap(data):
    """A bright cap over the void, which then looks like the roll."""
    image = tifffile.imread(data / "images" / "b.tif")
    image[:, :30] += 2
    save(data / "images" / "b.tif", image)
    for name in ("images", "labels"):
        save(data / name / "b.tif", tifffile.imread(data / name / "b.tif")[:, ::-1])
    return "b.tif", "plane 1 of 4: the overhang lies below"


def one_mirrored(data):
    for name in ("images", "labels"):
        planes = tifffile.imread(data / name / "b.tif")
        planes[2] = planes[2, :, ::-1]
        save(data / name / "b.tif", planes)
    return "b.tif", "plane 3 of 4: the can lies left"


def planes_last(data):
    for name in ("images", "labels"):
        save(data / name / "b.tif", np.moveaxis(tifffile.imread(data / name / "b.tif"), 0, -1).copy())
    return "b.tif", "the axis that counts planes comes first"


def labels_upside_down(data):
    save(data / "labels" / "b.tif", tifffile.imread(data / "labels" / "b.tif")[:, ::-1])
    return "b.tif", "the same way round"


def nothing_labelled(data):
    save(data / "labels" / "b.tif", np.zeros_like(tifffile.imread(data / "labels" / "b.tif")))
    return "b.tif", "nothing is labelled"


def coloured(data):
    picture = np.repeat(tifffile.imread(data / "labels" / "b.tif")[0][..., None], 3, axis=2)
    tifffile.imwrite(data / "labels" / "b.tif", picture, photometric="rgb")
    return "b.tif", "in colour"


def no_numbers(data):
    image = tifffile.imread(data / "images" / "b.tif")
    image[1, 3, 3] = np.nan
    save(data / "images" / "b.tif", image)
    return "b.tif", "no numbers"


def too_low(data):
    for name in ("images", "labels"):
        save(data / name / "b.tif", tifffile.imread(data / name / "b.tif")[:, 16:])
    return "b.tif", "80 × 144 pixels, not 96 rows"


def damaged(data):
    whole = (data / "images" / "b.tif").read_bytes()
    (data / "images" / "b.tif").write_bytes(whole[: len(whole) // 2])
    return "b.tif", "cannot be read"


def no_picture(data):
    (data / "images" / "b.tif").write_bytes(b"II*\0nothing")
    return "b.tif", "no picture"


def no_tiff(data):
    (data / "images" / "b.tif").write_bytes(b"\x89PNG nothing")
    return "b.tif", "cannot be read"


def twice(data):
    (data / "images" / "b.tiff").write_bytes((data / "images" / "b.tif").read_bytes())
    return "b.tiff", "as well"


def empty(data):
    for path in (data / "labels").iterdir():
        path.unlink()
    return "labels", "no TIFF files"


def no_folder(data):
    (data / "labels").rename(data / "masks")
    return "labels", "no such folder"


WRONG = (
    missing_label, missing_image, other_shape, fewer_planes, unknown_value, half_values, upside_down,
    labels_upside_down, nothing_labelled, coloured, no_numbers, too_low, damaged, no_picture, no_tiff, twice,
    empty, no_folder, upside_down_with_a_cap, one_mirrored, planes_last,
)  # fmt: skip


@pytest.mark.parametrize("spoil", WRONG, ids=lambda f: f.__name__)
@pytest.mark.parametrize("part", [".", "validation"])
def test_pairs_that_do_not_match_are_refused_by_name(tmp_path, spoil, part):
    for folder in {".", part}:
        write(tmp_path / folder, "a", *stripes(4, seed=1))
        write(tmp_path / folder, "b", *stripes(4, seed=2))
    name, words = spoil(tmp_path / part)
    with pytest.raises(XctrulesError) as error:
        read_pairs(tmp_path)
    assert Path(error.value.where).name == name
    assert words in str(error.value)
    assert error.value.todo


def test_too_few_planes_to_hold_some_out(tmp_path):
    write(tmp_path, "a", *stripes(2, seed=1))
    with pytest.raises(XctrulesError, match="too few planes"):
        read_pairs(tmp_path)


def test_only_labels_that_show_it_tell_a_turned_plane():
    """Foils with their overhang, a can with its floor, and wrong pixels that a hand may leave."""
    labels = np.zeros((1, HEIGHT, 100), np.uint8)
    labels[:, 60:, 10:80] = CATHODE
    for foil in (20, 40, 60):
        labels[:, 60:, foil : foil + 3], labels[:, 50:60, foil : foil + 3] = COPPER, OVERHANG
    labels[:, :, 95:] = labels[:, 30:42] = CAN  # wall and floor
    labels[:, 90, 20], labels[:, 5, 2] = OVERHANG, CAN
    assert turned(labels) is None
    assert turned(labels[:, ::-1]) == (0, "upside down")
    assert turned(labels[:, :, ::-1]) == (0, "mirrored")
    unknown = np.where(np.isin(labels, (OVERHANG, CAN)), UNKNOWN, labels)
    assert turned(unknown[:, ::-1, ::-1]) is None
    both = np.concatenate([unknown, labels, labels[:, :, ::-1]])
    assert turned(both) == (2, "mirrored")


def relabelled(value: int, to: int) -> tuple[np.ndarray, np.ndarray]:
    grey, labels = stripes(6, seed=1)
    labels[labels == value] = to
    return grey, labels


def test_planes_without_overhang_teach_nothing_of_what_is_measured(tmp_path):
    write(tmp_path, "a", *relabelled(OVERHANG, BACKGROUND))
    with pytest.raises(XctrulesError, match=r"nothing is labelled as overhang \(4\)") as error:
        read_pairs(tmp_path)
    assert error.value.where == str(tmp_path) and error.value.todo


@pytest.mark.parametrize(("value", "label"), [(COPPER, "copper (3)"), (CATHODE, "cathode (2)")])
def test_a_class_that_nobody_labelled_is_warned_of(tmp_path, value, label):
    write(tmp_path / "without", "a", *relabelled(value, UNKNOWN))
    (warning,) = read_pairs(tmp_path / "without").warnings
    assert label in warning and "to train on" in warning
    write(tmp_path / "with", "a", *stripes(6, seed=1))
    assert read_pairs(tmp_path / "with").warnings == ()
    write(tmp_path / "with" / "validation", "a", *relabelled(value, UNKNOWN))
    (warning,) = read_pairs(tmp_path / "with").warnings
    assert label in warning and "no score" in warning


# --- the split -------------------------------------------------------------------------------------------


def numbers(sequences) -> list[int]:
    return sorted(int(plane.split()[2]) for s in sequences for plane in s.planes)


@pytest.mark.parametrize("n", [4, 8, 19, 20, 45])
@pytest.mark.parametrize("seed", range(4))
def test_what_is_held_out_is_one_stretch_without_neighbours_in_training(tmp_path, n, seed):
    grey, labels = stripes(1, seed=1)
    write(tmp_path, "turn", np.repeat(grey, n, axis=0), np.repeat(labels, n, axis=0))
    pairs = read_pairs(tmp_path, seed=seed)
    train, held = numbers(pairs.train), numbers(pairs.validation)
    assert held and len(train) >= n / 2 - 1
    assert not {i + d for i in held for d in (-1, 0, 1)} & set(train)
    if n >= 20:  # a full turn: the last plane is the first one's neighbour
        assert not (1 in held and n in train) and not (n in held and 1 in train)
    steps = np.diff(held)
    assert (steps > 1).sum() <= 1 and abs(len(held) - 0.2 * n) <= 0.5


def test_of_many_files_whole_ones_are_held_out(tmp_path):
    for i in range(10):
        write(tmp_path, f"cell_{i}", *stripes(3, seed=i))
    pairs = read_pairs(tmp_path)
    train, held = ({s.name for s in part} for part in (pairs.train, pairs.validation))
    assert len(held) == 2 and len(train) == 8 and not train & held
    assert {s.name for s in read_pairs(tmp_path).validation} == held
    assert any({s.name for s in read_pairs(tmp_path, seed=seed).validation} != held for seed in range(2, 8))


def test_single_planes_are_one_sequence_in_the_order_of_their_names(tmp_path):
    grey, labels = stripes(10, seed=4)
    for i in range(10):
        write(tmp_path, f"plane_{i:02d}", grey[i], labels[i])
    pairs = read_pairs(tmp_path)
    train, held = ([int(p[6:8]) for s in part for p in s.planes] for part in (pairs.train, pairs.validation))
    assert len(held) == 2 and not {i + d for i in held for d in (-1, 0, 1)} & set(train)


def test_many_single_planes_are_split_like_one_stack(tmp_path):
    """They may all be of one scan: neighbours, not files, are what must be kept apart."""
    grey, labels = stripes(8, seed=4)
    for i in range(8):
        write(tmp_path, f"plane_{i}", grey[i], labels[i])
    pairs = read_pairs(tmp_path)
    assert "neighbouring planes" in pairs.split
    held = [int(name[6]) for s in pairs.validation for name in s.planes]
    assert len(held) == 2 and held[1] - held[0] == 1


def test_planes_are_named_by_file_and_number():
    stack = [f"a.tif, plane {i} of 9" for i in (8, 9, 1, 2, 4)]
    assert named([*stack, "b.tif"]) == "a.tif (planes 1 to 2, 4, 8 to 9), b.tif"
    assert named(["a.tif, plane 3 of 9"]) == "a.tif (plane 3)"
    assert named(["a.tif", "b.tif", "c.tif"], most=2) == "a.tif, b.tif and 1 more"


def test_the_hash_is_of_all_that_was_read(tmp_path):
    write(tmp_path, "a", *stripes(6, seed=1))
    before = read_pairs(tmp_path).sha256
    assert read_pairs(tmp_path).sha256 == before
    labels = tifffile.imread(tmp_path / "labels" / "a.tif")
    labels[0, 0, 0] = UNKNOWN
    tifffile.imwrite(tmp_path / "labels" / "a.tif", labels)
    assert read_pairs(tmp_path).sha256 != before


# --- variation -------------------------------------------------------------------------------------------


def only(**what) -> Augmentation:
    return Augmentation(**{**vars(Augmentation().scaled(0)), **what})


@pytest.mark.parametrize(
    "how", [only(), only(stretch=0.3), only(shift_px=12), only(stretch=0.3, shift_px=12)]
)
def test_labels_move_with_their_image(how):
    """A noiseless plane whose grey is its label: wherever it is moved to, the two still agree.

    Linear interpolation mixes the greys of two classes over one pixel at each edge, so that no more than the
    share of pixels beside an edge may differ."""
    _, labels = stripes(1, seed=5)
    grey = (labels[0] * 1.0).astype(np.float32)
    beside = (np.diff(labels[0].astype(int), axis=1, prepend=0) != 0).mean()
    for seed in range(20):
        moved, marks = vary(grey, labels[0], how, np.random.default_rng(seed))
        known = marks != UNKNOWN
        assert moved.shape == marks.shape == (HEIGHT, 128)
        assert set(np.unique(marks)) <= {*range(5), UNKNOWN}
        assert (np.abs(moved - marks) > 0.5)[known].mean() <= 1.3 * beside


def test_the_same_seed_gives_the_same_crop():
    grey, labels = stripes(1, seed=5)
    one, same, other = (
        vary(grey[0], labels[0], Augmentation(), np.random.default_rng(seed))[0] for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.1


def test_lost_phase_contrast_keeps_the_roll_above_the_void():
    """Cathode and foil come closer to what surrounds them; the step from roll to void stays."""
    grey, labels = stripes(1, seed=5, noise=0.0)
    how, ratios, steps = only(phase_contrast=0.5), [], []
    for seed in range(30):
        moved, marks = vary(grey[0], labels[0], how, np.random.default_rng(seed))
        roll = slice(72, 96)
        cathode, rest = moved[roll][marks[roll] == 2].mean(), moved[roll][marks[roll] == 0].mean()
        ratios.append(float(cathode - rest))
        steps.append(float(moved[roll][marks[roll] != 1].mean() - moved[:30][marks[:30] != 1].mean()))
    whole = float(grey[0][80][labels[0][80] == 2].mean() - grey[0][80][labels[0][80] == 0].mean())
    assert min(ratios) < 0.65 * whole < whole < max(ratios)
    assert np.ptp(steps) < 0.2 * np.mean(steps)


@pytest.mark.parametrize(("name", "value"), [("noise", -0.1), ("stretch", 0.6), ("gain", float("nan"))])
def test_variation_out_of_range_is_refused(name, value):
    with pytest.raises(XctrulesError, match=name):
        Augmentation(**{name: value})
