"""Made-up results, for tests and benchmarks of what reads results; nothing in them was measured.

``python -m llem_report.testing FOLDER`` makes a folder of each kind that a report knows.
"""
