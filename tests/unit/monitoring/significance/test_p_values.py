"""Calm windows are called surprising as often as the p-value says, and drift is seen."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.monitoring.significance.noise import DaySums, learn_noise
from pipelines.monitoring.significance.p_values import benjamini_hochberg, column_p_value, statistic_p_values
from pipelines.monitoring.significance.watched import Subject, watch_levels, watch_numbers, watch_share

N_BINS = 200
EDGES = np.linspace(-4, 4, N_BINS - 1)


class Columns:
    """Columns whose days add ``day_noise`` to rows of variance 1, each day like the one before it."""

    def __init__(self, *, n=20, n_days=60, per_day=200, day_noise=0.0, likeness=0.0, seed=0):
        self._random = np.random.default_rng(seed)
        self._noise, self._likeness, self._per_day = day_noise, likeness, per_day
        self._state = self._random.normal(size=n)
        self.reference = self.draw(n_days)

    def draw(self, n_days, *, shift=0.0):
        """Return counts of the next days, shape (n_days, n, bins)."""
        found = []
        for _ in range(n_days):
            news = self._random.normal(size=self._state.shape)
            self._state = self._likeness * self._state + np.sqrt(1 - self._likeness**2) * news
            rows = self._random.normal(size=(len(news), self._per_day)) + shift
            rows += np.sqrt(self._noise) * self._state[:, None]
            codes = np.searchsorted(EDGES, rows) + np.arange(len(news))[:, None] * N_BINS
            found.append(np.bincount(codes.ravel(), minlength=len(news) * N_BINS).reshape(-1, N_BINS))
        return np.array(found)

    def learn(self, length):
        """Return what is watched of each column, with the noise of windows of ``length`` days."""
        days = {
            Subject(str(number), "wasserstein"): self.reference[:, number]
            for number in range(self.reference.shape[1])
        }
        watched = {
            name: watch_numbers(counts.sum(axis=0), np.zeros(2), has_mean=False)
            for name, counts in days.items()
        }
        sums = {
            name: DaySums(watched[name], counts.sum(axis=1).astype(float), watched[name].sums(counts))
            for name, counts in days.items()
        }
        noise = learn_noise(sums, length=length)
        return [(watched[name], noise[name]) for name in days]


def _p_values(columns, learned, *, length=1, shift=0.0):
    window = columns.draw(length, shift=shift).sum(axis=0)
    found = []
    for (watched, noise), counts in zip(learned, window, strict=True):
        n_rows, sums = float(counts.sum()), watched.sums(counts)
        each = statistic_p_values(watched, noise, n_rows, sums)
        found.append(column_p_value(watched, noise, n_rows, sums, each))
    return np.array(found)


@pytest.mark.parametrize(
    ("made", "length"),
    [
        pytest.param({}, 1, id="rows-are-the-sample"),
        pytest.param({"per_day": 50}, 7, id="rows-are-the-sample-of-weeks"),
        pytest.param({"day_noise": 0.5, "likeness": 0.6}, 1, id="days-that-are-alike"),
        pytest.param({"day_noise": 0.05, "likeness": 0.7, "per_day": 60}, 7, id="weeks-of-such-days"),
        pytest.param({"day_noise": 1.0}, 1, id="days-that-differ-as-much-as-rows"),
    ],
)
def test_calm_windows_are_rarely_surprising(made, length):
    found = []
    for seed in range(6):
        columns = Columns(seed=seed, **made)
        learned = columns.learn(length)
        found += [_p_values(columns, learned, length=length) for _ in range(15)]
    found = np.concatenate(found)
    # 1,800 p-values, of few references: 18 and 1.8 of them would be the ideal.
    assert (found < 0.01).mean() <= 0.015
    assert (found < 0.001).mean() <= 0.004


def test_a_small_shift_of_500_rows_is_seen_where_rows_are_the_sample():
    columns = Columns(per_day=500, n=50)
    learned = columns.learn(1)
    found = np.concatenate([_p_values(columns, learned, shift=0.3) for _ in range(4)])
    assert (found < 1e-4).mean() > 0.95


def test_days_that_differ_hide_a_shift_that_rows_alone_would_show():
    shift, per_day = 0.3, 500
    calm = Columns(per_day=per_day)
    moody = Columns(per_day=per_day, day_noise=0.5)
    assert np.median(_p_values(calm, calm.learn(1), shift=shift)) < 1e-6
    assert np.median(_p_values(moody, moody.learn(1), shift=shift)) > 0.05
    # And one that no day of the reference comes near is seen all the same.
    assert np.median(_p_values(moody, moody.learn(1), shift=6.0)) < 1e-4


def test_one_column_with_a_mind_of_its_own_is_not_lent_the_trust_of_the_others():
    calm, moody = Columns(), Columns(n=1, day_noise=0.5, likeness=0.5)
    days = {Subject(f"calm {n}", "wasserstein"): calm.reference[:, n] for n in range(20)}
    days[Subject("moody", "wasserstein")] = moody.reference[:, 0]
    sums = {}
    for name, counts in days.items():
        watched = watch_numbers(counts.sum(axis=0), np.zeros(2), has_mean=False)
        sums[name] = DaySums(watched, counts.sum(axis=1).astype(float), watched.sums(counts))
    noise = learn_noise(sums, length=1)
    alone = {name.column for name, found in noise.items() if not found.is_pooled}
    assert "moody" in alone
    assert len(alone) <= 2
    pooled = noise[Subject("calm 0", "wasserstein")]
    assert pooled.is_pooled
    assert pooled.ratio[0] == pytest.approx(1.0, abs=0.15)


def _level_noise(counts):
    watched = watch_levels(counts.sum(axis=0))
    sums = DaySums(watched, counts.sum(axis=1).astype(float), watched.sums(counts))
    return watched, learn_noise({Subject("level", "jensenshannon"): sums}, length=1).popitem()[1]


@pytest.mark.parametrize("n_levels", [50, 200])
def test_rare_levels_raise_no_false_alarm_and_a_grown_one_is_seen(n_levels):
    random = np.random.default_rng(0)
    shares = 1 / np.arange(1, n_levels + 1)
    shares /= shares.sum()
    grown = shares.copy()
    grown[0] *= 1.5
    grown[1:] *= (1 - grown[0]) / grown[1:].sum()
    calm, moved = [], []
    for _ in range(4):
        watched, noise = _level_noise(
            np.column_stack([random.multinomial(1_000, shares, 60), np.zeros(60, int)])
        )
        for kept, chances in [(calm, shares)] * 60 + [(moved, grown)] * 15:
            window = np.append(random.multinomial(1_000, chances), 0)
            sums = watched.sums(window)
            each = statistic_p_values(watched, noise, 1_000.0, sums)
            kept.append(column_p_value(watched, noise, 1_000.0, sums, each))
    assert np.mean(np.array(calm) < 0.05) <= 0.08
    assert np.mean(np.array(calm) < 0.005) <= 0.02
    assert np.mean(np.array(moved) < 1e-3) >= 0.95


@pytest.mark.parametrize(
    ("found", "is_surprising"),
    [
        pytest.param(0, False, id="none-as-always"),
        pytest.param(1, False, id="one-where-there-never-was"),
        pytest.param(30, True, id="many-where-there-never-was"),
        pytest.param(500, True, id="all-of-them"),
    ],
)
def test_what_the_reference_never_had_is_judged_by_its_rows(found, is_surprising):
    watched = watch_share(0.0, 12_000.0)
    days = np.column_stack([np.zeros(60), np.full(60, 200.0)])
    sums = DaySums(watched, np.full(60, 200.0), watched.sums(days))
    noise = learn_noise({Subject("a", "missing_share"): sums}, length=1).popitem()[1]
    (p_value,) = statistic_p_values(watched, noise, 500.0, np.array([float(found)]))
    assert (p_value < 1e-6) == is_surprising


def test_nulls_that_come_in_bursts_are_not_judged_as_if_they_came_evenly():
    watched = watch_share(60.0, 12_000.0)
    missing = np.zeros(60)
    missing[30] = 60.0
    rows = np.full(60, 200.0)
    even = DaySums(watched, rows, watched.sums(np.column_stack([np.ones(60), rows - 1])))
    burst = DaySums(watched, rows, watched.sums(np.column_stack([missing, rows - missing])))
    p_values = []
    for sums in (even, burst):
        noise = learn_noise({Subject("a", "missing_share"): sums}, length=1).popitem()[1]
        p_values.append(statistic_p_values(watched, noise, 200.0, np.array([40.0]))[0])
    assert p_values[0] < 1e-12
    assert p_values[1] > 0.001


@pytest.mark.parametrize("n_days", [1, 2])
def test_a_reference_of_one_or_two_days_takes_rows_for_the_sample(n_days):
    columns = Columns(n_days=n_days, n=5)
    assert all(noise.is_pooled and noise.ratio == (1.0,) for _, noise in columns.learn(7))


def test_q_values_are_those_of_benjamini_and_hochberg():
    p_values = np.array([0.01, 0.04, 0.03, 0.005, 0.5])
    assert benjamini_hochberg(p_values) == pytest.approx([0.025, 0.05, 0.05, 0.025, 0.5])
    assert benjamini_hochberg(np.array([])).size == 0


def test_shares_that_come_in_bursts_raise_no_false_alarms():
    random = np.random.default_rng(0)
    rows, found = np.full(60, 500.0), []
    for _ in range(60):
        # Nulls of one in a hundred rows, whose days differ by a factor of seven either way.
        counts = random.binomial(500, np.clip(0.01 * np.exp(2 * random.normal(size=80) - 2), 0, 1))
        watched = watch_share(float(counts[:60].sum()), 30_000.0)
        days = np.column_stack([counts[:60], rows - counts[:60]])
        sums = DaySums(watched, rows, watched.sums(days))
        noise = learn_noise({Subject("a", "missing_share"): sums}, length=1).popitem()[1]
        found += [statistic_p_values(watched, noise, 500.0, np.array([float(n)]))[0] for n in counts[60:]]
    # 1,200 windows.
    assert np.mean(np.array(found) < 0.001) <= 0.004
