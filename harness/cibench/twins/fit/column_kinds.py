"""What each column of seed data is: said by the user, or guessed and told with the guess's reason.

Cells of a CSV file come as the texts that they are, so that codes keep their zeros, True stays True
and money its decimals. Only an empty cell is missing, unless the user names others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.model.types import Array
from cibench.twins.columns import Column
from cibench.twins.fit.user_columns import (
    CATEGORY,
    DATE,
    IDENTIFIER,
    MONEY,
    NUMBER,
    NUMERIC,
    ORDERED,
    SHARE,
    TEXT,
    WHOLE,
    YES_NO,
    UserColumns,
)
from cibench.utils.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

NEARLY = 0.95
"""A column with different values in this share of its rows identifies them."""

FEW_LEVELS, MOST_LEVELS = 30, 400
ROWS_PER_LEVEL = 10
"""Texts with more than a few levels are a category where a level has so many rows on average."""

MONEY_DECIMALS, MOST_DECIMALS = 2, 6
"""Numbers that are written with more decimals than this are drawn with as many as they may have."""

SPELLINGS = (("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"))
DATE_TEXT = re.compile(r"(\d{4}-\d{1,2}-\d{1,2})([T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)?Z?")
DAY_FIRST = re.compile(r"\d{1,2}([./])\d{1,2}\1\d{2,4}")
SCALES = (
    ("very low", "low", "medium", "high", "very high"), ("low", "mid", "high"),
    ("low", "middle", "high"), ("small", "medium", "large"), ("none", "some", "many"),
    ("never", "rarely", "sometimes", "often", "always"), ("poor", "fair", "good", "very good",
     "excellent"), ("bronze", "silver", "gold", "platinum"), ("strongly disagree", "disagree",
     "neutral", "agree", "strongly agree"),
)  # fmt: skip
"""Words whose order everybody knows, lowest first."""

CODE_WORDS = frozenset({
    "code", "id", "zip", "zipcode", "postcode", "postal", "plz", "store", "shop", "branch",
    "region", "county", "province", "state", "country", "city", "district", "municipality",
    "sector", "industry", "sic", "naics", "isco", "occupation", "department", "dept", "brand",
    "product", "sku", "category", "type", "group", "cluster", "segment", "class", "fips", "msa",
    "ethnicity", "race", "gender", "sex", "religion", "school", "hospital", "bank", "firm",
    "company", "channel", "campaign",
})  # fmt: skip
ID_WORDS = frozenset({
    "id", "uuid", "guid", "key", "identifier", "ids",
})  # fmt: skip
MONEY_WORDS = frozenset({
    "price", "cost", "costs", "revenue", "income", "salary", "wage", "wages", "spend", "spent",
    "spending", "amount", "sales", "earnings", "payment", "balance", "fee", "budget", "turnover",
    "profit", "eur", "usd", "gbp", "dollars", "euros",
})  # fmt: skip
CURRENCIES = "$€£¥₺"
ENGLISH = re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?")
CONTINENTAL = re.compile(r"[+-]?(\d{1,3}([.\u00a0\u202f ']\d{3})+|\d+)(,\d+)?")


@dataclass(frozen=True, eq=False)
class ColumnReading:
    """Hold a column as numbers, NaN where a value is missing, and what it was taken for.

    `levels` are a category's, in the order of their codes; `spelling` are the words for 0 and 1;
    `gaps` count what was taken for missing, by what stood there; `reason` says why it was guessed,
    "" where the user named the kind. The values of a `coded` column are codes of texts.
    """

    name: str
    kind: str
    values: Array
    reason: str = ""
    levels: tuple[str, ...] = ()
    spelling: tuple[str, ...] = ()
    decimals: int | None = None
    gaps: Mapping[str, int] = field(default_factory=dict)
    distinct: int = 0
    coded: bool = False

    @property
    def missing(self) -> Array:
        """Return where a value is missing."""
        return np.isnan(self.values)

    @property
    def drawn(self) -> bool:
        """Say whether a twin can draw such a column."""
        return self.kind not in (IDENTIFIER, TEXT)

    def column(self, values: Array, indicator: str = "") -> Column:
        """Return what a twin knows of the column, from its values without gaps."""
        low, high, distinct = float(values.min()), float(values.max()), len(np.unique(values))
        if self.levels:
            return Column(
                self.name, "category", low, high, self.levels, indicator, distinct,
                ordered=self.kind == ORDERED,
            )  # fmt: skip
        whole = bool(np.all(values == np.rint(values)))
        decimals = None if whole else self.decimals
        return Column(
            self.name, "integer" if whole else "continuous", low, high, (), indicator, distinct,
            decimals, self.spelling, calendar=self.kind == DATE,
        )  # fmt: skip

    def restored(self) -> Any:
        """Return the column in its own words, None or NaN where a value is missing."""
        if not self.levels:
            return self.values
        texts = np.array([*self.levels, None], dtype=object)
        return texts[np.where(self.missing, -1, np.nan_to_num(self.values)).astype(int)]


class Cells:
    """Hold a column's cells: numbers where it has a numeric type, else its different texts."""

    def __init__(self, series: pd.Series[Any], gaps: Sequence[str], separator: str) -> None:
        """Take a column apart; `gaps` are the texts that stand for a missing value beside none."""
        from pandas.api import types

        self.rows, self.separator = len(series), separator
        self.numbers: Array | None = None
        self.texts: list[str] = []
        self.codes: Array = np.zeros(0, dtype=np.int64)
        self.gaps: dict[str, int] = {}
        self.truth = types.is_bool_dtype(series.dtype)
        self.calendar = types.is_datetime64_any_dtype(series.dtype)
        self.labelled = hasattr(series, "cat")
        self.order = bool(getattr(series.dtype, "ordered", False))
        self.whole = types.is_integer_dtype(series.dtype) or self.truth
        if self.calendar:
            days = (series - np.datetime64("1970-01-01")).dt.total_seconds() / 86_400
            self._take_numbers(days.to_numpy(dtype=float), gaps)
        elif types.is_numeric_dtype(series.dtype) or self.truth:
            numbers = series.to_numpy(dtype=float, na_value=np.nan)
            self._take_numbers(_exact(series, numbers), gaps)
        else:
            self._take_texts(series, gaps)

    def _take_numbers(self, numbers: Array, gaps: Sequence[str]) -> None:
        gone = np.isnan(numbers)
        self._count("", int(gone.sum()))
        for text in gaps:
            marked = numbers == value if (value := _float(text)) is not None else ~gone & False
            self._count(text, int(marked.sum()))
            gone |= marked
        self.numbers = np.where(gone, np.nan, numbers)

    def _take_texts(self, series: pd.Series[Any], gaps: Sequence[str]) -> None:
        import pandas as pd

        if self.labelled:
            codes, uniques = series.cat.codes.to_numpy(), list(series.cat.categories)
        else:
            codes, different = pd.factorize(series)
            uniques = different.tolist()
        texts = [str(each) for each in uniques]
        counts = np.bincount(codes[codes >= 0], minlength=len(texts))
        self._count("", int((codes < 0).sum()))
        stays = []
        for place, text in enumerate(texts):
            empty, marked = not text.strip(), text.strip() in gaps
            if empty or marked:
                self._count("" if empty else text.strip(), int(counts[place]))
            elif counts[place]:
                stays.append(place)
        moved = np.full(len(texts) + 1, -1)
        moved[stays] = np.arange(len(stays))
        self.texts = [texts[place] for place in stays]
        self.codes = moved[codes]  # -1, the last, for what is missing

    def _count(self, text: str, count: int) -> None:
        if count:
            self.gaps[text] = self.gaps.get(text, 0) + count

    @property
    def seen(self) -> int:
        """Return in how many rows there is a value."""
        return self.rows - sum(self.gaps.values())

    def spread(self, by_text: Any) -> Array:
        """Return values by text as a column, NaN where a value is missing."""
        return np.asarray(np.r_[np.asarray(by_text, dtype=float), np.nan][self.codes])


