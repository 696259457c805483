"""Runs the experiments of a study as jobs of a SLURM cluster.

The study's process submits a job for each run and follows it; the job starts the worker of core and
writes what it says into files of the study's folder, which all nodes see.
"""
