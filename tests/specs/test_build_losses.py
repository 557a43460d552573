"""Every loss: the value by a slow loop or by torch, the mean of its samples, what its mean divides by, and its refusals."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dltool.specs.build.criterion import SpecTerm, SumCriterion
from dltool.specs.build.loss import build_criterion, default_loss, task_kind
from dltool.specs.build.loss_functions import MAKERS
from dltool.specs.load import load_text
from dltool.specs.misfit import MisfitError
from dltool.specs.schema import losses as schema
from dltool.training.experiment import CountsTerms

N, C = 5, 4


def labels(*shape: int) -> torch.Tensor:
    return torch.randint(C, shape)


def case(kind: str) -> tuple[dict, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    scores, real = torch.randn(N, C), torch.randn(N, C)
    signs = torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0])
    cases = {
        "cross_entropy": ({"label_smoothing": 0.1, "weight": (1.0, 2.0, 0.5, 3.0)}, scores, labels(N)),
        "nll": ({"weight": (1.0, 2.0, 0.5, 3.0)}, scores.log_softmax(1), labels(N)),
        "bce": ({}, scores.sigmoid(), (real > 0).float()),
        "bce_with_logits": ({"pos_weight": (1.0, 2.0, 3.0, 4.0)}, scores, (real > 0).float()),
        "smooth_l1": ({"beta": 0.5}, scores, real),
        "huber": ({"delta": 0.5}, scores, real),
        "poisson_nll": ({}, scores, torch.randint(6, (N, C)).float()),
        "gaussian_nll": ({}, torch.randn(N, 6), torch.randn(N, 3)),
        "kl_div": ({}, scores.log_softmax(1), real.softmax(1)),
        "hinge": ({"margin": 0.7}, scores, labels(N)),
        "multi_margin": ({"p": 2}, scores, labels(N)),
        "multilabel_margin": ({}, scores, torch.tensor([[0, 2, -1, -1]] * N)),
        "multilabel_soft_margin": ({}, scores, (real > 0).float()),
        "soft_margin": ({}, scores[:, :1], signs),
        "hinge_embedding": ({}, scores[:, 0].abs(), signs),
        "margin_ranking": ({"margin": 0.2}, scores[:, :2], signs),
        "cosine_embedding": ({}, scores, signs),
        "triplet_margin": ({}, torch.randn(N, 9), signs),
        "ctc": ({}, torch.randn(N, 7, C).log_softmax(2), torch.tensor([[1, 2, 0], [3, 0, 0], [1, 1, 2], [2, 0, 0], [3, 1, 0]])),  # noqa: E501
    }  # fmt: skip
    return cases.get(kind, ({}, scores, real))


def build(kind: str, **arguments) -> SpecTerm:
    spec = {loss.kind: loss for loss in schema.PLAIN_LOSSES}[kind]
    return SpecTerm(spec(**arguments))


def test_every_name_is_built():
    assert {loss.kind for loss in schema.PLAIN_LOSSES} == set(MAKERS)


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_the_mean_of_the_samples_is_the_loss(kind):
    arguments, output, target = case(kind)
    output.requires_grad_()
    term = build(kind, **arguments)
    value = term.value(output, target)
    samples = term.per_sample(output, target)
    assert samples.shape == (N,)
    assert torch.allclose(samples.mean(), value, rtol=1e-5)
    value.backward()
    assert output.grad is not None
    total = build(kind, **arguments, reduction="sum")
    if kind != "ctc":  # whose mean divides every sample by its length first, as in torch
        assert torch.allclose(total.value(output, target), value * term.count(target), rtol=1e-5)
    assert total.count(target) is None
    assert torch.allclose(total.per_sample(output, target), samples)


@pytest.mark.parametrize("kind", sorted(set(MAKERS) - {"multilabel_margin", "triplet_margin"}))
def test_batches_put_together_by_their_counts_are_the_whole(kind):
    arguments, output, target = case(kind)
    term = build(kind, **arguments)
    parts = [(output[:2], target[:2]), (output[2:], target[2:])]
    counts = [term.count(t) for _, t in parts]
    joined = sum(float(term.value(o, t)) * n for (o, t), n in zip(parts, counts, strict=True)) / sum(counts)
    assert joined == pytest.approx(float(term.value(output, target)), rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "module"),
    [
        ("cross_entropy", nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 0.5, 3.0]), label_smoothing=0.1)),
        ("nll", nn.NLLLoss(weight=torch.tensor([1.0, 2.0, 0.5, 3.0]))),
        ("bce", nn.BCELoss()),
        ("bce_with_logits", nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.0, 2.0, 3.0, 4.0]))),
        ("mse", nn.MSELoss()),
        ("l1", nn.L1Loss()),
        ("smooth_l1", nn.SmoothL1Loss(beta=0.5)),
        ("huber", nn.HuberLoss(delta=0.5)),
        ("poisson_nll", nn.PoissonNLLLoss()),
        ("multi_margin", nn.MultiMarginLoss(p=2)),
        ("multilabel_margin", nn.MultiLabelMarginLoss()),
        ("multilabel_soft_margin", nn.MultiLabelSoftMarginLoss()),
        ("hinge_embedding", nn.HingeEmbeddingLoss()),
    ],
)
def test_as_torch_has_it(kind, module):
    arguments, output, target = case(kind)
    assert torch.equal(build(kind, **arguments).value(output, target), module(output, target))


@pytest.mark.parametrize("squared", [False, True])
def test_hinge_by_a_loop(squared):
    arguments, output, target = case("hinge")
    total = 0.0
    for row, right in zip(output.tolist(), target.tolist(), strict=True):
        for wrong, score in enumerate(row):
            if wrong != right:
                total += max(0.0, 0.7 + score - row[right]) ** (2 if squared else 1)
    assert float(build("hinge", **arguments, squared=squared).value(output, target)) == pytest.approx(total / N, rel=1e-5)


def test_log_cosh_by_formula_and_far_out():
    output = torch.tensor([0.0, 1.0, -3.0, 500.0])
    values = build("log_cosh").per_sample(output, torch.zeros(4))
    assert values[:3].tolist() == pytest.approx([math.log(math.cosh(d)) for d in (0.0, 1.0, 3.0)], rel=1e-5)
    assert float(values[3]) == pytest.approx(500.0 - math.log(2.0))


def test_gaussian_nll_takes_softplus_of_the_second_half():
    _, output, target = case("gaussian_nll")
    expected = nn.GaussianNLLLoss()(output[:, :3], target, F.softplus(output[:, 3:]))
    assert torch.equal(build("gaussian_nll").value(output, target), expected)


def test_probabilities_in_place_of_logits():
    _, scores, target = case("cross_entropy")
    given = build("cross_entropy", from_logits=False).value(scores.softmax(1), target)
    assert torch.allclose(given, F.cross_entropy(scores, target), rtol=1e-5)
    certain = torch.tensor([[1.0, 0.0]])
    assert float(build("cross_entropy", from_logits=False).value(certain, torch.tensor([1]))) == pytest.approx(
        -math.log(1e-7), rel=1e-3
    )
    yes = (torch.randn(N, C) > 0).float()
    assert torch.equal(build("bce", from_logits=True).value(scores, yes), F.binary_cross_entropy_with_logits(scores, yes))


@pytest.mark.parametrize("output", [float("nan"), -0.5, 1.5])
def test_bce_outside_of_probabilities_is_nan_and_does_not_raise(output):
    assert math.isnan(float(build("bce").value(torch.tensor([output, 0.5]), torch.tensor([0.3, 1.0]))))


def test_per_pixel_and_per_step_labels():
    torch.manual_seed(0)
    image, pixels = torch.randn(2, C, 3, 3), labels(2, 3, 3)
    assert torch.equal(build("cross_entropy").value(image, pixels), F.cross_entropy(image, pixels))
    steps, wanted = torch.randn(2, 6, C), labels(2, 6)
    wanted[1, 3:] = -100
    real = wanted != -100
    expected = F.cross_entropy(steps[real], wanted[real])
    term = build("cross_entropy")
    assert torch.allclose(term.value(steps, wanted), expected)
    assert term.count(wanted) == 9
    assert torch.allclose(term.per_sample(steps, wanted).mean(), expected)
    hinge = build("hinge")
    assert torch.allclose(hinge.value(steps, wanted), hinge.value(steps[real], wanted[real]))


def test_as_many_steps_as_classes_are_told_apart_by_the_layout():
    torch.manual_seed(0)
    steps, wanted = torch.randn(2, C, C), labels(2, C)
    term = SpecTerm(schema.CrossEntropy(), channels_last=True)
    assert torch.allclose(term.value(steps, wanted), F.cross_entropy(steps.flatten(0, 1), wanted.flatten()))


@pytest.mark.parametrize(("output", "target"), [((5, 1), (5,)), ((5,), (5, 1)), ((5, 3), (5, 3))])
def test_one_extra_dimension_of_one_is_reshaped(output, target):
    torch.manual_seed(0)
    a, b = torch.randn(output), torch.randn(target)
    expected = ((a.flatten() - b.flatten()) ** 2).mean()
    assert torch.allclose(build("mse").value(a, b), expected)


@pytest.mark.parametrize(
    ("output", "target"), [((5, 1), (5, 4)), ((5, 4), (5,)), ((5, 1), (1, 5)), ((1, 5), (5, 1)), ((5,), (1,))]
)
def test_nothing_is_broadcast(output, target):
    with pytest.raises(MisfitError, match="different shapes"):
        build("mse").value(torch.randn(output), torch.randn(target))


@pytest.mark.parametrize(
    ("kind", "output", "target", "text"),
    [
        ("cross_entropy", torch.randn(2, 3, 8, 8), torch.zeros(2, dtype=torch.long), "flatten"),
        ("cross_entropy", torch.randn(2), torch.zeros(2, dtype=torch.long), "does not fit the labels"),
        ("cross_entropy", torch.randn(2, 3), torch.zeros(2), "class shares"),
        ("hinge", torch.randn(2, 3), torch.randn(2, 3), "class indices"),
        ("gaussian_nll", torch.randn(2, 3), torch.randn(2, 1), "cuts the output"),
        ("cosine_embedding", torch.randn(2, 3, 4), torch.ones(2), "cosine_embedding needs"),
        ("ctc", torch.randn(2, 3), torch.ones(2, 3, dtype=torch.long), "log-probabilities"),
        ("mse", (torch.randn(2),), torch.randn(2), "tensor as output"),
    ],
)
def test_refusals(kind, output, target, text):
    with pytest.raises(MisfitError, match=text):
        build(kind).value(output, target)


def test_class_weights_of_the_wrong_number():
    with pytest.raises(MisfitError, match="one number for each class"):
        build("cross_entropy", weight=(1.0, 2.0)).value(torch.randn(2, 3), torch.tensor([0, 1]))


def criterion(text: str) -> SumCriterion:
    loaded = load_text(
        f"version: 1\ndata: {{synthetic: {{blobs: {{n: 8}}}}}}\nmodel: {{layers: [relu]}}\nloss: {text}\n", "s.yaml"
    )
    return build_criterion(loaded.spec.loss, ())


def test_terms_are_weighted_and_named():
    both = criterion("{terms: {main: mse, aux: {l1: {weight: 0.1}}}}")
    output, target = torch.randn(6), torch.randn(6)
    assert both.name == "mse + l1"
    assert both.terms == {"main": 1.0, "aux": 0.1}
    values = both.term_values(output, target)
    assert torch.allclose(both(output, target), values["main"] + 0.1 * values["aux"])
    assert torch.allclose(both.per_sample(output, target).mean(), both(output, target))
    assert isinstance(both, CountsTerms)
    assert both.term_counts(target) == {"main": 6.0, "aux": 6.0}


@pytest.mark.parametrize(
    ("loss", "output", "target", "kind"),
    [
        ("cross_entropy", (4, 3), torch.tensor([0, 1, 2, 0]), "classification"),
        ("hinge", (4, 3), torch.tensor([0, 1, 2, 0]), "classification"),
        ("bce_with_logits", (4, 1), torch.tensor([0, 1, 1, 0]), "binary"),
        ("bce_with_logits", (4, 3), torch.ones(4, 3), "other"),
        ("huber", (4, 1), torch.ones(4), "regression"),
        ("triplet_margin", (4, 3), torch.ones(4), "other"),
    ],
)
def test_task_kinds(loss, output, target, kind):
    assert task_kind(criterion(loss), torch.randn(output), target) == kind


def test_defaults_follow_the_targets():
    assert default_loss(torch.tensor([0, 1]), torch.randn(2, 2)).kind == "cross_entropy"
    assert default_loss(torch.tensor([0, 1]), torch.randn(2, 1)).kind == "bce_with_logits"
    assert default_loss(torch.tensor([0.0, 1.0]), torch.randn(2, 1)).kind == "mse"
    with pytest.raises(MisfitError):
        default_loss((torch.ones(1),), torch.ones(1))
