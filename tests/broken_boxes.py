"""The package that measures boxes with plates, broken in one thing: how, and what is to be told of it.

Each case is a few lines of Python at the end of the package, where all public names are at hand.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """What is broken, what the plugin's failure says, and the verdict."""

    name: str
    lines: str
    said: str
    verdict: str = "INCOMPLETE"


def hook(name: str, expression: str) -> str:
    return f"@hookimpl\ndef xctrules_{name}():\n    return {expression}"


def method(owner: str, name: str, expression: str) -> str:
    return f"{owner}.{name} = lambda self, *given: {expression}"


# --- hooks -----------------------------------------------------------------------------------------------

NEEDED = {"frames": "Box", "segmenters": "HalfHeight", "screens": "BoxImage", "metrics": "BoxPlates"}
"""Hooks without which the box cannot be judged, and what each gives."""

EXITS = "(_ for _ in ()).throw(SystemExit(0))"

NONSENSE = {
    "raises": ("1 / 0", "raised ZeroDivisionError"),
    "exits": (EXITS, "raised SystemExit"),
    "None": ("None", "must return a list"),
    "a number": ("3", "must return a list"),
    "a text": ("'box'", "must return a list"),
    "a mapping": ("{}", "must return a list"),
    "raises midway": ("(1 / 0 for _ in [0])", "raised ZeroDivisionError"),
    "an object": ("[object()]", "returned a object that"),
    "None in a list": ("[None]", "returned a NoneType that"),
}

HOOKS = [
    *(
        Case(
            f"{name} {what}",
            hook(name, expression),
            f"xctrules_{name} {said}" if "must" not in said else said,
        )
        for name in NEEDED
        for what, (expression, said) in NONSENSE.items()
    ),
    *(Case(f"{name} a class", hook(name, f"[{kind}]"), "is a class") for name, kind in NEEDED.items()),
    *(
        Case(f"{name} {what}", hook(name, expression), said, "PASS")  # the spec's file is given, a TIFF read
        for name in ("readers", "spec_folders")
        for what, (expression, said) in NONSENSE.items()
        if "returned" not in said
    ),
]

# --- what the objects have -------------------------------------------------------------------------------

WANTED = {
    "Box": ("geometry", "find"),
    "HalfHeight": ("name", "segment"),
    "BoxImage": ("name", "title", "declares", "measure"),
    "BoxPlates": ("name", "title", "declares", "measure"),
}

ATTRIBUTES = [
    *(
        Case(f"{o}.{a} {what}", lines.format(f"{o}.{a}"), said.format(o))
        for o, names in WANTED.items()
        for a in names
        for what, lines, said in (
            ("is not there", "del {}", "returned a {} that"),
            ("is a number", "{} = 7", "returned a {} that"),
            ("raises", "{} = property(lambda self: 1 / 0)", "raised ZeroDivisionError"),
        )
    ),
    *(
        Case(f"{o}.geometry is {value}", f"{o}.geometry = {value}", "no text")
        for o in ("HalfHeight", "BoxImage", "BoxPlates")
        for value in ("None", "7", "['box']")
    ),
    *(
        Case(f"{o}.{a} is {value}", f"{o}.{a} = {value}", f"returned a {o} that")
        for o in ("BoxImage", "BoxPlates")
        for a, values in {
            "describes": ("None", "3", "'x'", "[1]", "{'box.nothing': 3}", "{1: 2}"),
            "needs": ("None", "3", "{'x': 'y'}", "{'x': [1, 2]}"),
            "about_the_scan": ("None", "False"),
            "declares": ("{}", "{'Box': 'mm'}", "{'box.plates': None}"),
        }.items()
        for value in values
    ),
    *(
        Case(
            f"description {given}",
            f"BoxPlates.describes = {{'box.spacing': Description({given})}}",
            "describes box.spacing",
        )
        for given in (
            "None", "'kg'", "'mm', None", "'mm', 7", "'mm', 'a', 'b', 'sideways'", "'mm', 'a', 'b', '', []",
            "'mm', 'a', 'b', '', '', 'yes'",
        )
    ),
    *(
        Case(f"options {options}", f"Box.options = {options}", "option")
        for options in (
            "None", "3", "[object()]", "['plates']", "{'plates': 1}", "[Option]", "[Option(3, int, 'x')]",
            "[Option('plates', 'int', 'x')]", "[Option('plates', list, 'x')]", "[Option('model', str, 'x')]",
            "[Option('plates', str, 'x', choices=None)]", "[Option('plates', int, 'x', choices=(1, 2))]",
            "[Option('plates', int, 'x', low='a')]", "[Option('plates', str, 'x', low=1)]",
            "[Option('plates', int, 'x', default='many')]", "[Option('plates', int, None)]",
            "[Option('plates', int, 'x'), Option('plates', str, 'y')]",
        )
    ),
    Case("settings without options", "del Box.options", "has settings, but no options"),
    Case("options without settings", "del Box.settings", "has options, but no settings"),
    Case("masks of no option", "Box.mask_option, Box.mask_labels = 'part', {}", "mask_option 'part'"),
    Case("masks of no labels", "Box.mask_option, Box.mask_labels = 'plates', None", "mask_labels"),
    Case("scope is a number", "Box.scope = 7", "something else than a method"),
    Case("check is a number", "HalfHeight.check = 7", "something else than a method"),
]  # fmt: skip

