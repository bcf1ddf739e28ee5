"""Attention-based multi-scenario interest migration: the model of the book, and what surrounds it.

The main job in seven lines::

    import imtlib as imt

    log = imt.load_dataset("movielens-1m")
    split = imt.leave_one_out(log)
    model = imt.InterestMigrationModel.for_log(split.train, units=128)
    imt.fit(model, split)
    print(imt.evaluate(model, split.test))
    model.recommend(log, user="1m_17", k=10)
"""

from imtlib.quiet import quiet

with quiet():
    import imtlib.layers.backend  # noqa: F401 - the first to load TensorFlow

from imtlib.baselines.counting import Popularity, RecentPopularity, SmoothedTransitions, Transitions
from imtlib.baselines.sequential import SequenceBaseline
from imtlib.checkpoints import load_model, load_pretrained
from imtlib.data.log import BehaviourLog
from imtlib.data.queries import Event
from imtlib.data.reader import read_log
from imtlib.data.splits import leave_one_out, time_split
from imtlib.datasets.registry import load_dataset
from imtlib.evaluation.comparison import compare
from imtlib.evaluation.given_lists import evaluate_lists
from imtlib.evaluation.ranking import evaluate
from imtlib.model import InterestMigrationModel
from imtlib.recommendation import Policy
from imtlib.simulation.simulator import simulate
from imtlib.streaming import Session
from imtlib.training.trainer import fit
from imtlib.transfer.remapping import carry_over

__version__ = "0.1.0"

__all__ = [
    "BehaviourLog",
    "Event",
    "InterestMigrationModel",
    "Policy",
    "Popularity",
    "RecentPopularity",
    "SequenceBaseline",
    "Session",
    "SmoothedTransitions",
    "Transitions",
    "carry_over",
    "compare",
    "evaluate",
    "evaluate_lists",
    "fit",
    "leave_one_out",
    "load_dataset",
    "load_model",
    "load_pretrained",
    "read_log",
    "simulate",
    "time_split",
]
