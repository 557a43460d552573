"""One torch thread per test process: small tensors gain nothing from a second, and test runs must not fight for cores."""

import os

import torch

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start
torch.set_num_threads(1)
