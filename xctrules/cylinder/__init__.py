"""Cylindrical cells: the geometry that ships with the program, behind the same door as a stranger's.

In: an open scan. Out: the cell's own coordinates and what is found in them, for the bundled plugins and for
any other that measures cylindrical cells.

* ``plugin`` is the door, ``geometry`` what the engine asks for: options, scope, predictions;
* ``finding`` finds the cell, from its ``outline`` in each slice over its ``axis`` to the roll and the ends in
  view; ``frame`` holds its coordinates and samples grey values in them;
* ``surfaces`` are what a segmenter fills in and a metric reads;
* ``edges``, ``ellipses`` and ``spiral`` locate and fit below the voxel: each shape estimates, has residuals
  and predicts; ``half_planes`` samples planes through the axis;
* ``predictions`` say what uncertainty a scan can give;
* ``model_card`` and ``litert`` load a trained network, which sees half-planes;
* ``phantom`` draws cells of known truth.
"""
