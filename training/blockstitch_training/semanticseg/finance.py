"""Composes finance reports: invented companies' annual and quarterly reports section by section, and accounting texts from the pool.

No public reports are at hand here. Grammars with consistent figures write the sections. A section thus holds together by its company,
segment and items, and the next one turns to another subject. Users' own filings go through the adapters `html` or `legal`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from .document import CHAPTER, DOCUMENT, SECTION, Piece, SourceDocument, generated
from .pool import Pool

_NAMES = "Alder Bright Cobalt Delta Everest Falcon Granite Harbor Ibis Juniper Kestrel Lumen Meridian Northwind Orchard Pioneer Quartz Ridge Summit Tidal Umber Vista Willow Zephyr".split()
_KINDS = ("Holdings", "Group", "Industries", "Technologies", "Energy", "Foods", "Logistics", "Bancorp", "Pharma", "Retail", "Mining", "Insurance")
_BUSINESS = {
    "Energy": ("power generation", "gas pipelines", "wind farms", "refining", "grid services"),
    "Foods": ("dairy", "snacks", "frozen meals", "beverages", "pet food"),
    "Logistics": ("ocean freight", "warehousing", "trucking", "customs brokerage", "parcel delivery"),
    "Bancorp": ("consumer lending", "mortgages", "wealth management", "treasury services", "card payments"),
    "Pharma": ("oncology", "vaccines", "generics", "diagnostics", "animal health"),
    "Retail": ("home goods", "apparel", "online marketplace", "grocery", "electronics"),
    "Mining": ("copper", "lithium", "iron ore", "gold", "exploration"),
    "Insurance": ("property and casualty", "life", "reinsurance", "health plans", "annuities"),
    "": (
        "industrial pumps",
        "sensors",
        "software licences",
        "cloud services",
        "maintenance contracts",
        "semiconductors",
        "specialty coatings",
        "packaging",
    ),
}
_REGIONS = ("North America", "Western Europe", "Asia Pacific", "Latin America", "the Middle East", "Scandinavia", "India", "China", "Southern Africa")
_CAUSES = (
    "higher volumes in {unit}", "price increases taken in the second quarter", "unfavourable exchange rates", "the acquisition completed in {month}", "lower input costs",
    "a shift in mix towards {unit}", "the loss of one large customer in {region}", "labour shortages", "delays in the new plant", "strong demand in {region}",
)  # fmt: skip
_MONTHS = "January February March April May June July August September October November December".split()


@dataclass
class _Company:
    name: str
    year: int
    units: list[str]
    regions: list[str]
    revenue: float
    currency: str


def _company(rng: random.Random) -> _Company:
    kind = rng.choice(_KINDS)
    units = rng.sample(_BUSINESS.get(kind, _BUSINESS[""]), 3)
    return _Company(
        f"{rng.choice(_NAMES)} {kind}",
        rng.randint(1998, 2025),
        units,
        rng.sample(_REGIONS, 3),
        rng.lognormvariate(6.5, 1.0),
        rng.choice(("$", "€", "£", "CHF ")),
    )


def compose_finance(rng: random.Random, pool: Pool, characters: int) -> tuple[list[Piece], list[SourceDocument]]:
    """Strength 4 between companies and texts, 3 between the sections of a report, 2 between the parts of a section."""
    pieces: list[Piece] = []
    used: list[SourceDocument] = []
    size = 0
    while size < characters * 0.9:
        if "finance" in pool.by_category and rng.random() < 0.35:
            document = pool.draw(rng, "finance")
            used.append(document)
            run = [Piece(document.pieces[0].text, DOCUMENT, document.pieces[0].title), *document.pieces[1 : rng.randint(2, 10)]]
        else:
            run = _report(rng, characters - size)
            used.append(generated("reports", "finance"))
        pieces += run
        size += sum(len(each.text) + 1 for each in run)
    return pieces, used


def _report(rng: random.Random, characters: int) -> list[Piece]:
    company = _company(rng)
    sections = [_letter, _overview, _results, _liquidity, _risks, _segments, _governance, _accounting, _outlook, _people, _legal]
    first, rest = sections[:1], sections[1:]
    rng.shuffle(rest)
    pieces: list[Piece] = []
    size = 0
    for section in (first if rng.random() < 0.6 else []) + rest[: rng.randint(3, len(rest))]:
        paragraphs = section(rng, company)
        half = len(paragraphs) // 2
        parts = [paragraphs[:half], paragraphs[half:]] if section in (_results, _risks, _accounting, _segments) and half > 2 else [paragraphs]
        for index, part in enumerate(parts):
            strength = (DOCUMENT if not pieces else CHAPTER) if index == 0 else SECTION
            title = section.__name__.strip("_").title() if index == 0 else ""
            pieces.append(Piece("\n\n".join(part), strength, title))
            size += len(pieces[-1].text)
        if size > characters:
            break
    return pieces


def _money(rng: random.Random, company: _Company, share: float) -> str:
    value = company.revenue * share * rng.uniform(0.9, 1.1)
    return f"{company.currency}{value:,.1f} million" if value < 1_000 else f"{company.currency}{value / 1_000:,.2f} billion"


def _change(rng: random.Random) -> tuple[str, str]:
    percent = abs(rng.gauss(6, 5)) + 0.2
    return (
        (rng.choice(("rose", "increased", "grew", "was up")), f"{percent:.1f}%")
        if rng.random() < 0.65
        else (rng.choice(("fell", "declined", "was down")), f"{percent:.1f}%")
    )


def _cause(rng: random.Random, company: _Company) -> str:
    return rng.choice(_CAUSES).format(unit=rng.choice(company.units), region=rng.choice(company.regions), month=rng.choice(_MONTHS))


def _table(rng: random.Random, company: _Company, rows: list[str]) -> str:
    lines = [f"{'in millions':<34}{company.year:>12}{company.year - 1:>12}"]
    for row in rows:
        value = company.revenue * rng.uniform(0.02, 0.6)
        lines.append(f"{row:<34}{value:>12,.1f}{value * rng.uniform(0.8, 1.2):>12,.1f}")
    return "\n".join(lines)


def _letter(rng: random.Random, company: _Company) -> list[str]:
    verb, percent = _change(rng)
    return [
        f"Dear shareholders, {company.year} was a {rng.choice(('demanding', 'good', 'mixed', 'decisive'))} year for {company.name}. Revenue {verb} {percent} to "
        f"{_money(rng, company, 1)}, and our people served more customers in {company.regions[0]} than ever before.",
        f"We kept investing in {company.units[0]} and took the decision to reduce our exposure to {company.units[2]}. The board proposes a dividend of "
        f"{company.currency}{rng.uniform(0.2, 3):.2f} per share.",
        "I thank our employees for their work, our customers for their trust and you, our shareholders, for your patience.",
    ][: rng.randint(2, 3)]


def _overview(rng: random.Random, company: _Company) -> list[str]:
    return [
        f"{company.name} operates in {company.units[0]}, {company.units[1]} and {company.units[2]}. The company was founded in {company.year - rng.randint(12, 110)} and "
        f"employs {rng.randint(400, 48_000):,} people at {rng.randint(4, 160)} sites.",
        f"Our largest market is {company.regions[0]}, which accounted for {rng.randint(31, 64)}% of sales, followed by {company.regions[1]}. We compete with large "
        f"international groups and many local firms. Competition in {company.units[1]} rests on price, service and delivery times.",
        f"We hold {rng.randint(12, 900)} patents, most of them in {company.units[0]}. No single patent is material to the business as a whole.",
    ]


def _results(rng: random.Random, company: _Company) -> list[str]:
    out = []
    for item, share in rng.sample(
        [
            ("Revenue", 1.0),
            ("Cost of sales", 0.62),
            ("Gross margin", 0.38),
            ("Operating expenses", 0.2),
            ("Operating income", 0.12),
            ("Net income", 0.08),
        ],
        5,
    ):
        verb, percent = _change(rng)
        out.append(
            f"{item} {verb} {percent} to {_money(rng, company, share)}, mainly because of {_cause(rng, company)}. This was partly offset by {_cause(rng, company)}."
        )
    out.insert(rng.randint(1, 3), _table(rng, company, ["Revenue", "Cost of sales", "Gross profit", "Operating income", "Net income"]))
    return out


def _liquidity(rng: random.Random, company: _Company) -> list[str]:
    verb, percent = _change(rng)
    return [
        f"Cash and cash equivalents stood at {_money(rng, company, 0.1)} at the end of {company.year}. Cash flow from operations {verb} {percent} to {_money(rng, company, 0.14)}, "
        f"reflecting {_cause(rng, company)}.",
        f"Capital expenditure was {_money(rng, company, 0.06)}, most of it for {rng.choice(company.units)}. We repaid {_money(rng, company, 0.04)} of term loans and drew on the "
        f"revolving credit facility, which matures in {company.year + rng.randint(2, 6)}.",
        f"The ratio of net debt to EBITDA was {rng.uniform(0.4, 3.6):.1f}. All covenants were met. Our rating of BBB was confirmed in {rng.choice(_MONTHS)}.",
    ]


def _risks(rng: random.Random, company: _Company) -> list[str]:
    risks = [
        f"Changes in exchange rates may reduce our earnings. About {rng.randint(20, 70)}% of our costs arise in {company.regions[1]}, while prices are set in another currency. We hedge part of it with forward contracts.",
        "A cyber attack could interrupt our operations or expose the data of customers. We train our staff and test our defences, but no system is safe from every attack.",
        f"We depend on a small number of suppliers for {company.units[0]}. If one of them failed, production could stop for weeks and finding a replacement would be costly.",
        f"New rules on emissions in {company.regions[0]} may force us to replace equipment earlier than planned. The cost cannot be estimated reliably at present.",
        "Our success depends on skilled employees. If we cannot attract and keep engineers, projects may be late and customers may turn elsewhere.",
        f"Demand for {company.units[2]} follows the business cycle. A recession would hit orders and the value of inventories.",
        "Goodwill may have to be written down when growth is slower than we assumed in our impairment tests.",
    ]
    return rng.sample(risks, rng.randint(4, 7))


def _segments(rng: random.Random, company: _Company) -> list[str]:
    out = []
    for unit in company.units:
        verb, percent = _change(rng)
        out.append(
            f"Sales of {unit} {verb} {percent} to {_money(rng, company, 0.33)}. In {rng.choice(company.regions)} {unit} benefited from {_cause(rng, company)}."
        )
        out.append(
            f"The margin of {unit} was {rng.uniform(4, 32):.1f}%. We opened a new site for {unit} in {rng.choice(_MONTHS)} and expect it to run at full load in {company.year + 1}."
        )
    return out


def _governance(rng: random.Random, company: _Company) -> list[str]:
    return [
        f"The board has {rng.randint(6, 13)} members, of whom {rng.randint(3, 6)} are independent. It met {rng.randint(5, 14)} times in {company.year}. The audit committee reviews "
        "the accounts and meets the auditors without management being present.",
        "The pay of executives consists of a salary, an annual bonus tied to operating income and shares that vest after three years. Claw-back rules apply to all variable pay.",
        f"At the general meeting in {rng.choice(_MONTHS)} shareholders approved all proposals with at least {rng.randint(71, 97)}% of the votes.",
    ]


def _accounting(rng: random.Random, company: _Company) -> list[str]:
    notes = [
        "Revenue is recognised when control of the goods passes to the customer, in general on delivery. Rebates are deducted as they are earned.",
        f"Inventories are stated at the lower of cost and net realisable value. A write-down of {_money(rng, company, 0.004)} was charged in {company.year}.",
        "Property, plant and equipment are depreciated on a straight-line basis over three to forty years. Land is not depreciated.",
        f"Leases of more than twelve months are capitalised. The liability was {_money(rng, company, 0.05)} at the end of the year.",
        f"The pension plans are funded at {rng.randint(71, 112)}%. The discount rate was {rng.uniform(1.2, 5.6):.2f}%. Actuarial gains and losses are taken to other comprehensive income.",
        "Deferred tax is recognised for temporary differences. Losses carried forward are recognised where future profit is probable.",
        "Financial instruments are measured at fair value through profit or loss unless hedge accounting applies.",
    ]
    return rng.sample(notes, rng.randint(4, 7))


def _outlook(rng: random.Random, company: _Company) -> list[str]:
    return [
        f"For {company.year + 1} we expect revenue to grow by {rng.randint(1, 6)} to {rng.randint(7, 12)}% at constant exchange rates, led by {rng.choice(company.units)}.",
        f"We assume stable demand in {company.regions[0]} and no further rise in freight rates. Capital expenditure will be about {_money(rng, company, 0.07)}.",
        "These statements are forward-looking. Actual results may differ, and we undertake no obligation to update them.",
    ]


def _people(rng: random.Random, company: _Company) -> list[str]:
    return [
        f"We employed {rng.randint(400, 48_000):,} people on average. Staff turnover was {rng.uniform(4, 19):.1f}%, and {rng.randint(18, 52)}% of managers are women.",
        f"Every employee received {rng.randint(9, 40)} hours of training. The rate of accidents fell to {rng.uniform(0.6, 4):.1f} per million hours worked.",
        f"A survey in {rng.choice(_MONTHS)} showed that {rng.randint(62, 88)}% would recommend the company as a place to work.",
    ]


def _legal(rng: random.Random, company: _Company) -> list[str]:
    return [
        f"In {rng.choice(_MONTHS)} {company.year} a former distributor of {rng.choice(company.units)} sued the company before a court in {rng.choice(company.regions)} for breach of contract. "
        f"It claims {_money(rng, company, 0.02)}. We regard the claim as unfounded and have made no provision.",
        "The tax authorities are examining the transfer prices of earlier years. The outcome is open.",
        "Apart from this there are no proceedings that could have a material effect on the financial position of the group.",
    ]
