"""Read registry records: legacy XML, API v2 JSON and TOP's CSV, hardened, with a leak guard."""
