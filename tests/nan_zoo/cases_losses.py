"""Losses that leave the numbers: logs of 0, exponentials, powers of negative numbers."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from zoo_case import either, faulty


@faulty(phase="loss", op="ctc_loss", module=None, step=3, samples=(2,))
def transcript_longer_than_its_audio():
    """CTC: more labels than frames cannot be aligned, the loss is inf. Sequence first, as CTC wants it."""

    class Acoustic(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(5, 8)
            self.head = nn.Linear(8, 6)

        def forward(self, frames):
            return F.log_softmax(self.head(self.rnn(frames)[0]), dim=-1)

    def ctc(output, target):
        return F.ctc_loss(output, target["labels"], target["frames"], target["lengths"])  # born

    batches = []
    for step in range(5):
        lengths = torch.tensor([3, 4, 2, 3])
        frames = torch.full((4,), 10)
        if step == 3:
            lengths[2], frames[2] = 5, 4
        target = {"labels": torch.randint(1, 6, (4, 5)), "frames": frames, "lengths": lengths}
        batches.append((torch.randn(10, 4, 5), target))
    return {"model": Acoustic(), "batches": batches, "loss": ctc}


@faulty(phase="loss", op="log", module=None, step=2, samples=(0,))
def cross_entropy_of_a_saturated_sigmoid():
    """Binary cross-entropy by hand: at p = 1 it is 0 * log(0)."""

    def bce(output, target):
        p = output.squeeze(1)
        return -(target * p.log() + (1 - target) * (1 - p).log()).mean()  # born

    net = nn.Sequential(nn.Linear(3, 1), nn.Sigmoid())
    nn.init.constant_(net[0].weight, 1.0)
    batches = [(torch.randn(4, 3), torch.tensor([1.0, 0.0, 1.0, 0.0])) for _ in range(4)]
    batches[2][0][0] = 10.0
    return {"model": net, "batches": batches, "loss": bce}


@faulty(phase="loss", op="log", module=None, step=1, samples=(2,))
def entropy_bonus_of_a_certain_policy():
    """-(p * log p) where p underflows to 0: 0 * -inf."""

    def with_entropy(output, target):
        p = torch.softmax(output, dim=1)
        entropy = -(p * torch.log(p)).sum(1)  # born
        return F.cross_entropy(output, target) - 0.01 * entropy.mean()

    net = nn.Linear(3, 3)
    with torch.no_grad():
        net.weight.copy_(torch.eye(3))
    batches = [(torch.randn(4, 3), torch.randint(0, 3, (4,))) for _ in range(3)]
    batches[1][0][2] = torch.tensor([200.0, 0.0, 0.0])
    return {"model": net, "batches": batches, "loss": with_entropy}


@faulty(phase="loss", op="exp", module=None, step=4, samples=(1,))
def variational_autoencoder_of_an_outlier():
    """https://github.com/vanderschaarlab/synthcity/issues/331: exp(logvar) of an unbounded logvar."""

    class VAE(nn.Module):
        def __init__(self):
            super().__init__()
            self.mean = nn.Linear(6, 3)
            self.logvar = nn.Linear(6, 3)
            self.decoder = nn.Sequential(nn.Tanh(), nn.Linear(3, 6))
            nn.init.constant_(self.logvar.weight, 0.1)

        def forward(self, x):
            mean, logvar = self.mean(x), self.logvar(x)
            z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
            return self.decoder(z), mean, logvar

    def elbo(output, target):
        reconstruction, mean, logvar = output
        divergence = -0.5 * (1 + logvar - mean**2 - logvar.exp()).sum(1)  # born
        return F.l1_loss(reconstruction, target) + 0.1 * divergence.mean()

    batches = []
    for step in range(6):
        x = torch.randn(4, 6)
        if step == 4:
            x[1] = 200.0
        batches.append((x, x))
    return {"model": VAE(), "batches": batches, "loss": elbo}


@faulty(phase="loss", op=either("log", "div"), module=None, step=2, samples=(3,))
def gaussian_likelihood_of_variance_zero():
    """log(var) + error² / var with a relu for the variance."""

    class Heteroscedastic(nn.Module):
        def __init__(self):
            super().__init__()
            self.mean = nn.Linear(4, 1)
            self.variance = nn.Sequential(nn.Linear(4, 1), nn.ReLU())
            nn.init.constant_(self.variance[0].weight, 0.5)
            nn.init.constant_(self.variance[0].bias, 1.0)

        def forward(self, x):
            return self.mean(x).squeeze(1), self.variance(x).squeeze(1)

    def negative_log_likelihood(output, target):
        mean, variance = output
        return 0.5 * (torch.log(variance) + (target - mean) ** 2 / variance).mean()  # born

    batches = [(torch.rand(5, 4), torch.randn(5)) for _ in range(4)]
    batches[2][0][3] = -5.0
    return {"model": Heteroscedastic(), "batches": batches, "loss": negative_log_likelihood}


