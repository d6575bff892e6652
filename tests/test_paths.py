"""The path of equilibria: against the solver, brute force, folds known in advance and planted violations."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import scipy

import pma_mfg
from pma_mfg import equilibrium, games, operators, paths, regularizers
from pma_mfg.cli import main
from pma_mfg.errors import InputError
from pma_mfg.games import Features, MeanFieldGame
from pma_mfg.paths.following import Follower, held
from pma_mfg.paths.system import System
from pma_mfg.regularizers import Entropy, Quadratic
from tests.own_regularizers import Tsallis
