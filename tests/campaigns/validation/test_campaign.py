"""Which cases a validation measures, with which plugins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from xctrules.campaigns.validation.campaign import Campaign, Wanted, limits_of_specs, open_campaign
from xctrules.core.errors import PluginError


@pytest.fixture(scope="module")
def cylinders() -> Iterator[Campaign]:
    with open_campaign(Wanted("cylindrical", seed=3)) as opened:
        yield opened


def test_the_bundled_plugins_alone_measure_what_they_draw(cylinders: Campaign) -> None:
    assert {plugin.source for plugin in cylinders.registry.plugins} == {"bundled"}


def test_the_ensemble_knows_each_limit_of_the_bundled_specs(cylinders: Campaign) -> None:
    limits = list(limits_of_specs(cylinders.registry, "cylindrical"))
    assert tuple(limits) == cylinders.ensemble.limits
    # Samsung INR21700-50S: at most 21.25 mm
    (of_21700,) = [x for x in limits if x.spec == "21700" and x.measurement == "canister.outer_diameter"]
    assert (of_21700.side, of_21700.value, of_21700.unit) == ("max", 21.25, "mm")
    assert not list(limits_of_specs(cylinders.registry, "box"))


def test_seed_and_size_make_another_ensemble(cylinders: Campaign) -> None:
    for wanted in (Wanted("cylindrical", seed=4), Wanted("cylindrical", seed=3, short=True)):
        with open_campaign(wanted) as other:
            assert other.identity() != cylinders.identity()
            assert [other.case(i) for i in range(12)] != [cylinders.case(i) for i in range(12)]


def test_a_geometry_that_nobody_draws_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"pouch.*cylindrical"):
        open_campaign(Wanted("pouch", plugins_dir=tmp_path))
