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

from imtlib.baselines import Popularity, RecentPopularity, SmoothedTransitions, Transitions
from imtlib.comparison import compare
from imtlib.datasets import load_dataset
from imtlib.evaluation import evaluate
from imtlib.listing import Event
from imtlib.log import BehaviourLog
from imtlib.model import InterestMigrationModel
from imtlib.pretrained import load_pretrained
from imtlib.reading import read_log
from imtlib.recommendation import Policy
from imtlib.saving import load_model
from imtlib.sequence_baselines import SequenceBaseline
from imtlib.simulation import simulate
from imtlib.splits import leave_one_out, time_split
from imtlib.training import fit

__all__ = [
    "BehaviourLog",
    "Event",
    "InterestMigrationModel",
    "Policy",
    "Popularity",
    "RecentPopularity",
    "SequenceBaseline",
    "SmoothedTransitions",
    "Transitions",
    "compare",
    "evaluate",
    "fit",
    "leave_one_out",
    "load_dataset",
    "load_model",
    "load_pretrained",
    "read_log",
    "simulate",
    "time_split",
]
