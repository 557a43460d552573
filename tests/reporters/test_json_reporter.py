import json
import math
from dataclasses import replace

import jsonschema
import pytest
from sample_report import report

from dltool.core.report import Report
from dltool.reporters.json import JsonReporter
from dltool.reporters.report_schema import report_schema


def test_the_report_fits_its_published_schema():
    jsonschema.Draft7Validator.check_schema(report_schema())
    jsonschema.validate(json.loads(JsonReporter().render(report())), report_schema())


@pytest.mark.parametrize("key", ["findings", "checks", "measurements", "run", "tool", "schema_version", "command", "target"])
def test_the_schema_refuses_a_report_without_a_key(key):
    data = json.loads(JsonReporter().render(report()))
    del data[key]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, report_schema())


def test_every_field_of_a_place_is_there():
    where = json.loads(JsonReporter().render(report()))["findings"][2]["where"]
    assert list(where) == ["phase", "op", "module", "parameter", "step", "samples", "rank", "file", "line", "key"]
    assert set(where.values()) == {None}


def test_values_that_are_not_finite_are_strings_and_come_back():
    text = JsonReporter().render(report())
    trace = json.loads(text, parse_constant=pytest.fail)["measurements"]["loss_trace"]
    assert trace["losses"][-1] == "NaN"
    infinite = replace(report(), measurements={"x": [math.inf, -math.inf]})
    assert json.loads(JsonReporter().render(infinite))["measurements"] == {"x": ["Infinity", "-Infinity"]}


def test_a_report_survives_its_own_json():
    text = JsonReporter().render(report())
    assert JsonReporter().render(Report.from_dict(json.loads(text))) == text