# --- what their methods return ----------------------------------------------------------------------------

ODD = {"None": "None", "a number": "3", "a mapping": "{}", "a class": "Box", "an object": "object()"}

FRAME = "found = Box.find\nBox.find = lambda self, *given: replace(found(self, *given), {})"
SURFACES = (
    "found = HalfHeight.segment\nHalfHeight.segment = lambda self, cell: replace(found(self, cell), {})"
)
RESULT = "found = {0}.measure\n{0}.measure = lambda self, cell: replace(found(self, cell), {1})"
SPACING = """\
found = BoxPlates.measure
def measure(self, cell):
    result = found(self, cell)
    changed = [replace(m, {}) if m.name == 'box.spacing' else m for m in result.measurements]
    return replace(result, measurements=changed)
BoxPlates.measure = measure
"""
BARE = """\
class Bare:
    warnings = ()
    to_voxel = to_cell = lambda self, *given: given
    {}
Box.find = lambda self, *given: Bare()
"""
LOOP = "loop = {}\nloop['again'] = loop\n"

METHODS = [
    *(
        Case(f"{owner}.{name}() raises", method(owner, name, "1 / 0"), f"{doing} raised ZeroDivisionError")
        for owner, name, doing in (
            ("Box", "settings", "making settings of the options"),
            ("Box", "find", "finding the cell"),
            ("HalfHeight", "check", "segmenter half_height, checking its settings,"),
            ("HalfHeight", "segment", "segmenter half_height"),
            ("BoxImage", "measure", "it"),
            ("BoxPlates", "measure", "it"),
        )
    ),
    *(
        Case(f"{owner}.{name}() exits", method(owner, name, EXITS), "raised SystemExit")
        for owner, names in {"Box": ("settings", "find"), "HalfHeight": ("check", "segment")}.items()
        for name in names
    ),
    *(
        Case(f"{owner}.{name} gives {what}", method(owner, name, value), said)
        for owner, name, said in (
            ("Box", "settings", "which is no Settings"),
            ("Box", "find", "which is no frame"),
            ("HalfHeight", "segment", "which are no surfaces"),
            ("BoxImage", "measure", "not a MetricResult"),
            ("BoxPlates", "measure", "not a MetricResult"),
        )
        for what, value in ODD.items()
    ),
    Case("a frame's class", BARE.format("again = None").replace("Bare()", "Bare"), "the class Bare"),
    Case("a frame without to_voxel", BARE.format("del to_voxel"), "it has no to_voxel"),
    Case("a frame without to_cell", BARE.format("del to_cell"), "it has no to_cell"),
    Case("a frame with a number for to_voxel", BARE.format("to_voxel = 5"), "it has no to_voxel"),
    Case("a frame without warnings", BARE.format("del warnings"), "which is no frame"),
    *(
        Case(f"a frame's warnings {value}", FRAME.format(f"warnings={value}"), "a frame whose warnings")
        for value in ("5", "None", "'careful'", "[1, 2]", "{'a': 1}")
    ),
    Case("a frame that holds itself", LOOP + FRAME.format("sides=loop"), "recorded"),
    *(
        Case(f"surfaces' {name} {value}", SURFACES.format(f"{name}={value}"), f"surfaces whose {name}")
        for name, values in {
            "missing": ("None", "3", "[1]", "{1: 2}"),
            "waives": ("None", "'x'", "{'a': 3}"),
            "warnings": ("None", "'x'", "[1]"),
            "parameters": ("None", "[1]"),
            "segmenter": ("None",),
        }.items()
        for value in values
    ),
    Case("surfaces of another kind", method("HalfHeight", "segment", "Surfaces(segmenter='x')"), "Attribute"),
    *(
        Case(f"{owner}'s {name} {value}", RESULT.format(owner, f"{name}={value}"), f"whose {name} are")
        for owner in ("BoxImage", "BoxPlates")
        for name, values in {
            "measurements": ("None", "'x'", "Measurement"),
            "figures": ("None", "3"),
            "samples": ("None", "{}"),
            "parameters": ("None", "[1]"),
            "rejections": ("None", "'poor'", "[None]", "(1 / 0 for _ in [0])"),
            "warnings": ("None", "'x'", "[1]"),
            "ledgers": ("None", "3"),
        }.items()
        for value in values
    ),
    Case("a ledger that is none", RESULT.format("BoxPlates", "ledgers=[3]"), "a int is among the ledgers"),
    *(
        Case(f"{owner} measures {value}", RESULT.format(owner, f"measurements={value}"), "among its")
        for owner in ("BoxImage", "BoxPlates")
        for value in ("[1]", "[None]", "[Measurement]")
    ),
    Case("parameters that hold themselves", LOOP + RESULT.format("BoxPlates", "parameters=loop"), "recorded"),
    *(
        Case(f"a measurement with {changes}", SPACING.format(changes), "box.spacing")
        for changes in (
            "value=float('nan')", "value=float('inf')", "value='1'", "value=True", "value=None", "value=1j",
            "value=1e300", "value=10**400", "unit='kg'", "unit=None", "status='fine'", "n='many'",
            "budget=None", "budget=[1]", "budget=[Contribution('edge', float('nan'))]", "reason=object()",
            "budget=[Contribution('edge', 1e300)]", "budget=[Contribution(None, 0.1)]", "worst_at=[1]",
            "budget=[Contribution('edge', 0.1, 'C')]", "budget=[Contribution('edge', 0.1, 'A', False, 0)]",
            "worst_at='there'", "status=None",
        )
    ),
    *(
        Case(f"a measurement with {changes}", SPACING.format(changes), "returned but not declared")
        for changes in ("name='box.width'", "name=None")
    ),
]  # fmt: skip

