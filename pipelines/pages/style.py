"""How every page looks: system fonts, tabular numbers, light and dark, and nothing from a network.

Colour is never the only signal: each state has a mark and a word too. Text has a contrast of at least
4.5 to 1 on what it stands on, in both schemes.
"""

from __future__ import annotations

_COLOURS = """
:root { color-scheme: light dark;
  --paper: #f7f8f9; --card: #ffffff; --ink: #1a2029; --soft: #566171; --line: #dfe3e8; --hover: #eef2f6;
  --link: #0f5bb5; --calm: #1a7346; --info: #2f5f96; --warning: #8a5200; --critical: #b0231b;
  --calm-wash: #e6f3ec; --info-wash: #e8f0f9; --warning-wash: #fbf0dc; --critical-wash: #fbe9e7;
  --heat-1: #e9edf1; --heat-2: #f3e3ba; --heat-3: #f0c274; --heat-4: #ea9a55; --heat-5: #b63a26;
  --heat-ink: #33240a; --heat-ink-5: #ffffff; --reference: #8793a3; --current: #0f5bb5; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #11151a; --card: #191f26; --ink: #e6eaef; --soft: #9daaba; --line: #2c3540; --hover: #222a33;
  --link: #7fb6f5; --calm: #66c795; --info: #86b6ec; --warning: #e8b155; --critical: #ff8b80;
  --calm-wash: #173024; --info-wash: #182a3d; --warning-wash: #33280f; --critical-wash: #3a1c1a;
  --heat-1: #242c36; --heat-2: #4a4020; --heat-3: #8f6a1d; --heat-4: #b96a26; --heat-5: #e2604a;
  --heat-ink: #fff4e0; --heat-ink-5: #1c0805; --reference: #8b97a7; --current: #7fb6f5; } }
"""

_TEXT = """
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.55 system-ui, -apple-system,
  "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; font-variant-numeric: tabular-nums; }
a { color: var(--link); text-underline-offset: .18em; text-decoration-thickness: 1px; }
a:hover { text-decoration-thickness: 2px; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 3px; }
h1 { font-size: 1.55rem; line-height: 1.25; letter-spacing: -.012em; font-weight: 650; margin: 0; }
h1 + .scroll { margin-top: 1rem; }
h2 { font-size: 1.08rem; letter-spacing: -.005em; font-weight: 650; margin: 2.25rem 0 .6rem; }
h3 { font-size: .95rem; font-weight: 650; margin: 1.25rem 0 .35rem; }
h1, h2, h3, td, th, p, li, dd { overflow-wrap: anywhere; }
p { margin: .3rem 0; max-width: 46rem; } ul { margin: .3rem 0; padding-left: 1.2rem; max-width: 46rem; }
li { margin: .15rem 0; } .soft { color: var(--soft); } .small { font-size: .86rem; }
code, pre { font: .88em/1.55 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  overflow-wrap: anywhere; }
pre { background: var(--hover); padding: .8rem 1rem; overflow-x: auto; border-radius: 8px; }
"""

