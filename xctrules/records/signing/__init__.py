"""Signing: who vouches for which bytes, so that a change on purpose shows as well as one by accident.

In: key files, bytes, a cell's folder. Out: signatures beside the record; findings of whether they hold.

* ``keys`` makes, writes and reads Ed25519 keys; the same keys sign records and an archive's checkpoints;
* ``dsse`` is the envelope, ``statement`` what is said in it, ``making`` writes both beside a record;
* ``timestamps`` reads RFC 3161 tokens that a user obtained;
* ``checking`` holds all of them against the files, and against whom the reader trusts.
"""
