"""The text of ``replay.py``: the bad step once more, in plain torch for a factory, through dltool's loader for a spec."""

from __future__ import annotations

from string import Template

HEAD = '''"""Repeats step $step of $target:
$said

    python replay.py        exit code 1 while the step is bad, 0 once it is mended

$needs$left_out
"""
'''

FACTORY = Template(
    HEAD
    + """
import importlib
import importlib.util
import random
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

HERE = Path(__file__).resolve().parent
DEVICE = "$device"
$load
torch.manual_seed($seed)
random.seed($seed)
np.random.seed($seed)
$make
made = made if isinstance(made, Mapping) else {"model": made}
model = made["model"].to(DEVICE)
if any(torch.nn.parameter.is_lazy(parameter) for parameter in model.parameters()):
    model.eval()($first)
given = made.get("loss") or ($default_loss)
terms = given if isinstance(given, Mapping) else {"": given}
given = made.get("optimizer") or (lambda parameters: torch.optim.AdamW(parameters, lr=1e-3))
trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
optimizer = given if isinstance(given, torch.optim.Optimizer) else given(trainable)
scaler = made.get("scaler")
$functions

def step():
    model.zero_grad()
    optimizer.zero_grad()
    ((given, target),) = batches
    output = model($input)
    loss = sum(term(output, $expected) for term in terms.values())
    if loss.requires_grad:
        (loss if scaler is None else scaler.scale(loss)).backward()
    return loss


put_all_back()
before = {name for name, tensor in kept() if is_bad(tensor)}
loss = step()
if scaler is not None:
    scaler.unscale_(optimizer)
found = [told("loss", loss)] if is_bad(loss) else []
gradients = [(name, p.grad) for name, p in model.named_parameters() if p.grad is not None]
found += [told(f"gradient of {name}", gradient) for name, gradient in gradients if is_bad(gradient)]
if not is_bad(loss):
    optimizer.step($closure) if scaler is None else scaler.step(optimizer)
    found += [told(name, tensor) for name, tensor in kept() if is_bad(tensor) and name not in before]
left_out = ", ".join(state["left_out"])
not_restored = f"; but what was not saved may matter: {left_out}" if left_out else ""
print("\\n".join(found) or f"healed: loss {loss.item():.6g}, and all else is finite{not_restored}")
sys.exit(bool(found))
"""
)

SPEC = Template(
    HEAD
    + """
import random
import sys
from pathlib import Path

import numpy as np
import torch

from dltool.specs.target import open_target
from dltool.training.experiment import Batch
from dltool.training.walk import Walk

HERE = Path(__file__).resolve().parent
DEVICE = "$device"
$load
experiment = open_target(str((HERE / $spec).resolve()), seed=$seed, device=DEVICE, allow_import=$allow)
model, optimizer, scaler = experiment.model, experiment.optimizer, experiment.scaler
terms = {name: part.function for name, part in experiment.criterion.parts.items() if hasattr(part, "function")}
$functions

with Walk(experiment) as walk:
    walk.ready()
    put_all_back()
    step = walk.repeat(walk.moment(), [Batch(*pair) for pair in batches])
bad = step.symptoms
found = [f"loss: {step.loss}"] if bad.loss else []
found += [f"error: {step.error}"] if bad.error else []
found += [f"gradient of {name}" for name in bad.gradients]
found += [*bad.parameters, *bad.buffers, *bad.states]
left_out = ", ".join(state["left_out"])
not_restored = f"; but what was not saved may matter: {left_out}" if left_out else ""
print("\\n".join(found) or f"healed: loss {step.loss:.6g}, and all else is finite{not_restored}")
sys.exit(bool(found))
"""
)

FUNCTIONS = '''

def put_all_back():
    """The state before the step: weights, buffers, modes, the code's own counters, optimizer, random numbers."""
    for name, saved in state["holders"].items():
        owner = model if name == "model" else terms.get(name.removeprefix("loss "), terms.get(""))
        put_back(getattr(owner, "__self__", owner), saved)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for parameter, saved in zip(parameters, state["optimizer"]["states"]):
        if saved:
            optimizer.state[parameter] = on_device(saved)
    for group, saved in zip(optimizer.param_groups, state["optimizer"]["groups"]):
        group.update(on_device(saved))
    put_attributes(optimizer, state["optimizer"]["attributes"])
    if scaler is not None and state["scaler"]:
        scaler.load_state_dict(state["scaler"])
    torch.set_rng_state(state["rng"]["torch"])
    random.setstate(state["rng"]["python"])
    name, keys, *rest = state["rng"]["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    if "device" in state["rng"]:
        torch.get_device_module(DEVICE).set_rng_state(state["rng"]["device"], DEVICE)


def put_back(module, saved):
    if not isinstance(module, torch.nn.Module):
        put_attributes(module, saved["attributes"].get("", {}))
        return
    values = {**saved["parameters"], **saved["buffers"]}
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        value = values[name].to(tensor.device)
        with torch.no_grad():
            tensor.copy_(value) if tensor.shape == value.shape else tensor.set_(value)
    for name, child in module.named_modules():
        child.training = name not in saved["eval"]
        put_attributes(child, saved["attributes"].get(name, {}))


def put_attributes(owner, saved):
    code = getattr(owner, "__code__", None)
    cells = dict(zip(code.co_freevars, owner.__closure__ or ())) if code is not None else {}
    for name, value in saved.items():
        held = cells[name].cell_contents if name in cells else getattr(owner, name, None)
        if isinstance(value, dict) and set(value) == {"generator"}:
            held.set_state(value["generator"])
        elif isinstance(held, torch.Tensor) and held.is_leaf and held.requires_grad:
            held.data.copy_(value)
        elif name in cells:
            cells[name].cell_contents = on_device(value)
        else:
            setattr(owner, name, on_device(value))


def on_device(value):
    if isinstance(value, torch.Tensor):
        return value.to(DEVICE)
    if isinstance(value, dict):
        return {key: on_device(item) for key, item in value.items()}
    return type(value)(on_device(item) for item in value) if isinstance(value, (list, tuple)) else value


def kept():
    """Everything that a step writes, by name."""
    yield from model.named_parameters()
    yield from model.named_buffers()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for parameter, values in optimizer.state.items():
        yield from ((f"{names.get(id(parameter), '')}/{key}", t) for key, t in values.items() if torch.is_tensor(t))


def is_bad(tensor):
    return not bool(tensor.isfinite().all())


def told(name, tensor):
    return f"{name}: {int((~tensor.isfinite()).sum())} of {tensor.numel()} values are not finite"
'''

FROM_FILE = Template("""file = (HERE / $file).resolve()
sys.path.insert(0, str(file.parent))
found = importlib.util.spec_from_file_location("$module", file)
module = importlib.util.module_from_spec(found)
sys.modules["$module"] = module
found.loader.exec_module(module)
made = module.$factory()""")

FROM_MODULE = Template("""sys.path.insert(0, str((HERE / $folder).resolve()))
made = importlib.import_module("$module").$factory()""")

LOAD = """state = torch.load(HERE / "state.pt", weights_only=True)
batches = torch.load(HERE / "batch.pt", weights_only=True, map_location=DEVICE)
"""
