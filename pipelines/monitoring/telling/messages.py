"""What people are told of an incident: its cause, its consequence, the next step, and where to look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from urllib.parse import quote

from pipelines.errors import printable
from pipelines.metrics import metric_name
from pipelines.records import (
    Breaker,
    ChainReport,
    ChampionMove,
    ChampionNote,
    Episode,
    GateRecord,
    Message,
    Severity,
    digest_of,
    now_utc,
)

# An episode is told by what is to be done about it, once each, and when it is over.
EpisodeEvent = Literal["retrain", "investigate", "closed"]
PAGES: tuple[EpisodeEvent, ...] = ("retrain", "investigate")

_MAX_CHARS = 1_500
_MAX_KEY_CHARS = 200
# Chat programs take these for markup and for calls to everybody; a column's name is neither.
_MARKS = str.maketrans({"<": "‹", ">": "›", "@": "＠", "`": "'"})


def episode_key(episode: Episode, event: EpisodeEvent) -> str:
    """Return what tells a message about an episode apart."""
    return f"{episode.dataset}/episode/{episode.id}/{event}"


def episode_message(episode: Episode, event: EpisodeEvent, *, pages: str, is_worse: bool = False) -> Message:
    """Return the message about an episode that is worth a page, or that is over.

    Parameters
    ----------
    pages : str
        The address of Holdfast's pages.
    is_worse : bool
        Whether people have been told of it as of something less bad.
    """
    dataset = episode.dataset
    kinds = " and ".join(episode.kinds)
    what = "a fault of the data" if episode.action == "investigate" else f"{kinds} drift".strip()
    night = (episode.closed_for if event == "closed" else None) or episode.last_alarm
    # The page as of that night, also for whoever reads the message a month later.
    link = f"{pages}/drift/{quote(dataset)}?last={quote(night)}"
    if event == "closed":
        return _message(
            episode_key(episode, event),
            dataset=dataset,
            night=night,
            severity="info",
            title=f"{dataset}: over: {what}, since {episode.first_alarm}",
            cause=episode.closing_reason or "There was no alarm for long enough.",
            consequence=f"Episode {episode.id} is closed; its last alarm was for {episode.last_alarm}.",
            next_step="None.",
            link=link,
        )
    return _message(
        episode_key(episode, event),
        dataset=dataset,
        night=night,
        severity=episode.severity,
        title=f"{dataset}: {episode.severity}: {what}, since {episode.first_alarm}"
        + (" (worse than it seemed at first)" if is_worse else ""),
        cause=episode.cause,
        consequence=episode.consequence,
        next_step=episode.next_step,
        link=link,
    )


def breaker_message(breaker: Breaker, night: str, *, pages: str) -> Message:
    """Return the message about retraining that was switched off."""
    dataset = breaker.dataset
    return _message(
        f"{dataset}/breaker/{breaker.changed_at.isoformat()}",
        dataset=dataset,
        night=night,
        severity="critical",
        title=f"{dataset}: retraining has stopped",
        cause=breaker.reason,
        consequence="The champion goes on scoring, and no drift starts a training until a person says so.",
        next_step="Find out why the challengers do not win; then switch retraining on again: "
        f"holdfast retraining breaker close {dataset} --reason ...",
        link=f"{pages}/drift/{quote(dataset)}",
    )


def failed_run_message(dataset: str, night: str, *, run: str, why: str, pages: str) -> Message:
    """Return the message about a run that has failed for good.

    Parameters
    ----------
    run : str
        Which run: Dag and run id; it tells messages apart.
    why : str
        What failed, in a sentence.
    """
    path = f"night/{quote(dataset)}/{quote(night)}" if night else ""
    return _message(
        f"{dataset}/failed/{run}",
        dataset=dataset,
        night=night,
        severity="critical",
        title=f"{dataset} {night or 'run'}: failed for good",
        cause=why,
        consequence="What comes after it in the night has not been done; the champion and all that is "
        "published stay as they are.",
        next_step="Mend the cause and clear the failed task: a repeat is harmless. The Dag's page says what "
        "else can be done by hand.",
        link=f"{pages}/{path}",
    )


def approval_message(gate: GateRecord, *, pages: str) -> Message:
    """Return the message about a challenger that passed its gates and waits for a person."""
    dataset, version = gate.dataset, gate.model_version
    champion = (
        "no champion yet" if gate.champion_version is None else f"the champion is v{gate.champion_version}"
    )
    value = "" if gate.champion_value is None else f" with {gate.champion_value:.4f}"
    return _message(
        f"{dataset}/approval/{version}/{gate.digest[:16]}",
        dataset=dataset,
        night=gate.partition_key,
        severity="info",
        title=f"{dataset}: v{version} waits for your word",
        cause=f"v{version} passed its {len(gate.gates)} gates: {metric_name(gate.metric)} "
        f"{gate.challenger_value:.4f} on the holdout; {champion}{value}.",
        consequence="Until somebody answers, the champion stays; without an answer in time it is refused.",
        next_step=f"Approve or reject it in Airflow: Dag promote_{dataset}, required actions.",
        link=f"{pages}/models/{quote(dataset)}/{quote(version)}",
    )


def rollback_message(move: ChampionMove, *, pages: str, nights: Sequence[str] = ()) -> Message:
    """Return the message about a champion that was rolled back.

    Parameters
    ----------
    nights : sequence of str
        Those whose predictions are still of the version that was rolled back.
    """
    dataset = move.dataset
    again = "None: no night's predictions are of the version that was rolled back."
    if nights:
        days = nights[0] if len(nights) == 1 else f"{nights[0]} --last {nights[-1]}"
        again = (
            f"{len(nights)} night(s) are still scored by v{move.previous_version}; where they are to be "
            f"scored again: holdfast rescore {dataset} {days} --reason ..."
        )
    return _message(
        f"{dataset}/champion/{move.sequence}/rollback",
        dataset=dataset,
        night=move.partition_key,
        severity="warning",
        title=f"{dataset}: rolled back to v{move.model_version}",
        cause=f"{move.actor} asked for it: {move.reason or 'no reason was given'}",
        consequence=f"v{move.model_version} scores from the next night on, in place of "
        f"v{move.previous_version}; earlier predictions stay.",
        next_step=again,
        link=f"{pages}/drift/{quote(dataset)}",
    )


def alias_message(note: ChampionNote, *, pages: str) -> Message:
    """Return the message about an alias of MLflow that was moved by hand, and put back."""
    dataset = note.dataset
    return _message(
        f"{dataset}/champion/{note.sequence}/alias/{note.digest[:16]}",
        dataset=dataset,
        night=note.partition_key,
        severity="warning",
        title=f"{dataset}: MLflow's alias champion was moved by hand",
        cause=note.reason,
        consequence=f"v{note.restored} scored all the while, as the ledger says; whoever loaded the model by "
        "its alias meanwhile had another one, or none.",
        next_step="Where the other version is to be champion, hold it to the gates (holdfast gate, then "
        f"holdfast promote), or go back to it: holdfast rollback {dataset} --version ... --reason ...",
        link=f"{pages}/drift/{quote(dataset)}",
    )


def broken_record_message(report: ChainReport, night: str, *, pages: str) -> Message:
    """Return the message about a champion's record that is not what was written."""
    dataset = report.dataset
    breaks = "; ".join(f"move {found.sequence}: {found.problem}" for found in report.breaks)
    return _message(
        f"{dataset}/champion/record/{digest_of(report.to_json()['breaks'])[:16]}",
        dataset=dataset,
        night=night,
        severity="critical",
        title=f"{dataset}: the champion's record was changed",
        cause=breaks,
        consequence="Who was champion when, and why, can't be answered with certainty; the champion that the "
        "record names goes on scoring.",
        next_step=f"See what is broken: holdfast champion verify {dataset}. Restore the ledger from a "
        f"backup, then take it for the true record: holdfast champion accept {dataset} --reason ...",
        link=f"{pages}/drift/{quote(dataset)}",
    )


