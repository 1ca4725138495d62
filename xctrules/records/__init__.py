"""Records: the one document of an inspection, written whole or not at all, and checked again years later.

In: measurements, spec, scan, figures and files of one cell. Out: the record as plain JSON; the cell's folder;
findings of whether such a folder, record or report still holds.

* ``record`` judges and puts the record together, ``samples`` writes single values as CSV, ``folder`` writes
  all of it down;
* ``reading`` reads records back, ``checks`` works out again what follows from a record, ``verify`` does so
  for records, reports and folders;
* ``embedded`` reads the spec inside a record, ``comparing`` holds two records of one scan against each other,
  ``rejudging`` judges one by another spec;
* ``signing`` says who vouches for a record.
"""
