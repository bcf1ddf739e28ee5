"""Paired comparison against worlds in which the answer is known, and the arithmetic of resampling."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from imtlib.evaluation.bootstrap import bootstrap_means, per_user
from imtlib.evaluation.comparison import compare
from imtlib.evaluation.ranking import Report


def report(rank: np.ndarray, user: np.ndarray | None = None) -> Report:
    """A report of ranks alone, of one scenario and two items."""
    n = len(rank)
    return Report(
        "test",
        (1, 10),
        ("all",),
        rank.astype(float),
        np.log(rank.astype(float)),
        np.arange(n, dtype=np.int32) if user is None else user.astype(np.int32),
        np.zeros(n, np.int32),
        np.ones((1, 2, 2), bool),
    )


def ranks(seed: int, n: int = 400) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 30, n)


def test_per_user_adds_up_and_leaves_out_what_is_no_number() -> None:
    total, count = per_user(np.array([1.0, np.nan, 2.0, 4.0]), np.array([7, 3, 7, 5]))
    assert total.tolist() == [4.0, 3.0]  # of users 5 and 7; user 3 has no value
    assert count.tolist() == [1.0, 2.0]


def test_bootstrap_means_have_the_standard_error_of_the_mean() -> None:
    values = np.random.default_rng(0).normal(size=500)
    means = bootstrap_means(values, np.ones(500), draws=4000, seed=0)
    assert means.mean() == pytest.approx(values.mean(), abs=0.005)
    assert means.std() == pytest.approx(values.std() / np.sqrt(500), rel=0.05)


def test_a_difference_that_is_there_is_found_though_both_intervals_overlap() -> None:
    hard = ranks(0)
    better = np.maximum(hard - 1, 1)
    one, other = report(better), report(hard)
    assert one.interval("MRR")[0] < other.interval("MRR")[1]
    found = compare(one, other, "MRR")
    assert found.mean == pytest.approx(one["MRR"] - other["MRR"])
    assert found.low > 0
    assert found.p < 0.001
    assert found.users == 400


def test_no_difference_is_found_between_equal_models() -> None:
    p = [compare(report(ranks(s)), report(ranks(s + 500)), "NDCG@10", draws=200).p for s in range(60)]
    assert 0.01 < np.mean(np.array(p) < 0.1) < 0.25
    same = compare(report(ranks(1)), report(ranks(1)), "NDCG@10")
    assert (same.mean, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_p_agrees_with_the_permutation_test_of_scipy() -> None:
    one, other = report(ranks(2)), report(ranks(3))
    apart = one.each("MRR") - other.each("MRR")
    theirs = stats.permutation_test(
        (apart,), np.mean, permutation_type="samples", n_resamples=5000, rng=np.random.default_rng(0)
    )
    assert compare(one, other, "MRR", draws=5000).p == pytest.approx(theirs.pvalue, abs=0.02)


def test_requests_of_a_user_are_swapped_together() -> None:
    """Fifty requests of one user are one piece of evidence, not fifty."""
    user = np.repeat(np.arange(2), 50)
    found = compare(report(np.ones(100), user), report(np.full(100, 2), user), "HR@1")
    assert found.mean == 1
    assert found.p == pytest.approx(0.5, abs=0.05)
    assert found.users == 2


def test_the_sign_turns_with_the_order_and_the_seed_decides_alone() -> None:
    one, other = report(ranks(4)), report(ranks(5))
    there, back = compare(one, other, "MRR", seed=3), compare(other, one, "MRR", seed=3)
    assert there.mean == pytest.approx(-back.mean)
    assert there.low == pytest.approx(-back.high)
    assert there.p == back.p
    assert there == compare(one, other, "MRR", seed=3)
    assert there.low != compare(one, other, "MRR", seed=4).low


def test_requests_that_one_report_has_no_value_for_are_left_out() -> None:
    one, other = report(ranks(6)), report(ranks(7))
    loss = one.loss.copy()
    loss[:100] = np.nan
    found = compare(replace(one, loss=loss), other, "log loss")
    assert found.users == 300
    assert found.mean == pytest.approx((one.loss - other.loss)[100:].mean())
    with pytest.raises(ValueError, match="no request has a log loss"):
        compare(replace(one, loss=np.full(400, np.nan)), other, "log loss")


def test_other_requests_and_unknown_metrics_are_refused() -> None:
    with pytest.raises(ValueError, match="different requests"):
        compare(report(ranks(0)), report(ranks(0, 300)))
    with pytest.raises(ValueError, match="of part 'valid' and 400 of part 'test'"):
        compare(replace(report(ranks(0)), name="valid"), report(ranks(0)))
    with pytest.raises(KeyError, match="no metric"):
        compare(report(ranks(0)), report(ranks(1)), "NDCG@7")
    with pytest.raises(ValueError, match="no mean over requests"):
        compare(report(ranks(0)), report(ranks(1)), "coverage@10")


def test_text_says_all() -> None:
    text = str(compare(report(ranks(0)), report(ranks(1)), "HR@10"))
    assert all(part in text for part in ("HR@10", "95% interval", "p = ", "400 users"))
