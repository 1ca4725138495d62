"""Proof on phantoms: how far measurements lie from the truth, and whether their intervals hold it.

In: a geometry's phantom source (the hook ``xctrules_phantoms``), which draws an ensemble and says what its
measurements are held to. Out: a folder with every case, all figures as JSON, and one HTML page. No module
here knows a geometry.

    campaign    which geometry, seed and plugins; the ensemble that follows
    case_spec   what one case is judged by, as a cell-format spec
    measuring   draw one case and inspect it: one line of ``cases.jsonl``
    folder      the folder of a run, and what its cases are cases of
    run         all cases, on all cores
    scored      one case's values beside their truth
    accuracy    errors, coverage, repeatability, worst misses
    bounds      stated uncertainties beside what noise and blur allow
    faults      faults found against their size, and false alarms
    decisions   wrong verdicts at limits, and scans that must be refused
    criteria    what is asked, what came out, whether it holds
    findings    all of these together
    adversarial whether anything faulty passes: wrong passes, wrong fails, sound cells without a decision
    hit_miss    probability of detection against size, after MIL-HDBK-1823A
    drawing     one case written out, to be looked at
    statistics  the formulas
    page, adversarial_page
                the pages, drawn from the figures alone
"""