# --- what is not needed for a verdict ---------------------------------------------------------------------

PREDICTED = "from .geometry import BoxPredictor\nBoxPredictor.predict = lambda self, *given: {}"
FORMULAS = "found = Box.predictor\nBox.predictor = lambda self, *given: replace(found(self, *given), {})"

ASIDE = [
    *(
        Case(f"scope {what}", method("Box", "scope", value), f"telling what is in view {said}", "PASS")
        for what, value, said in (
            ("raises", "1 / 0", "raised ZeroDivisionError"),
            *((f"gives {what}", value, "returned") for what, value in ODD.items()),
            *(
                (f"gives {value}", value, "returned a Scope whose")
                for value in (
                    "Scope(['left'])", "Scope(None)", "Scope({'left': 'yes'})", "Scope({1: True})",
                    "Scope({}, 3)", "Scope(text=None)", "Scope(figures=[1])",
                )
            ),
        )
    ),
    *(
        Case(f"predictor {what}", method("Box", "predictor", value), f"uncertainties {said}", "PASS")
        for what, value, said in (
            ("raises", "1 / 0", "raised ZeroDivisionError"),
            *((f"gives {what}", value, "returned") for what, value in ODD.items()),
        )
    ),
    *(
        Case(f"predict {value}", PREDICTED.format(value), "predicting uncertainties", "PASS")
        for value in (
            "1 / 0", "3", "Prediction", "Prediction(float('nan'), 0, 0)", "Prediction('a', 'b', 'c')",
            "Prediction(-1, -1, -1)", "Prediction(1e300, 0, 0)",
        )
    ),
    *(
        Case(f"formulas with {changes}", FORMULAS.format(changes), "returned formulas whose", "PASS")
        for changes in ("usual_mm=None", "voxel_um=None", "voxel_um=()", "voxel_um=((1, 2),)")
    ),
    *(
        Case(f"figures {value}", RESULT.format("BoxPlates", f"figures=[{value}]"), "cannot be drawn", "PASS")
        for value in ("None", "'x'", "ImageFigure('a', 'b', 'c', 'd', [[1]])")
    ),
    *(
        Case(f"samples {value}", RESULT.format("BoxPlates", f"samples=[{value}]"), "samples", "PASS")
        for value in (
            "None", "Samples('', {})", "Samples(3, {'a': [1]})", "Samples('a', None)",
            "Samples('a', {1: [1]})", "Samples('a', {'a': [1], 'b': [1, 2]})",
            "Samples('a', {'a': [object()]})",
        )
    ),
]  # fmt: skip

CASES = (*HOOKS, *ATTRIBUTES, *METHODS, *ASIDE)
