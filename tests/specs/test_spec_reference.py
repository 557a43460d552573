"""docs/spec.md is what the schema says."""

from pathlib import Path

from dltool.specs.reference import spec_reference
from dltool.specs.schema.augmentations import AUGMENTATION
from dltool.specs.schema.generators import GENERATOR
from dltool.specs.schema.initialisers import INITIALISER
from dltool.specs.schema.layers import LAYER
from dltool.specs.schema.losses import LOSS
from dltool.specs.schema.metrics import METRIC
from dltool.specs.schema.optimizers import OPTIMIZER
from dltool.specs.schema.schedules import SCHEDULE
from dltool.specs.schema.sources import SOURCE
from dltool.specs.schema.spec import Spec

FAMILIES = (AUGMENTATION, GENERATOR, INITIALISER, LAYER, LOSS, METRIC, OPTIMIZER, SCHEDULE, SOURCE)


def test_the_page_is_current():
    page = (Path(__file__).parents[2] / "docs" / "spec.md").read_text(encoding="utf-8")
    assert page == spec_reference(), "run: python -m dltool.specs.reference > docs/spec.md"


def test_every_name_and_top_level_key_is_on_the_page():
    page = spec_reference()
    names = {name for family in FAMILIES for name in family.members} | set(Spec.model_fields)
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []


def test_required_arguments_show_no_default_and_others_do():
    page = spec_reference()
    assert "**`out_features`**: a whole number of at least 1<br>" in page
    assert "`eps`: a number of at least 0 = `1e-08`" in page
    assert "| `epochs` | a whole number of at least 1 | `20` |" in page
