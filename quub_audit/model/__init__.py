"""The vocabulary of an audit: frozen values, no I/O, nothing of ours imported.

Everything here is shared by the planner, the executor, the folding and every reporter.
"""
