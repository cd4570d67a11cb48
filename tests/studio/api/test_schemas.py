"""The API's schema of a forecast is the one JSON form."""

from llm4top.studio.api.schemas import EXAMPLES, ForecastOut
from tests.forecasters.test_forecast_format import FORECAST


def test_a_forecast_has_the_keys_of_the_one_json_form() -> None:
    values = FORECAST.to_dict()
    assert list(ForecastOut.model_fields) == list(values)
    assert ForecastOut(**values).model_dump(mode="json") == values


def test_the_example_is_a_whole_forecast() -> None:
    assert set(EXAMPLES["forecast"]) == set(ForecastOut.model_fields)
    ForecastOut(**EXAMPLES["forecast"])
