"""Pages: text, numbers and images in, HTML out. No page fetches or runs anything.

In: records and study files as plain JSON, and their images; other rooms' pages bring their own templates.
Out: one HTML document each, a pure function of what came in.

* ``report`` puts a cell's page together from ``rows``, ``sections``, ``figure_views``, ``caveats`` and
  ``provenance``, with ``embedding`` for the record inside it; ``study_page`` draws a study;
* ``certificate`` draws what a customer gets, with ``certificate_pictures``; ``pdf`` makes paper of a page;
* ``figures`` makes JSON and PNG out of figures, ``charts`` positions their marks, ``colour`` maps values;
* ``environment`` holds the templates, ``outcomes`` the words for verdicts, ``typography`` sets text in type.
"""
