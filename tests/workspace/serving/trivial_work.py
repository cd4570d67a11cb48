"""Work for tests of the service; the process that holds the models imports it."""

import time

from llm4top.errors import TaskError


def described(forecaster, record, arguments):
    if "wrong" in arguments:
        raise TaskError(arguments["wrong"], hint="Ask otherwise.")
    time.sleep(arguments.get("seconds", 0))
    return {
        "identity": forecaster.identity,
        "record": record.source.name,
        "given": arguments,
        "fault": 1 / arguments.get("divisor", 1),
    }
