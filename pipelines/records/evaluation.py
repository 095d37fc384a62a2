"""What was measured of a model on its holdout: the record that gates, model card and pages read.

Every part that could not be measured is None (or empty), and ``Evaluation.not_measured`` says why.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipelines.records.base import Record

SliceKind = Literal["declared", "protected", "discovered"]
StressKind = Literal["noise", "missing", "extreme", "unseen_levels"]
BaselineKind = Literal["prior", "same_group_last_time", "last_day"]


class Measured(Record):
    """A number, and the bounds that it is between with the evaluation's ``confidence``.

    ``value`` is None where the measure is not defined (an AUC of one class), the bounds where there are
    too few units to tell.
    """

    value: float | None
    lower: float | None = None
    upper: float | None = None


class CalibrationBin(Record):
    """One bin of rows with like predictions."""

    mean_prediction: float
    mean_target: float
    n: int


class CalibrationMeasure(Record):
    """How far predictions mean what they say.

    Parameters
    ----------
    of : str
        What is held against what happened: the probability of the positive class, that of the
        likeliest class, or the value of a regression.
    error : Measured
        The expected calibration error: the mean distance of ``bins`` from the diagonal, by rows; a
        probability, or the target's unit.
    luck : float or None
        What a calibrated model would show of ``error`` on days as different as these.
    bias : Measured
        The mean prediction less the mean target; 0 is right.
    slope, intercept : Measured
        Of what happened on what was predicted (in log odds, of a probability): 1 and 0 are right. A
        slope below 1 means predictions that are too sure.
    """

    of: str
    error: Measured
    luck: float | None
    bias: Measured
    slope: Measured
    intercept: Measured
    bins: tuple[CalibrationBin, ...]


class SliceMeasure(Record):
    """One group of rows, looked at on its own.

    Parameters
    ----------
    where : mapping of str to str
        Column to level (``UA``, ``(none)`` for a null) or range (``12.5 to 40``); a row of the group
        meets all of it.
    metric : Measured
        The primary metric on the group.
    excess_loss : Measured
        The group's mean loss (log loss; squared error of a regression) less that of all other rows:
        above 0 is worse.
    p_value : float or None
        That an excess so large comes of luck, one-sided, corrected for all groups of this kind that
        were looked at.
    is_worse : bool
        Whether ``p_value`` is below 0.05. A group on which chance decides more is harder for any model;
        where ``mean_prediction`` and ``mean_target`` differ too, this one is wrong there.
    mean_prediction, mean_target : float or None
        Of a multiclass task, of the likeliest class: how sure the model is, and how often it is right.
    """

    kind: SliceKind
    where: dict[str, str]
    n_rows: int
    metric: Measured
    excess_loss: Measured
    p_value: float | None = None
    is_worse: bool = False
    mean_prediction: float | None = None
    mean_target: float | None = None


class FairnessGap(Record):
    """The widest difference between two levels of a protected column in one measure.

    Parameters
    ----------
    measure : str
        The primary metric's name; ``bias``, the mean prediction less the mean target (multiclass: of the
        likeliest class); ``selection_rate``, ``true_positive_rate`` and ``false_positive_rate`` of a binary
        task, where a row is selected whose probability is at least ``threshold``; ``accuracy`` of a
        multiclass one.
    gap : Measured
        How far apart the two are. Of ``rmse`` and ``log_loss`` as a share of the value over all rows; the
        ``bias`` of a regression in standard deviations of the target.
    highest_level, lowest_level : str
        The two levels that are furthest apart; of a metric the better one is the highest.
    highest, lowest : float
        What was measured of them, in its own unit.
    n_levels, n_left_out : int
        How many levels were compared, and how many others the rows have: those with too few rows for the
        measure, and those that are not among the 20 most frequent.
    """

    column: str
    measure: str
    gap: Measured
    highest_level: str
    highest: float
    lowest_level: str
    lowest: float
    n_levels: int
    n_left_out: int = 0
    threshold: float | None = None


class StressResult(Record):
    """How the model bears data that were spoilt on purpose.

    Parameters
    ----------
    amount : float
        Of ``noise`` the standard deviations added, of ``missing`` the share of cells taken away, of
        ``extreme`` the standard deviations off the mean, of ``unseen_levels`` the share of cells changed.
    metric : float or None
        The primary metric on the spoilt rows.
    loss : float or None
        How much worse that is than on the same rows as they were; above 0 is worse.
    moved : float or None
        The mean change of a prediction, without its sign.
    is_finite : bool
        Whether every prediction stayed a number (and a probability, of classes).
    """

    kind: StressKind
    amount: float
    n_columns: int
    metric: float | None
    loss: float | None
    moved: float | None
    is_finite: bool


class BaselineMeasure(Record):
    """What knows next to nothing, on the same rows.

    Parameters
    ----------
    kind : str
        ``prior``: the mean of the past (how often each class came). ``same_group_last_time``: the last
        known target of the same group, before the row's own day. ``last_day``: the mean of the last day
        whose labels were known.
    what : str
        In words, with the columns of the group.
    coverage : float
        The share of rows that it could answer with more than the mean of the past.
    metrics : mapping of str to float
        Those of the task that are defined.
    gain : Measured
        How much better the model is in the primary metric; above 0 is better.
    """

    kind: BaselineKind
    what: str
    coverage: float
    metrics: dict[str, float]
    gain: Measured


class FeatureImportance(Record):
    """What one feature moves: the mean of its SHAP values without their signs, and its share of all."""

    column: str
    value: float
    share: float


class Importance(Record):
    """SHAP values of a few rows, through the scorer's own predictions.

    ``unit`` says what a value is measured in; ``features`` come by falling importance.
    """

    method: str
    unit: str
    n_rows: int
    n_background: int
    features: tuple[FeatureImportance, ...]


class LabelNoise(Record):
    """How many labels may be wrong.

    Parameters
    ----------
    method : str
        ``confident learning`` of classes, ``residual outliers`` of a regression.
    share : float
        The estimated share of wrong labels. What the features can't tell looks like a wrong label too,
        so that it is an upper estimate, to be compared between trainings rather than taken as it is.
    surest_contradicted : float or None
        Of the 2 % of rows that look surest, the share with another label: labels that were turned round
        at random can hardly be more frequent than that. None of a regression, and of few rows.
    suspects : tuple of str
        Row ids of the labels that are contradicted most, at most twenty; the worst first.
    """

    method: str
    share: float
    surest_contradicted: float | None
    n_rows: int
    n_folds: int
    by_class: dict[str, float] = Field(default_factory=dict)
    suspects: tuple[str, ...] = ()


class RetrainingNoise(Record):
    """How much models of one recipe differ on the same held-out rows, each of another seed and resample.

    Parameters
    ----------
    values : tuple of float
        The primary metric of each of those models, which were fitted on 10,000 rows at most.
    standard_deviation : float
        Of ``values``, less what more rows would make it smaller where the model itself had more.
    ratio : float
        Their variance over what it would be if they differed only as they differ from day to day (from group
        of rows to group of rows). Far above 1, a gain may be beyond doubt on these days and yet be luck.
    """

    values: tuple[float, ...]
    standard_deviation: float
    ratio: float


class Evaluation(Record):
    """All that was measured of one model on its holdout, which training never saw.

    The file ``evaluation.json`` of a training. It holds nothing that differs between two runs of one
    training: see :class:`Speed` for what does.

    Parameters
    ----------
    metric, greater_is_better
        The primary metric of the task, and its direction.
    unit, interval_method : str
        What intervals allow to go together: ``days``, or ``groups of rows``, ``n_units`` of them; and how
        the bounds were reckoned.
    metrics : mapping of str to Measured
        Every metric of the task by its name; without ``n``, which is ``n_rows``.
    n_slices_looked_at : int
        How many groups of rows were looked at to find the discovered ones.
    plots : mapping of str to str
        Title to path, below the training's outputs.
    not_measured : mapping of str to str
        Field of this record (or ``field.part``) to the reason why it is empty.
    """

    format_version: Literal[1] = 1
    dataset: str
    task: str
    candidate: str
    bundle_digest: str
    metric: str
    greater_is_better: bool
    first_day: str
    last_day: str
    n_days: int
    n_rows: int
    unit: str
    n_units: int
    confidence: float
    interval_method: str
    metrics: dict[str, Measured]
    calibration: CalibrationMeasure | None = None
    slices: tuple[SliceMeasure, ...] = ()
    n_slices_looked_at: int = 0
    fairness: tuple[FairnessGap, ...] = ()
    stress: tuple[StressResult, ...] = ()
    baselines: tuple[BaselineMeasure, ...] = ()
    importance: Importance | None = None
    label_noise: LabelNoise | None = None
    retraining_noise: RetrainingNoise | None = None
    plots: dict[str, str] = Field(default_factory=dict)
    not_measured: dict[str, str] = Field(default_factory=dict)


class Speed(Record):
    """How fast the model answers, where it was evaluated; the file ``speed.json`` of a training.

    It differs from run to run, so that nothing of it is in :class:`Evaluation`, nor in what DVC keeps.

    Parameters
    ----------
    row_seconds, row_seconds_p95 : float
        Of one row on its own, encoding included: the median, and what 95 % stay under.
    rows_per_second : float
        Of ``n_rows`` rows at once.
    open_seconds : float
        To read the bundle, put it together and check its golden rows.
    """

    device: str
    n_threads: int
    machine: str
    open_seconds: float
    row_seconds: float
    row_seconds_p95: float
    n_calls: int
    rows_per_second: float
    n_rows: int
