"""Pure functions of the result document, and the files that hold what they make."""

from quub_audit.reporters.document import dump_result, load_result
from quub_audit.reporters.files import clear_stale, write, write_step_summary
from quub_audit.reporters.formats import FORMATS, Format, render

__all__ = ["FORMATS", "Format", "clear_stale", "dump_result", "load_result", "render", "write", "write_step_summary"]
