"""Parts of the page that are imported when their sections were measured."""

import pytest

from dltool.core.measurements import Measurements, every_section
from dltool.core.report import Report, RunInfo
from dltool.reporters.base import Detail, Look
from dltool.reporters.table.page import Page
from dltool.reporters.table.reporter import ANSWERS, MEASURED
from dltool.reporters.table.style import signs

RUN = RunInfo(seed=0, torch=None, device=None, spec_sha256=None, seconds=0.0, deterministic=True)


class Asked(Measurements):
    """Nothing was measured; keeps what it was asked for."""

    def __init__(self):
        super().__init__()
        self.asked = set()

    def __contains__(self, kind):
        self.asked.add(kind.key)
        return super().__contains__(kind)

    def get(self, kind):
        self.asked.add(kind.key)
        return super().get(kind)


@pytest.mark.parametrize("part", [*MEASURED, *ANSWERS], ids=lambda part: part.place)
@pytest.mark.parametrize("detail", Detail)
def test_a_part_has_nothing_to_say_without_the_sections_that_it_names(part, detail):
    measured = Asked()
    page = Page(
        report=Report(command="train", target="s.yaml", run=RUN, tool_version="1"),
        measured=measured,
        look=Look(detail=detail),
        sign=signs(unicode=True),
        width=80,
    )
    assert list(part.load()(page)) == list(part(page)) == []
    assert measured.asked == set(part.keys)
    assert measured.asked <= {section.key for section in every_section()}
