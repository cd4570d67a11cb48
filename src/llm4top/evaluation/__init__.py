"""Evaluation: metrics with intervals, comparisons, the test ledger, reports.

This room comes before training: selection and model cards use its metrics.
"""
