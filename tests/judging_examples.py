"""Rules, specs and measurements for tests of judging."""

from __future__ import annotations

import math

from xctrules.core.measurement import Contribution, Measurement, measurement_to_json
from xctrules.rules.judging import judge as judge_entries

BOTH = {"ends": ["top", "bottom"], "height_seen_mm": 70.0, "straight_can_mm": 60.0}


TOP = {"ends": ["top"], "height_seen_mm": 6.8, "straight_can_mm": 2.6}


NO_END = {"ends": [], "height_seen_mm": 6.8, "straight_can_mm": 6.8}


NAN_BUDGET = (Contribution("noise", math.nan),)


def limit(value, status="drawing", at="s.yaml:1"):
    return None if value is None else {"value": value, "source": "drawing 1", "status": status, "at": at}


def rule(name="canister.outer_diameter", low=None, high=None, **kw):
    status = kw.pop("status", "drawing")
    return {
        "id": kw.pop("id", name), "title": kw.pop("title", name), "measurement": name,
        "unit": kw.pop("unit", "mm"),
        "min": limit(low, status), "max": limit(high, status, "s.yaml:2"), "severity": "major",
        "decision_rule": "guarded", "guard_band": None, **kw,
    }  # fmt: skip


def spec(*rules, **kw):
    return {
        "geometry": "cylindrical",
        "scope": "in_view",
        "includes_sleeve": None,
        "rules": list(rules),
        **kw,
    }


def measured(name, value, u, unit="mm", shared=0.0):
    """With k = 1.96 (infinite degrees of freedom), U = 1.96 u."""
    budget = [Contribution("noise", math.sqrt(u**2 - shared**2))] if u > abs(shared) else []
    if shared:
        budget.append(Contribution("voxel scale", shared, "B", shared=True))
    return Measurement(name, unit, value=value, budget=tuple(budget))


def judge(measurements, *args, **kw):
    """Judge measurements as the record would hold them."""
    entries = {m.name: measurement_to_json(m) for m in measurements}
    return judge_entries(entries, *args, **kw)


def outcome_of(a_rule, *measurements, scope=BOTH, stated=True, **kw):
    checks, _ = judge(measurements, spec(a_rule, **kw), scope, stated)
    return checks[0].outcome
