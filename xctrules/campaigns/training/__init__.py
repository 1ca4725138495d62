"""Training of the U-Net: pairs of planes and labels in, a model with its card out.

The way through: :mod:`~xctrules.campaigns.training.pairs` reads and checks the data,
:mod:`~xctrules.campaigns.training.augment` varies it, :mod:`~xctrules.campaigns.training.fit` trains the
network of :mod:`~xctrules.campaigns.training.network`, :mod:`~xctrules.campaigns.training.export` makes the
file that measures, and :mod:`~xctrules.campaigns.training.qc` draws what the model gets wrong. TensorFlow is
needed here and nowhere else; nothing imports it before it is used.
"""
