"""Forecasts of very many records: shards into a folder of Parquet, on one or more machines."""