@faulty(phase="loss", op="cosh", module=None, step=2, samples=(1,))
def log_cosh_of_a_large_error():
    """log(cosh(x)) overflows from 89 on, though its value is just |x| - log 2."""

    def log_cosh(output, target):
        return torch.log(torch.cosh(output - target)).mean()  # born

    batches = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(4)]
    batches[2][1][1] = 1000.0
    return {"model": nn.Linear(3, 1), "batches": batches, "loss": log_cosh}


@faulty(phase="loss", op=either("exp", "poisson_nll_loss"), module=None, step=3, samples=(2,))
def poisson_rate_overflows():
    """nn.PoissonNLLLoss takes exp of the output; one unnormalised count feature makes it 200."""
    net = nn.Linear(2, 1)
    nn.init.constant_(net.weight, 0.1)
    batches = [(torch.rand(4, 2), torch.randint(0, 5, (4, 1)).float()) for _ in range(5)]
    batches[3][0][2] = 1000.0
    return {"model": net, "batches": batches, "loss": nn.PoissonNLLLoss()}


@faulty(phase="loss", op="log1p", module=None, step=1, samples=(3,))
def logarithmic_error_of_a_negative_prediction():
    """RMSLE: log(1 + p) of a prediction below -1."""

    def msle(output, target):
        return ((torch.log1p(output) - torch.log1p(target)) ** 2).mean()  # born

    net = nn.Linear(2, 1)
    nn.init.constant_(net.weight, 1.0)
    nn.init.constant_(net.bias, 0.0)
    batches = [(torch.rand(4, 2), torch.rand(4, 1)) for _ in range(3)]
    batches[1][0][3] = -3.0
    return {"model": net, "batches": batches, "loss": msle}


@faulty(phase="loss", op="pow", module=None, step=2, samples=(0,))
def structural_similarity_of_an_inverted_image():
    """https://github.com/jorge-pessoa/pytorch-msssim/issues/2: a negative similarity to a fractional power."""

    def ms_ssim(output, target):
        x, y = output.flatten(1), target.flatten(1)
        x, y = x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)
        contrast = (2 * (x * y).mean(1) + 1e-4) / ((x**2).mean(1) + (y**2).mean(1) + 1e-4)
        return 1 - torch.pow(contrast, 0.3).mean()  # born

    conv = nn.Conv2d(1, 1, 1)
    nn.init.ones_(conv.weight)
    batches = []
    for step in range(4):
        image = torch.rand(3, 1, 8, 8)
        target = image + 0.05 * torch.rand(3, 1, 8, 8)
        if step == 2:
            target[0] = 1 - image[0]
        batches.append((image, target))
    return {"model": conv, "batches": batches, "loss": ms_ssim}


@faulty(phase="loss", op="div", module=None, step=3, samples=(1,))
def signal_to_distortion_of_silence():
    """SI-SDR of a silent reference: its energy is what everything is divided by."""

    def si_sdr(output, target):
        scale = (output * target).sum(1, keepdim=True) / (target**2).sum(1, keepdim=True)  # born
        signal = scale * target
        ratio = (signal**2).sum(1) / ((output - signal) ** 2).sum(1)
        return -10 * torch.log10(ratio).mean()

    batches = []
    for step in range(5):
        clean = torch.randn(3, 16)
        if step == 3:
            clean[1] = 0.0
        batches.append((clean + 0.1 * torch.randn(3, 16), clean))
    return {"model": nn.Linear(16, 16), "batches": batches, "loss": si_sdr}


@faulty(phase="loss", op="acos", module=None, step=2, samples=(1,))
def cosine_rounded_above_one():
    """Two unit vectors whose product is 1.0000001: acos is NaN beyond 1."""

    def angle(output, target):
        cosine = (F.normalize(output, dim=1) * F.normalize(target, dim=1)).sum(1)
        return torch.acos(cosine).mean()  # born

    class Identity(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(1.0))

        def forward(self, x):
            return x * self.scale

    candidates = torch.randn(4000, 5)
    above = (F.normalize(candidates, dim=1) ** 2).sum(1) > 1
    batches = [(torch.randn(4, 5), torch.randn(4, 5)) for _ in range(4)]
    batches[2][0][1] = candidates[above][0]
    batches[2][1][1] = candidates[above][0]
    return {
        "model": Identity(),
        "batches": batches,
        "loss": angle,
        "optimizer": lambda p: torch.optim.SGD(p, lr=0.0),
    }


