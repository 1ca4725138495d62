"""Training of the U-Net: pairs of planes and labels in, a model with its card out.

The way through: :mod:`~xctrules.training.pairs` reads and checks the data, :mod:`~xctrules.training.augment`
varies it, :mod:`~xctrules.training.fit` trains the network of :mod:`~xctrules.training.network`,
:mod:`~xctrules.training.export` makes the file that measures, and :mod:`~xctrules.training.qc` draws what the
model gets wrong. TensorFlow is needed here and nowhere else; nothing imports it before it is used.
"""