_FRAME = """
.skip { position: absolute; left: -99rem; } .skip:focus { left: 1rem; top: .5rem; }
header.top { border-bottom: 1px solid var(--line); background: var(--card); }
header.top nav, main { max-width: 76rem; margin: 0 auto; padding: 0 1.5rem; }
header.top nav { display: flex; flex-wrap: wrap; gap: .25rem .55rem; align-items: baseline;
  padding-block: .7rem; }
header.top nav > :first-child { font-weight: 700; letter-spacing: -.01em; color: var(--ink);
  text-decoration: none; }
header.top nav .sep { color: var(--soft); } header.top nav [aria-current] { color: var(--soft); }
main { padding-block: 1.6rem 4rem; }
.title { display: flex; flex-wrap: wrap; gap: .3rem 1rem; align-items: center; margin-bottom: .35rem; }
.bar { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; margin: .4rem 0 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 1.1rem 1.3rem; margin: 1rem 0; }
.bar.tight, h2.tight { margin: 0; }
.card > :first-child { margin-top: 0; } .card > :last-child { margin-bottom: 0; }
.verdict { border-left: 4px solid var(--calm); } .verdict.info { border-left-color: var(--info); }
.verdict.warning { border-left-color: var(--warning); }
.verdict.critical { border-left-color: var(--critical); }
.verdict > strong { font-size: 1.05rem; }
dl.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(12.2rem, 1fr)); gap: .9rem 1.4rem;
  margin: 1rem 0; }
dl.facts dt { font-size: .78rem; color: var(--soft); } dl.facts dd { margin: 0; font-size: 1.02rem;
  font-weight: 600; } dl.facts dd small { display: block; font-weight: 400; color: var(--soft);
  font-size: .8rem; }
.split { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 0 2.5rem; }
@media (max-width: 62rem) { .split { grid-template-columns: minmax(0, 1fr); } }
.three { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)); gap: 0 2rem; }
.three h3 { margin: .8rem 0 .1rem; font-size: .78rem; font-weight: 600; color: var(--soft); }
.strip { vertical-align: middle; } .strip + small { color: var(--soft); margin-left: .7rem; }
.asks { display: grid; gap: 1rem 2rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
.ask label { display: block; font-weight: 600; } .ask small { display: block; font-weight: 400;
  color: var(--soft); } .ask div { display: flex; gap: .5rem; margin-top: .35rem; }
.ask input { flex: 1; min-width: 0; } .ask :is(input, button) { font: inherit; padding: .3rem .6rem;
  border: 1px solid var(--soft); border-radius: 6px; background: var(--paper); color: var(--ink); }
.ask button { cursor: pointer; } .ask button:hover { background: var(--hover); }
.badge { display: inline-flex; align-items: center; gap: .4em; padding: .12rem .6rem; border-radius: 99px;
  font-size: .84rem; font-weight: 600; white-space: nowrap; background: var(--hover); color: var(--soft); }
.badge.calm { background: var(--calm-wash); color: var(--calm); }
.badge.info { background: var(--info-wash); color: var(--info); }
.badge.warning { background: var(--warning-wash); color: var(--warning); }
.badge.critical { background: var(--critical-wash); color: var(--critical); }
"""

_TABLES = """
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .42rem .8rem .42rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
thead th { font-size: .78rem; font-weight: 600; color: var(--soft); white-space: nowrap; }
tbody th { font-weight: 600; } tbody tr:last-child > * { border-bottom: 0; }
td.number, th.number { text-align: right; white-space: nowrap; }
td.number + td:not(.number), th.number + th:not(.number) { padding-left: 1rem; }
td.whole { white-space: nowrap; } td.words { min-width: 13rem; }
td.words .badge { white-space: normal; border-radius: .8rem; align-items: baseline; }
.narrow { max-width: 46rem; }
tr.drifted td:first-child { font-weight: 650; } tr.calm td { color: var(--soft); }
caption { text-align: left; color: var(--soft); font-size: .86rem; padding-bottom: .4rem; }
table.heat { width: auto; border-collapse: separate; border-spacing: 2px; font-size: .84rem; }
table.heat th, table.heat td { border: 0; padding: 0; }
table.heat thead th { font-weight: 500; font-size: .72rem; text-align: center; min-width: 1.5rem; }
table.heat tbody th { padding-right: .9rem; white-space: nowrap; max-width: 16rem; overflow: hidden;
  text-overflow: ellipsis; line-height: 1.5rem; font-weight: 500; }
table.heat td { width: 1.5rem; height: 1.5rem; border-radius: 4px; text-align: center; }
table.heat td > * { display: block; line-height: 1.5rem; border-radius: 4px; color: var(--soft);
  text-decoration: none; } table.heat a:hover { box-shadow: inset 0 0 0 2px var(--ink); }
table.heat td.share { width: auto; padding-right: .8rem; color: var(--soft); text-align: right; }
.h1 > * { background: var(--heat-1); } .h2 > * { background: var(--heat-2); }
.h3 > * { background: var(--heat-3); } .h4 > * { background: var(--heat-4); }
.h5 > * { background: var(--heat-5); }
:is(table.heat, .key) :is(.h2, .h3, .h4) > * { color: var(--heat-ink); }
:is(table.heat, .key) .h5 > * { color: var(--heat-ink-5); }
.key { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; font-size: .84rem; color: var(--soft);
  list-style: none; padding: 0; margin: .6rem 0; max-width: none; }
.key i { display: inline-block; width: 1.25rem; line-height: 1.25rem; text-align: center; font-style: normal;
  border-radius: 4px; margin-right: .4rem; }
"""

