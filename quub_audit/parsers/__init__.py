"""Readers of what other tools write. Pure: bytes in, facts out; no file is opened and nobody is asked.

One package for each kind of report, one module for each format. A format is known by its content, never by the name
of the file. What cannot be read raises Malformed, which says where it breaks off.
"""
