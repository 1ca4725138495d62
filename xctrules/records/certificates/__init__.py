"""Certificates: one or two pages for the customer, issued on a record that stands, and checked against it.

* ``laboratory`` reads the laboratory's profile (YAML), ``required`` names what a certificate must state;
* ``issuing`` decides whether a record may have one, lists what is against it, and draws the page;
* ``checking`` holds a certificate that stands beside a record against it.
"""
