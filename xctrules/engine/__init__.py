"""The engine: the way from a scan and a spec to a record, whatever kind of cell it is.

In: paths and wishes; plugins through their hooks. Out: an
:class:`~xctrules.engine.inspection.Inspection`. The engine knows frames, surfaces, named places, measurements
and rules. What a cell looks like is a geometry's affair, and no geometry is built in.

* ``registry`` finds plugins and asks their hooks; what strangers wrote runs in processes of its own;
* ``planning`` checks what is asked before anything is read: spec, geometry, segmenter, options;
* ``measuring`` is the one way from an open scan to findings, with ``run_metric`` (one metric, guarded and
  held to what it declares), ``fit_for_purpose`` (can this scan decide?), ``gathering`` (all that was found);
* ``inspection`` opens a scan before it and writes the record after it;
* ``testing`` holds the same steps ready for authors of plugins.
"""