_CHARTS = """
figure { margin: .8rem 0; } figcaption { color: var(--soft); font-size: .86rem; margin-top: .3rem; }
svg.chart { display: block; width: 100%; height: auto; max-width: 46rem; overflow: visible; }
svg text { fill: var(--soft); font: 11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
svg .axis { stroke: var(--line); } svg .floor { stroke: var(--warning); stroke-dasharray: 5 4; }
svg .ref { fill: var(--reference); fill-opacity: .42; } svg .cur { fill: none; stroke: var(--current);
  stroke-width: 2; } svg .cur-bar { fill: var(--current); } svg .ref-bar { fill: var(--reference); }
svg .band { fill: var(--current); fill-opacity: .16; } svg .dot { fill: var(--ink); }
svg .promise { stroke: var(--reference); stroke-dasharray: 2 3; }
svg .alarm { fill: var(--critical); }
svg .naive { fill: none; stroke: var(--soft); stroke-width: 1.4; stroke-dasharray: 5 4; }
svg .grid { stroke: var(--line); stroke-opacity: .7; } svg .label { font-weight: 600; }
svg .points { fill: none; stroke: var(--current); stroke-width: 5; stroke-linecap: round; }
svg .points.many { stroke-width: 3.4; stroke-opacity: .7; }
svg .ring { fill: var(--paper); stroke: var(--current); stroke-width: 1.6; }
svg .cross { fill: none; stroke: var(--current); stroke-width: 1.6; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr));
  gap: .5rem 2.5rem; }
.charts figcaption { color: var(--ink); font-weight: 600; font-size: .92rem; margin: 0 0 .4rem; }
@media (max-width: 32rem) { .charts svg text { font-size: 12.5px; } }
details > summary { cursor: pointer; color: var(--soft); font-size: .86rem; margin-top: .3rem; }
.strip { display: inline-flex; gap: 2px; } .strip > * { width: 1.15rem; height: 1.4rem; line-height: 1.4rem;
  text-align: center; font-size: .7rem; border-radius: 3px; text-decoration: none; background: var(--heat-1);
  color: var(--soft); } .strip .warning { background: var(--heat-3); color: var(--heat-ink); }
.strip .critical { background: var(--heat-5); color: var(--heat-ink-5); }
.strip .info { background: var(--heat-2); color: var(--heat-ink); }
.strip .absent { background: none; box-shadow: inset 0 0 0 1px var(--line); }
@media (prefers-reduced-motion: no-preference) {
  a, .strip > *, table.heat a { transition: box-shadow .12s; } }
@media print { header.top, .skip { display: none; } body { background: none; } }
"""

_REPORT = """
.report { display: flex; flex-direction: column; height: 100vh; } .report header.top nav { max-width: none; }
.report iframe { flex: 1; width: 100%; border: 0; background: #fff; }
"""

STYLE = _COLOURS + _TEXT + _FRAME + _TABLES + _CHARTS
REPORT_STYLE = _COLOURS + _TEXT + _FRAME + _REPORT
