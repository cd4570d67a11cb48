"""Evaluation: metrics with intervals, comparisons, the test ledger, reports.

This room stands before training: selection and model cards need its figures. Names are imported
when first used.
"""
