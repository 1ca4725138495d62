"""Scans: from files of any format to slices with a voxel size in millimetres.

In: the path of a scan (a folder of TIFF slices, a TIFF file, a Zarr array, a raw volume or its header, or
what a plugin's reader knows), and the files in and beside it that tell how it was acquired. Out: a
:class:`~xctrules.core.slices.Scan`, whose files were hashed, whose values were checked and whose voxel size
could be true, or a :class:`~xctrules.core.errors.ScanError` that says what is wrong, where, and what to do.

The way through, module by module:

* ``opening`` goes the whole way: :func:`~xctrules.scans.opening.open_scan`;
* ``companions`` finds and reads the files beside a scan, ``acquisition`` knows what they may say and puts it
  together, ``recorded`` takes it from a record instead, to measure again as then;
* ``bundled`` lists the readers ``tiff``, ``zarr`` and ``raw``, which open a scan as a
  :class:`~xctrules.core.slices.VolumeSource`; ``series`` puts numbered files in order, ``units`` gives
  lengths in millimetres;
* ``checks`` asks whether shape, voxel size and grey values could be a scan's;
* ``reading`` takes all slices once, and decides where they are from then on: in memory, in their mapped file,
  or in files that are read again whenever a slice is asked for.

Readers know nothing of what opens them.
"""
