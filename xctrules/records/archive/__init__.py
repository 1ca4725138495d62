"""The archive: records that were put away, and a log that shows that none was changed, dropped or slipped in.

In: cells' folders. Out: one folder of files that are written once and never touched again, and findings of
whether it is still whole.

* ``merkle`` is the arithmetic of the log's tree, ``checkpoint`` and ``proof`` the texts that state it;
* ``layout`` says where everything lies, ``entries`` what the log says of it, ``log`` reads it;
* ``disk`` and ``lock`` are all that touches the file system, ``pending`` what a stopped writer left,
  ``store`` writes;
* ``membership`` checks one entry, ``member`` one record and what was said of it, ``checking`` all;
  ``verify_xctrules.py`` does so for who has no xctrules, and lies in every archive;
* ``rejudging`` puts away what another spec says of its records;
* ``indexing`` turns the log into rows, ``index`` keeps these in a database to search, ``site`` writes pages
  from it: made from the log at any time, and never asked by what checks.
"""