@faulty(phase="loss", op="log", module=None, step=3, samples=(2,))
def generator_loss_of_a_sure_discriminator():
    """Minimax GAN: log(1 - D(G(z))) once D is 1 in float32."""

    class Gan(nn.Module):
        def __init__(self):
            super().__init__()
            self.generator = nn.Linear(4, 4)
            self.discriminator = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid())
            with torch.no_grad():
                self.generator.weight.copy_(torch.eye(4))
                self.discriminator[0].weight.fill_(1.0)

        def forward(self, z):
            return self.discriminator(self.generator(z))

    def generator_loss(output, _):
        return torch.log(1 - output).mean()  # born

    batches = [(torch.randn(4, 4), torch.zeros(4)) for _ in range(5)]
    batches[3][0][2] = 8.0
    return {"model": Gan(), "batches": batches, "loss": generator_loss}


@faulty(phase="loss", op="div", module=None, step=1, samples=(0,), term="divergence")
def divergence_to_a_distribution_with_holes():
    """KL(p ‖ q) by hand where q is 0 and p is not, as one of two weighted terms."""

    def divergence(output, target):
        q = torch.relu(output["q"])
        ratio = target["p"] / q  # born
        return 0.1 * (target["p"] * ratio.log()).sum(1).mean()

    def task(output, target):
        return F.mse_loss(output["value"], target["value"])

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.q = nn.Linear(3, 3)
            self.value = nn.Linear(3, 1)
            with torch.no_grad():
                self.q.weight.copy_(torch.eye(3))
                self.q.bias.fill_(0.1)

        def forward(self, x):
            return {"q": self.q(x), "value": self.value(x)}

    batches = []
    for step in range(3):
        x = torch.rand(4, 3)
        if step == 1:
            x[0, 0] = -1.0
        batches.append((x, {"p": torch.softmax(torch.randn(4, 3), 1), "value": torch.randn(4, 1)}))
    return {"model": Net(), "batches": batches, "loss": {"task": task, "divergence": divergence}}


@faulty(phase="loss", op="log", module=None, step=3, samples=None)
def noise_scale_that_crosses_zero():
    """A learned σ without a positive form, on data that fit exactly: three steps take it below 0, and log(σ) with it."""

    class Likelihood(nn.Module):
        def __init__(self):
            super().__init__()
            self.mean = nn.Linear(3, 1, bias=False)
            self.sigma = nn.Parameter(torch.tensor(0.65))
            nn.init.zeros_(self.mean.weight)

        def forward(self, x):
            return self.mean(x).squeeze(1), self.sigma

    def negative_log_likelihood(output, target):
        mean, sigma = output
        error = ((mean - target) ** 2).mean()
        return error / (2 * sigma**2) + torch.log(sigma)  # born

    batches = [(torch.randn(4, 3), torch.zeros(4)) for _ in range(4)]
    return {
        "model": Likelihood(),
        "batches": batches,
        "loss": negative_log_likelihood,
        "optimizer": lambda p: torch.optim.SGD(p, lr=0.1),
    }


@faulty(phase="loss", op=either("pow", "mse_loss", "square"), module=None, step=2, samples=(3,))
def fill_value_among_the_targets():
    """netCDF's fill value 9.97e36 where a measurement is missing: its square overflows."""
    batches = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(4)]
    batches[2][1][3] = 9.96921e36
    return {"model": nn.Linear(3, 1), "batches": batches, "loss": nn.MSELoss()}


@faulty(phase="loss", op="exp", module=None, step=2, samples=(1,))
def importance_ratio_of_a_stale_policy():
    """PPO: exp(new - old) of log-probabilities 100 apart, times an advantage of 0 for a clipped sample."""

    def clipped_surrogate(output, target):
        new = F.log_softmax(output, dim=1).gather(1, target["action"][:, None]).squeeze(1)
        ratio = torch.exp(new - target["old_log_prob"])  # born
        advantage = target["advantage"]
        return -torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()

    batches = []
    for step in range(4):
        target = {
            "action": torch.randint(0, 3, (4,)),
            "old_log_prob": torch.full((4,), -math.log(3)),
            "advantage": torch.tensor([1.0, 0.0, -1.0, 0.5]),
        }
        if step == 2:
            target["old_log_prob"][1] = -120.0
        batches.append((torch.randn(4, 5), target))
    return {"model": nn.Linear(5, 3), "batches": batches, "loss": clipped_surrogate}