def trial_message(*, pages: str) -> Message:
    """Return a message that only tries whether messages arrive."""
    return _message(
        "trial",
        dataset="",
        night="",
        severity="info",
        title="Holdfast: this is a trial",
        cause="Somebody ran `holdfast messages test`.",
        consequence="None.",
        next_step="Nothing: you are reading it.",
        link=f"{pages}/",
    )


def message_text(message: Message) -> str:
    """Return a message's body as plain text."""
    return (
        f"Cause: {message.cause}\n"
        f"Consequence: {message.consequence}\n"
        f"Next: {message.next_step}\n"
        f"Look: {message.link}"
    )


def _message(
    key: str,
    *,
    dataset: str,
    night: str,
    severity: Severity,
    link: str,
    **words: str,
) -> Message:
    return Message(
        # A run's id may be of any length, and what tells it apart stands at its end.
        key=key if len(key) <= _MAX_KEY_CHARS else f"{key[:120]}/{digest_of(key)}",
        dataset=dataset,
        partition_key=night,
        severity=severity,
        link=link,
        created_at=now_utc(),
        **{name: _plain(text) for name, text in words.items()},
    )


def _plain(text: str) -> str:
    """Return text that no terminal, log or chat program takes for anything but text, of bounded length."""
    text = printable(text, kept="\n").translate(_MARKS)
    return text if len(text) <= _MAX_CHARS else text[: _MAX_CHARS - 1] + "…"