def _exact(series: pd.Series[Any], numbers: Array) -> Array:
    """Return single-precision numbers as the decimals that they were written with."""
    if series.dtype != np.float32:
        return numbers
    single = series.to_numpy()
    for places in range(MOST_DECIMALS + 1):
        rounded = np.round(numbers, places)
        if np.array_equal(rounded.astype(np.float32), single, equal_nan=True):
            return np.asarray(rounded)
    return numbers


def _float(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return None if np.isnan(value) or "_" in text else value


def decimals_of(values: Array) -> int | None:
    """Return with how many decimals numbers are written, None for more than a few."""
    seen = values[np.isfinite(values)]
    for places in range(MOST_DECIMALS + 1):
        if np.all(np.abs(np.round(seen, places) - seen) <= 2 * np.spacing(np.abs(seen))):
            return places
    return None


def numbers_in(texts: Sequence[str], separator: str = ",") -> tuple[Array, str] | None:
    """Return the numbers that texts are and how they are written, None where one is no number.

    Points or commas may part thousands; where the file's cells are parted by semicolons, as in
    countries with decimal commas, a comma is one first.
    """
    plain = _plain(texts)
    if plain is not None:
        return plain, ""
    bare, signs = _without_signs(texts)
    if bare is None:
        return None
    comma = "decimal commas", CONTINENTAL, lambda t: re.sub(r"[.\u00a0\u202f ']", "", t)
    point = "commas between thousands", ENGLISH, lambda t: t.replace(",", "")
    for words, pattern, cleaned in (comma, point) if separator == ";" else (point, comma):
        if all(map(pattern.fullmatch, bare)):
            values = np.array([float(cleaned(t).replace(",", ".")) for t in bare])
            written = [words] if any("," in t for t in bare) else []
            return values, ", ".join([*written, *signs])
    return None


def _plain(texts: Sequence[str]) -> Array | None:
    """Return texts as numbers, None where one is not written as programs write numbers."""
    try:
        values = np.array(list(map(float, texts)))
    except ValueError:
        return None
    return None if np.isnan(values).any() or any("_" in text for text in texts) else values


def _without_signs(texts: Sequence[str]) -> tuple[list[str] | None, list[str]]:
    """Return texts without a currency or percent sign that all of them have."""
    bare = [text.strip() for text in texts]
    first = bare[0] if bare else ""
    sign = next((c for c in (*CURRENCIES, "%") if c in first), "")
    if not sign:
        return bare, []
    if any(text.count(sign) != 1 for text in bare):
        return None, []
    return [text.replace(sign, "").strip() for text in bare], [f"{sign} taken off"]


def words_of(name: str) -> frozenset[str]:
    """Return the words that a column's name is made of, in small letters."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return frozenset(re.split(r"[^a-z]+", parted.lower()))


def read_column(
    series: pd.Series[Any], name: str, user: UserColumns, *, separator: str = ",",
    part: bool = False,
) -> ColumnReading:  # fmt: skip
    """Return a column as what the user says that it is, or as what it looks like.

    A column with a `part` in the design is a number wherever it can be. Raises BadInput where the
    column is not what the user says.
    """
    cells = Cells(series, user.gaps_of(name), separator)
    kind = user.kinds.get(name, "")
    reading = _declared(cells, name, kind, user) if kind else _guessed(cells, name, part=part)
    values = reading.values[~reading.missing]
    coded = bool(reading.levels or reading.spelling)
    return replace(
        reading, decimals=None if coded else decimals_of(values), gaps=cells.gaps,
        distinct=len(np.unique(values)), coded=bool(reading.levels),
    )  # fmt: skip


def _declared(cells: Cells, name: str, kind: str, user: UserColumns) -> ColumnReading:
    if kind in NUMERIC:
        numbers = _numbers(cells)
        if numbers is None:
            raise BadInput(f"column '{name}' is no {kind}: {_stranger(cells)}")
        _check_numbers(name, kind, numbers[0])
        return ColumnReading(name, kind, numbers[0])
    if kind == YES_NO:
        return _declared_truth(cells, name)
    if kind == DATE:
        days = _days(cells)
        if days is None:
            raise BadInput(f"column '{name}' is no date: write dates as 2024-01-31")
        return ColumnReading(name, kind, days)
    return _levelled(cells, name, kind, user.levels.get(name, ()))


def _check_numbers(name: str, kind: str, values: Array) -> None:
    seen = values[~np.isnan(values)]
    if kind == WHOLE and np.any(seen != np.rint(seen)):
        example = seen[seen != np.rint(seen)][0]
        raise BadInput(f"column '{name}' is no whole number: {example:g}")
    if kind == SHARE and np.any((seen < 0) | (seen > 1)):
        example = seen[(seen < 0) | (seen > 1)][0]
        raise BadInput(f"column '{name}' is no share, from 0 to 1: {example:g}")


def _declared_truth(cells: Cells, name: str) -> ColumnReading:
    """Return a column of two values as 0 and 1, its words in the order of numbers or letters."""
    if (reading := _truth(cells, name)) is not None:
        return replace(reading, reason="")
    if (numbers := _numbers(cells)) and set(np.unique(numbers[0])[:2]) == {0.0, 1.0}:
        return ColumnReading(name, YES_NO, numbers[0])
    pair = _levelled(cells, name, CATEGORY, ())
    if len(pair.levels) != 2:
        raise BadInput(
            f"column '{name}' is no yes/no: it has {len(pair.levels)} different values, not two"
        )
    return ColumnReading(name, YES_NO, pair.values, spelling=pair.levels)


def _levelled(cells: Cells, name: str, kind: str, order: Sequence[str]) -> ColumnReading:
    """Return a column by the levels that it has, in the order that is said or that numbers have."""
    texts, codes = cells.texts, cells.codes
    if cells.numbers is not None:
        gone = np.isnan(cells.numbers)
        values, places = np.unique(cells.numbers[~gone], return_inverse=True)
        texts = [_label(value) for value in values.tolist()]
        codes = np.full(cells.rows, -1)
        codes[~gone] = places
    strangers = sorted(set(texts) - set(order)) if order else []
    if strangers:
        raise BadInput(f"column '{name}': '{strangers[0]}' is not among its levels")
    levels = list(order) or (texts if cells.order else _ascending(texts))
    place = {level: float(code) for code, level in enumerate(levels)}
    by_text = np.array([*(place[text] for text in texts), np.nan])
    return ColumnReading(name, kind, by_text[codes], levels=tuple(levels))


def _label(value: float) -> str:
    return str(int(value)) if value == np.rint(value) else repr(value)


def _ascending(texts: Sequence[str]) -> list[str]:
    """Return texts in the order of the numbers that they are, or of their letters."""
    numbers = [_float(text) for text in texts]
    if None in numbers:
        return sorted(texts)
    return [text for _, text in sorted(zip(numbers, texts, strict=True))]


def _numbers(cells: Cells) -> tuple[Array, str] | None:
    if cells.numbers is not None:
        return cells.numbers, ""
    parsed = numbers_in(cells.texts, cells.separator) if cells.texts else None
    return None if parsed is None else (cells.spread(parsed[0]), parsed[1])


def _stranger(cells: Cells) -> str:
    """Name texts that are no numbers, and the way on where they stand for missing values."""
    if not cells.texts:
        return "it is empty"
    odd = [text for text in cells.texts if _float(text) is None][:3]
    listed = ", ".join(f"'{text}'" for text in odd)
    return f"{listed} (--missing '{odd[0]}' where that says that a value is missing)"


def _days(cells: Cells) -> Array | None:
    """Return dates as days since 1970-01-01, None where there is another text."""
    if cells.calendar:
        return cells.numbers
    if not cells.texts or not all(map(DATE_TEXT.fullmatch, cells.texts)):
        return None
    try:
        days = np.array([text.replace(" ", "T").rstrip("Z") for text in map(_padded, cells.texts)],
                        dtype="datetime64[s]")  # fmt: skip
    except ValueError:
        return None
    return cells.spread(days.astype("int64") / 86_400)


def _padded(text: str) -> str:
    day, mark, rest = text.partition("T" if "T" in text else " ")
    return "-".join(part.zfill(2) for part in day.split("-")) + mark + rest


def _truth(cells: Cells, name: str) -> ColumnReading | None:
    """Return a column of two words for yes and no, or of truth values, as 0 and 1."""
    reason = "two words for no and yes"
    if cells.truth and cells.numbers is not None:
        return ColumnReading(name, YES_NO, cells.numbers, "its type", spelling=("False", "True"))
    small = [text.strip().lower() for text in cells.texts]
    pair = next((p for p in SPELLINGS if len(small) == 2 and set(small) == set(p)), None)
    if pair is None:
        return None
    by_text = [float(pair.index(word)) for word in small]
    spelling = tuple(cells.texts[small.index(word)] for word in pair)
    return ColumnReading(name, YES_NO, cells.spread(by_text), reason, spelling=spelling)


def _guessed(cells: Cells, name: str, *, part: bool) -> ColumnReading:
    truth = _truth(cells, name)
    if truth is not None:
        return truth
    if (days := _days(cells)) is not None:
        return ColumnReading(name, DATE, days, "its cells are dates")
    padded = any(text[:1] == "0" and text[1:2].isdigit() for text in cells.texts)
    numbers = None if padded and not part else _numbers(cells)
    if numbers is not None and (part or not cells.labelled):
        return _number(cells, name, *numbers, part=part)
    reason = "leading zeros: codes, not numbers" if padded else "texts"
    return _text(cells, name, reason)


def _number(
    cells: Cells, name: str, values: Array, written: str, *, part: bool
) -> ColumnReading:  # fmt: skip
    """Return a column of numbers, or of codes that are written as numbers."""
    seen = values[~np.isnan(values)]
    if set(np.unique(seen)) <= {0.0, 1.0}:
        return ColumnReading(name, YES_NO, values, "0 and 1")
    plain = f"numbers with {written}" if written else "numbers"
    money = bool(words_of(name) & MONEY_WORDS) or any(sign in written for sign in CURRENCIES)
    whole = bool(np.all(seen == np.rint(seen)))
    if whole and not part and not money and _as_whole(cells):
        coded = _codes(cells, name, values, seen)
        if coded is not None:
            return coded
    kind, reason = NUMBER, plain
    if money:
        kind, reason = MONEY, f"its name or sign; {plain}"
    elif whole:
        kind, reason = WHOLE, f"whole {plain}"
    elif np.all((seen >= 0) & (seen <= 1)):
        kind, reason = SHARE, f"{plain} from 0 to 1"
    elif decimals_of(seen) == MONEY_DECIMALS:
        kind, reason = MONEY, f"{plain} with two decimals"
    return ColumnReading(name, kind, values, reason)


def _codes(cells: Cells, name: str, values: Array, seen: Array) -> ColumnReading | None:
    """Return whole numbers that identify rows, or that by their name are codes; else None."""
    distinct, words = len(np.unique(seen)), words_of(name)
    if distinct <= 2:
        return None
    if distinct >= NEARLY * len(seen):
        reason = f"{distinct:,} different values in {len(seen):,} rows"
        return ColumnReading(name, IDENTIFIER, values, reason)
    if words & CODE_WORDS and distinct <= _most_levels(len(seen)):
        reason = f"its name says that its {distinct} numbers are codes"
        return replace(_levelled(cells, name, CATEGORY, ()), reason=reason)
    if words & ID_WORDS:
        reason = f"its name, and {distinct:,} different values"
        return ColumnReading(name, IDENTIFIER, values, reason)
    return None


def _as_whole(cells: Cells) -> bool:
    """Say whether whole numbers are written so; gaps among them leave a table's type none."""
    if cells.numbers is not None:
        return cells.whole or bool(cells.gaps)
    return not any("." in text for text in cells.texts)


def _most_levels(rows: int) -> int:
    return min(MOST_LEVELS, max(FEW_LEVELS, rows // ROWS_PER_LEVEL))


def _text(cells: Cells, name: str, reason: str) -> ColumnReading:
    distinct = len(cells.texts)
    coded = _levelled(cells, name, CATEGORY, ())
    if distinct and all(map(DAY_FIRST.fullmatch, cells.texts)):
        why = f"dates ({cells.texts[0]}) whose day and month nobody tells apart"
        return replace(coded, kind=TEXT, reason=why)
    if distinct >= NEARLY * max(cells.seen, 1) and distinct > 2:
        why = f"{distinct:,} different values in {cells.seen:,} rows"
        return replace(coded, kind=IDENTIFIER, reason=why)
    if distinct > _most_levels(cells.seen):
        why = f"{distinct:,} different texts{_numbers_among(cells)}"
        return replace(coded, kind=TEXT, reason=why)
    order = _known_order(cells.texts)
    if cells.order or order:
        coded = _levelled(cells, name, ORDERED, order)
        return replace(coded, reason="its type" if cells.order else "words with an order")
    return replace(coded, reason=f"{distinct} different {reason}{_numbers_among(cells)}")


def _numbers_among(cells: Cells) -> str:
    """Say that most cells are numbers, and what the others are."""
    odd = [text for text in cells.texts if _float(text) is None]
    if not odd or len(odd) > len(cells.texts) / 2:
        return ""
    listed = ", ".join(f"'{text}'" for text in odd[:3])
    return f", all numbers but {listed} (--missing '{odd[0]}' where that is no value)"


def _known_order(texts: Sequence[str]) -> tuple[str, ...]:
    """Return texts in the order of a well-known scale, or of the numbers that they begin with."""
    small = {text.strip().lower(): text for text in texts}
    for scale in SCALES:
        if len(texts) > 2 and small.keys() <= set(scale) and len(small) == len(texts):
            return tuple(small[word] for word in scale if word in small)
    leading = [re.match(r"[<>]?\s?(\d+)\s?([-+.):]|to\b|–)", text) for text in texts]
    firsts = [int(match[1]) for match in leading if match]
    if len(texts) > 2 and len(set(firsts)) == len(texts):
        return tuple(text for _, text in sorted(zip(firsts, texts, strict=True)))
    return ()
