"""How the passport of a row reads: on a page, as Markdown, and on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.pages.document import (
    Block,
    Bullets,
    Cell,
    Document,
    Fact,
    Facts,
    Link,
    Mark,
    Prose,
    Section,
    State,
    Table,
)
from pipelines.pages.places import Places
from pipelines.records import Decision, ExpectationOutcome
from pipelines.registry.decided import gates_table, short, stamp
from pipelines.registry.origin_facts import origin_facts
from pipelines.registry.row_passport import ModelOrigin, RowOutcome, RowPassport, SupersededScoring

_OUTCOMES: dict[RowOutcome, tuple[State, str]] = {
    "predicted": ("calm", "Predicted"),
    "withheld": ("warning", "No prediction: held back"),
    "unscored": ("info", "Not scored yet"),
    "quarantined": ("warning", "In quarantine"),
    "landed": ("info", "Not validated yet"),
}
_VERDICTS: dict[str, State] = {"passed": "calm", "warned": "warning", "refused": "critical"}
_INTACT: dict[bool | None, tuple[State, str, str]] = {
    True: ("calm", "as recorded", "hashed again"),
    False: ("critical", "changed", "NOT WHAT WAS RECORDED"),
    None: ("none", "not checked", "more than 20,000 rows: `holdfast explain --verify` hashes them"),
}


def row_document(passport: RowPassport, *, places: Places | None = None) -> Document:
    """Return a passport as a document.

    Parameters
    ----------
    places : Places, optional
        Where its links lead; it has none without.
    """
    sections = [
        _prediction(passport, places),
        _model(passport.model, passport.dataset),
        _decision(passport),
        _night(passport),
        _superseded(passport),
        Section("Not known", [Bullets(passport.missing)]) if passport.missing else None,
    ]
    return Document(
        title=f"{passport.dataset} {passport.row_id}",
        marks=[Mark(*_OUTCOMES[passport.outcome])],
        lead=[Prose("Why this row has no prediction:"), Bullets(passport.reasons)]
        if passport.reasons
        else [],
        sections=[section for section in sections if section is not None],
    )


def _prediction(passport: RowPassport, places: Places | None) -> Section:
    facts = [Fact(name, _figure(value)) for name, value in (passport.prediction or {}).items()]
    if (scoring := passport.scoring) is not None:
        version = scoring.model_version
        state, word, note = _INTACT[passport.is_intact]
        address = None if places is None else places.model(passport.dataset, version)
        facts += [
            Fact("model version", f"v{version}" if address is None else Link(f"v{version}", address)),
            Fact("scored at", stamp(scoring.decided_at), f"on {scoring.device}"),
            Fact("Dag run", scoring.run_id or "not known"),
            Fact("predictions", short(scoring.predictions_digest), f"of {scoring.n_rows} rows"),
            Fact("their bytes", Mark(state, word), note),
            Fact("features", short(scoring.features_digest)),
        ]
    facts += [
        Fact("night", _night_cell(passport, places)),
        Fact("event time", "not known" if passport.event_time is None else stamp(passport.event_time)),
        Fact("came from", _origin(passport)),
    ]
    return Section("The prediction" if passport.prediction else "The row", [Facts(facts)])


def _figure(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _night_cell(passport: RowPassport, places: Places | None) -> Cell:
    night = passport.partition_key
    return night if places is None else Link(night, places.night(passport.dataset, night))


def _origin(passport: RowPassport) -> str:
    if passport.source_file is None:
        return "not known: its landed row is gone"
    return passport.source_file + ("" if passport.source_line is None else f", line {passport.source_line}")


def _model(model: ModelOrigin | None, dataset: str) -> Section | None:
    if model is None:
        return None
    more = Prose(f"All of it: `holdfast show model {dataset}@{model.model_version}`.")
    return Section(f"The model: v{model.model_version}", [Facts(origin_facts(model)), more])


def _decision(passport: RowPassport) -> Section | None:
    if passport.model is None:
        return None
    move, gates = passport.promotion, passport.gates
    blocks: list[Block] = []
    if passport.was_champion is False:
        blocks.append(
            Prose(
                "It was not the champion when it scored this row: somebody asked for it by name.", "warning"
            )
        )
    if move is None:
        blocks.append(Prose("It was never made champion."))
    else:
        verb = "promoted by" if move.action == "promote" else "brought back by"
        run = None if gates is None else gates.run_id
        blocks.append(
            Facts(
                [
                    Fact(verb, move.actor, f"{stamp(move.moved_at)}, for {move.partition_key}"),
                    Fact("evidence", short(move.evidence_digest), f"move {move.sequence}"),
                    Fact("Dag run of gates", run or "not known"),
                ]
            )
        )
        blocks.append(Prose(f"Because: {move.reason or 'no reason given'}"))
    if gates is not None:
        blocks.append(gates_table(gates))
    return Section("Who decided that it decides", blocks)


def _night(passport: RowPassport) -> Section:
    blocks: list[Block] = [Table(("what", "verdict", "of", "when", "Dag run"), list(_steps(passport)))]
    validations = [record for record in (passport.validation, *passport.stages) if record is not None]
    broken = [found for record in validations for found in record.expectations if not found.is_met]
    if broken:
        blocks.append(Prose("Expectations that were not met:"))
        blocks.append(Bullets([_expectation(found) for found in broken]))
    if passport.amendments:
        blocks.append(Prose("What people decided about rows of this night:"))
        blocks.append(
            Bullets([f"{a.action} of {a.n_rows} rows by {a.actor}: {a.reason}" for a in passport.amendments])
        )
    if passport.is_stale:
        blocks.append(
            Prose(
                "The night's published rows have changed since: the prediction is of the rows above. "
                f"`holdfast score {passport.dataset} {passport.partition_key}` scores them again.",
                "warning",
            )
        )
    return Section(f"The night {passport.partition_key}", blocks)


def _steps(passport: RowPassport) -> Iterator[list[Cell]]:
    if (landed := passport.ingestion) is not None:
        yield [
            f"landed from {landed.source_uri}",
            f"{landed.n_rows} rows",
            short(landed.raw_digest),
            *_when(landed),
        ]
    for record in (passport.validation, *passport.stages):
        if record is None:
            continue
        what = "rows" if record.kind == "validation" else record.subject
        n_met = sum(found.is_met for found in record.expectations)
        verdict = f"{record.outcome}: {n_met} of {len(record.expectations)} met"
        state = Mark(_VERDICTS[record.outcome], verdict)
        yield [
            f"{what} held to suite {short(record.suite_digest)}",
            state,
            short(record.validated_digest),
            *_when(record),
        ]


def _when(record: Decision) -> list[str]:
    return [stamp(record.decided_at), record.run_id or "not known"]


def _expectation(found: ExpectationOutcome) -> str:
    column = f" of {found.column}" if found.column else ""
    return f"{found.name}{column} ({found.severity}): {found.n_unexpected} rows; {found.observed}"


def _superseded(passport: RowPassport) -> Section | None:
    if not passport.superseded:
        return None
    rows = [
        [
            f"v{found.model_version}",
            "not known" if found.scored_at is None else stamp(found.scored_at),
            _said(found),
            short(found.predictions_digest),
            _aside(found),
        ]
        for found in passport.superseded
    ]
    head = ("version", "scored at", "prediction", "predictions", "put aside")
    return Section("Other predictions of this night, not in force", [Table(head, rows)])


def _said(found: SupersededScoring) -> str:
    if found.prediction is None:
        return "of this row not kept"
    return ", ".join(_figure(value) for value in found.prediction.values())


def _aside(found: SupersededScoring) -> str:
    if found.superseded_by is None:
        return "no mark on record"
    when = "" if found.superseded_at is None else f", {stamp(found.superseded_at)}"
    return f"for v{found.superseded_by} by {found.actor}{when}: {found.why}"
