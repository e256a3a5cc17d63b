"""Answer cibench from another Python, 3.6 or later, with the standard library alone.

A file of estimators is written as any plug-in is, and ends in `serve()`:

    from cibench import Estimand, Estimate, estimator, serve

    @estimator("own/difference", targets=(Estimand.ATE,))
    def difference(problem, rng, *, trim=0.0):
        ...
        return Estimate.wald(value, se, problem.level)

    serve()

Columns are numpy arrays where numpy is installed, and lists where it is not; `rng` is numpy's
generator, or else `random.Random`. Started as `python cibench.py FILE ...` it serves the estimators
of these files, of which none needs a `serve()`; FILE may be `package=FOLDER/module.py`.
"""

import array
import collections
import importlib
import importlib.util
import json
import math
import os
import random
import sys
import traceback
import types
import warnings

PROTOCOL = 1
MARK = os.environ.get("CIBENCH_MARK", "cibench: ")
LONGEST = 300
METHODS = {}
BROKEN = []
"""Why files of estimators could not be imported."""


class Declined(Exception):
    """Raise to say that a data set is not for the method: it has not tried."""


class Estimand(str):
    """Name what is estimated: ATE, or a member of a family such as QTE(0.9)."""

    __slots__ = ()

    NAMES = (
        "ATE", "ATT", "LATE", "ATE_AT_CUTOFF", "LATE_AT_CUTOFF", "COEFFICIENT", "MEAN", "SATE",
        "SATT", "ATU", "ATO", "RISK_DIFFERENCE", "RISK_RATIO", "ODDS_RATIO",
        "CONDITIONAL_ODDS_RATIO", "LIFT", "QTE", "RMST_DIFFERENCE", "RMST_RATIO",
        "LOG_HAZARD_RATIO", "DOSE_RESPONSE", "SLOPE", "CATE",
    )
    RATIOS = ("RISK_RATIO", "ODDS_RATIO", "CONDITIONAL_ODDS_RATIO", "RMST_RATIO")
    _objects = {}

    def __new__(cls, name):
        """Return the one object of a name, so that names can be compared by `is`."""
        return cls._objects.setdefault(str(name), str.__new__(cls, name))

    @property
    def family(self):
        """Return the family that it is a member of, itself where it is of none."""
        return Estimand(self.partition("(")[0])

    @property
    def arguments(self):
        """Return the values of a member's parameters."""
        inside = self.partition("(")[2].rstrip(")")
        return tuple(float(part) for part in inside.split(",")) if inside else ()

    @property
    def null(self):
        """Return the value that means "no effect", None where none does."""
        if self.family in ("MEAN", "DOSE_RESPONSE"):
            return None
        return 1.0 if self.family in self.RATIOS else 0.0

    @property
    def scale(self):
        """Return the scale of its errors: "log" of a ratio, "" of what is in its own unit."""
        return "log" if self.family in self.RATIOS else ""

    @property
    def of_sample(self):
        """Say whether the truth is an average over the drawn units."""
        return self in ("SATE", "SATT")

    @property
    def at_cutoff(self):
        """Say whether the truth is a limit at the cutoff."""
        return self in ("ATE_AT_CUTOFF", "LATE_AT_CUTOFF")

    def __call__(self, *parameters):
        """Return the member of a family with these parameters."""
        return Estimand("{}({})".format(self, ",".join("{:.15g}".format(p) for p in parameters)))

    def __reduce__(self):
        return Estimand, (str.__str__(self),)


for _name in Estimand.NAMES + ("ANY",):
    setattr(Estimand, _name, Estimand(_name))


PARTS_OF_TARGETS = ("estimand", "horizon", "group", "contrast", "label")


class Target(collections.namedtuple("Target", PARTS_OF_TARGETS)):
    """Key one answer: an estimand, and of whom, when and between what it is asked."""

    __slots__ = ()

    def __new__(cls, estimand, horizon=None, group=None, contrast=None, label=None):
        arms = None if contrast is None else tuple(contrast)
        return super().__new__(cls, estimand, horizon, group, arms, label)

    def __str__(self):
        parts = [str(p) for p in (self.horizon, self.group) if p is not None]
        if self.contrast is not None:
            arms = (a if isinstance(a, str) else "{:.15g}".format(a) for a in self.contrast)
            parts.append(" vs ".join(arms))
        parts += [self.label] if self.label is not None else []
        return "{}[{}]".format(self.estimand, ", ".join(parts)) if parts else str(self.estimand)


def _replaceable(cls):
    """Let `dataclasses.replace` make changed copies, where there are dataclasses (3.7 on)."""
    try:
        from dataclasses import dataclass
    except ImportError:
        return cls
    return dataclass(init=False, repr=False, eq=False)(cls)


@_replaceable
class Roles:
    """Say which column plays which part; a part that nobody plays is empty."""

    outcome: str
    treatment: str
    covariates: tuple
    instruments: tuple
    running: str
    cutoff: float
    unit: str
    time: str
    cohort: str
    cluster: str
    weights: str
    frequency: str
    event: str
    group: str
    mediator: str
    exposure: str
    period: str
    extra: dict

    def __init__(self, **parts):
        names = (
            "outcome treatment running unit time cohort cluster weights frequency event group "
            "mediator exposure period"
        )
        for name in names.split():
            setattr(self, name, parts.pop(name, ""))
        self.extra = dict(parts.pop("extra", {}))
        for name in ("covariates", "instruments"):
            setattr(self, name, tuple(parts.pop(name, ())))
        self.cutoff = parts.pop("cutoff", None)

    @property
    def filled(self):
        """Return the names of the roles that are filled."""
        filled = [k for k, v in vars(self).items() if v not in (None, "", (), {})]
        return frozenset(filled + ["extra:" + role for role in self.extra])


@_replaceable
class Problem:
    """Hold what an estimator may know: columns, roles, targets, level."""

    columns: dict
    roles: Roles
    targets: tuple
    level: float
    draw: object

    def __init__(self, columns, roles, targets, level, draw=None):
        self.columns, self.roles, self.targets, self.level = columns, roles, targets, level
        self.draw = draw

    @property
    def outcome(self):
        """Return the outcome column."""
        return self.columns[self.roles.outcome]

    @property
    def treatment(self):
        """Return the treatment column."""
        return self.columns[self.roles.treatment]

    @property
    def running(self):
        """Return the running variable."""
        return self.columns[self.roles.running]

    def members(self, group):
        """Return which rows are of a group, by the column of the role `group`."""
        return self.columns[self.roles.group] == float(group)

    @property
    def covariates(self):
        """Return the covariates as a matrix of rows by covariates."""
        return self._matrix(self.roles.covariates)

    @property
    def instruments(self):
        """Return the instruments as a matrix of rows by instruments."""
        return self._matrix(self.roles.instruments)

    def _matrix(self, names):
        numpy = _numpy()
        columns = [self.columns[name] for name in names]
        return numpy.column_stack(columns) if numpy else [list(row) for row in zip(*columns)]

    @property
    def frame(self):
        """Return the columns as a new pandas DataFrame."""
        import pandas

        numpy = _numpy()
        return pandas.DataFrame({k: numpy.array(v) for k, v in self.columns.items()})


@_replaceable
class Estimate:
    """Hold one answer; what a method does not give is None."""

    value: float
    se: float
    low: float
    high: float
    df: float
    p_value: float
    statistic: float
    outside: bool
    band_low: float
    band_high: float
    draws: object

    PARTS = ("value", "se", "low", "high", "df", "p_value", "statistic", "outside", "band_low",
             "band_high", "draws")

    def __init__(self, value, se=None, low=None, high=None, df=None, p_value=None, statistic=None,
                 outside=False, band_low=None, band_high=None, draws=None):
        self.value, self.se, self.low, self.high, self.df = value, se, low, high, df
        self.p_value, self.statistic, self.outside = p_value, statistic, outside
        self.band_low, self.band_high, self.draws = band_low, band_high, draws

    @classmethod
    def wald(cls, value, se, level, df=None):
        """Put symmetric limits around a value, normal ones or Student's with `df`."""
        reach = _quantile((1 + level) / 2, df) * se
        return cls(value, se, value - reach, value + reach, df=df)

    @classmethod
    def on_scale(cls, value, se, level, estimand, df=None):
        """Put limits around a value that are symmetric on the scale of its errors."""
        if Estimand(estimand).scale != "log":
            return cls.wald(value, se, level, df)
        reach = math.exp(_quantile((1 + level) / 2, df) * se)
        return cls(value, se, value / reach, value * reach, df=df)


class Diagnosis:
    """Hold a diagnostic's answer."""

    def __init__(self, passed, p_value=None, statistic=None):
        self.passed, self.p_value, self.statistic = passed, p_value, statistic


class Draw:
    """Stand for what only an oracle sees, which no process but cibench's own has."""


Array = object


class _Absent:
    """Stand for a name of cibench that is not here, while files are imported that hold more.

    A file of estimators may hold a scenario, too, whose class is made of such names. A fit that
    uses one fails and says so.
    """

    serving = False

    def __init__(self, name, *_, **__):
        self._name = name

    def __call__(self, *arguments, **_):
        self._refuse()
        if len(arguments) == 1 and (callable(arguments[0]) or isinstance(arguments[0], _Absent)):
            return arguments[0]
        return self

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        self._refuse()
        return _Absent("{}.{}".format(self._name, name))

    def _refuse(self):
        if _Absent.serving:
            raise NotImplementedError(
                "'{}' of cibench is not there in another Python".format(self._name)
            )


class _Package(types.ModuleType):
    """Be the package `cibench` to the files of estimators."""

    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Absent(name)


class Estimator:
    """Hold what a method is called and its function."""

    def __init__(self, name, fit):
        self.name, self.fit, self.__doc__ = name, fit, fit.__doc__


def estimator(name, **_declared):
    """Register `fit(problem, rng, *, option=default)` under a name."""

    def declare(fit):
        METHODS[name] = fit
        return Estimator(name, fit)

    return declare


diagnostic = estimator


def _numpy():
    try:
        import numpy
    except ImportError:
        return None
    return numpy


def _quantile(share, df):
    """Return a quantile of the normal law, or of Student's with `df` degrees of freedom."""
    if df is None:
        try:
            from statistics import NormalDist
        except ImportError:  # before Python 3.8
            return _root(lambda x: 0.5 * math.erfc(-x / math.sqrt(2)), share)
        return NormalDist().inv_cdf(share)
    try:
        from scipy.special import stdtrit
    except ImportError:
        return _root(lambda x: _student(x, df), share)
    return float(stdtrit(df, share))


def _root(cdf, share):
    """Return where a distribution function that is symmetric about 0 takes a value."""
    if share < 0.5:
        return -_root(cdf, 1 - share)
    low, high = 0.0, 1.0
    while cdf(high) < share:
        low, high = high, 2 * high
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return middle
        low, high = (middle, high) if cdf(middle) < share else (low, middle)


def _student(x, df):
    """Return Student's distribution function for x of 0 or more, by the incomplete beta function.

    The continued fraction is that of Abramowitz and Stegun (1964), 26.5.8, by Lentz's method.
    """
    ratio = df / (df + x * x)
    a, b = df / 2.0, 0.5
    if ratio < (a + 1) / (a + b + 2):
        tail = _beta(ratio, a, b)
    else:
        tail = 1 - _beta(x * x / (df + x * x), b, a)
    return 1 - tail / 2


def _beta(x, a, b):
    if x <= 0:
        return 0.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
                     + a * math.log(x) + b * math.log1p(-x)) / a
    tiny, c, d = 1e-300, 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    fraction = d
    for m in range(1, 10000):
        for step in (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                     -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))):
            d = 1 + step * d
            d = 1 / (d if abs(d) > tiny else tiny)
            c = 1 + step / c
            c = c if abs(c) > tiny else tiny
            fraction *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return front * fraction


def serve(methods=None):
    """Answer requests until there are no more: those of METHODS, or of a mapping name -> fit."""
    methods = METHODS if methods is None else dict(methods)
    _Absent.serving = True
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    noise = os.dup(2)
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8", newline="\n")
    home = os.getcwd()
    version = ".".join(map(str, sys.version_info[:3]))
    _say(answers, {"hello": {"protocol": PROTOCOL, "language": "Python", "version": version,
                             "estimators": sorted(methods), "complete": not BROKEN}})
    while True:
        line = requests.readline()
        if not line:
            return
        request = json.loads(line)
        for stream in (1, 2):  # what is printed is noise, also after a fit that closed them
            os.dup2(noise, stream)
        if request["request"] == "versions":
            packages = request["packages"]
            answer = {"versions": _versions(packages), "loaded": _loaded(packages)}
        elif request["request"] == "fit":
            answer = _answer(methods, request)
        else:
            answer = {"failed": "no request named '{}'".format(request["request"])}
        answer["id"] = request["id"]
        os.chdir(home)
        _flush()
        _say(answers, answer)


def _flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # closed by a fit
            pass


def _say(answers, message):
    answers.write("\n" + MARK + json.dumps(message) + "\n")
    answers.flush()


def _versions(packages):
    try:
        from importlib.metadata import PackageNotFoundError, version
    except ImportError:  # before Python 3.8
        try:
            from importlib_metadata import PackageNotFoundError, version
        except ImportError:
            return {name: _pkg_resources_version(name) for name in packages}
    versions = {}
    for name in packages:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = _without_distribution(name)
    return versions


def _without_distribution(name):
    """Return what is known of the version of a module that no package of its name brought."""
    try:
        there = importlib.util.find_spec(name.replace("-", "_")) is not None
    except (ImportError, ValueError):
        there = False
    return "of unknown version" if there else None


def _loaded(packages):
    """Return the packages of which a module is imported."""
    return [name for name in packages if any(m in sys.modules for m in _modules(name))]


def _modules(package):
    """Return the names by which a package's modules are imported."""
    listed, files = None, []
    try:
        from importlib.metadata import PackageNotFoundError, distribution

        try:
            there = distribution(package)
            listed, files = there.read_text("top_level.txt"), list(there.files or ())
        except PackageNotFoundError:
            pass
    except ImportError:  # before Python 3.8
        import pkg_resources

        try:
            listed = pkg_resources.get_distribution(package).get_metadata("top_level.txt")
        except (pkg_resources.DistributionNotFound, IOError):
            pass
    names = set((listed or "").split())
    for file in files:
        first = str(file).replace("\\", "/").split("/")
        if len(first) > 1 and first[-1].endswith(".py"):
            names.add(first[0])
        elif first[0].endswith((".py", ".so", ".pyd")):
            names.add(first[0].split(".")[0])
    return names or {package.replace("-", "_")}


def _pkg_resources_version(name):
    import pkg_resources

    try:
        return pkg_resources.get_distribution(name).version
    except pkg_resources.DistributionNotFound:
        return None


def _answer(methods, request):
    fit = methods.get(request["estimator"])
    if fit is None:
        missing = "no estimator named '{}'".format(request["estimator"])
        return {"failed": "; ".join(BROKEN) or missing}
    lines = []

    def take(message, category, *_, **__):
        line = "{}: {}".format(category.__name__, message)
        if len(lines) < 100 and line not in lines:
            lines.append(line)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = take
        answer = _fitted(fit, request)
    if lines:
        answer["warnings"] = lines
    return answer


def _fitted(fit, request):
    rng = before = None
    try:
        problem, rng = _problem(request), _generator(request)
        before = _states(rng)
        answer = _written(fit(problem, rng, **request["options"]))
    except Declined as why:
        answer = {"declined": str(why)[:LONGEST] or "declined without a reason"}
    except Exception as error:
        answer = {"failed": _failure(error, fit)}
    if before is not None and _states(rng) != before:
        answer["random"] = True
    return answer


def _generator(request):
    """Return the fit's own stream, with all global ones seeded: cibench's, where numpy has it."""
    seed, numpy = request["seed"], _numpy()
    random.seed(seed)
    if numpy is None:
        return random.Random(seed)
    numpy.random.seed(seed)
    if not hasattr(numpy.random, "default_rng"):
        return numpy.random.RandomState(seed)
    if "entropy" not in request:
        return numpy.random.default_rng(seed)
    states = numpy.fromfile(os.path.join(request["folder"], "states.bin"), dtype="<u4")
    own, place = tuple(map(int, states[1:626])), int(states[626])
    random.setstate((int(states[0]), own, None))
    numpy.random.set_state(("MT19937", states[627:], place))
    sequence = numpy.random.SeedSequence(int(request["entropy"]))
    return numpy.random.Generator(numpy.random.PCG64(sequence))


def _states(rng):
    """Return what all generators that a fit may draw from have come to."""
    numpy = _numpy()
    if hasattr(rng, "getstate"):
        own = rng.getstate()
    elif hasattr(rng, "bit_generator"):
        own = repr(rng.bit_generator.state)
    else:
        own = _legacy(rng.get_state())
    return own, random.getstate(), numpy is not None and _legacy(numpy.random.get_state())


def _legacy(state):
    return (state[0], state[1].tobytes()) + tuple(state[2:])


def _failure(error, fit):
    """Return an exception as one line that ends in the place in the estimator's own folder."""
    text = " ".join(str(error).split())
    name = type(error).__name__
    line = "{}: {}".format(name, text)[:LONGEST] if text else name
    code = getattr(fit, "__code__", None)
    home = os.path.dirname(code.co_filename) if code else None
    places = [f for f in traceback.extract_tb(error.__traceback__)
              if os.path.dirname(f.filename) == home]
    if places:
        line += " ({}:{})".format(os.path.basename(places[-1].filename), places[-1].lineno)
    return line


def _written(returned):
    if isinstance(returned, Diagnosis):
        return {"diagnosis": {"passed": bool(returned.passed), "p_value": _number(returned.p_value),
                              "statistic": _number(returned.statistic)}}
    if isinstance(returned, Estimate):
        return {"estimates": [_parts(returned)]}
    if isinstance(returned, dict):
        estimates = []
        for target, answer in returned.items():
            if not isinstance(answer, Estimate):
                raise TypeError("returned {}, not an Estimate".format(type(answer).__name__))
            key = Target(*target) if isinstance(target, tuple) else Target(target)
            parts = _parts(answer)
            parts["estimand"] = str(getattr(key[0], "value", key[0]))
            parts["horizon"] = None if key.horizon is None else int(key.horizon)
            for name in ("group", "contrast", "label"):
                if getattr(key, name) is not None:
                    value = getattr(key, name)
                    parts[name] = list(value) if name == "contrast" else value
            estimates.append(parts)
        return {"estimates": estimates}
    raise TypeError("returned {}, not an Estimate".format(type(returned).__name__))


def _parts(estimate):
    parts = {}
    for name in Estimate.PARTS:
        value = getattr(estimate, name)
        if name == "outside":
            parts[name] = bool(value)
        elif name == "draws":
            parts[name] = None if value is None else [_number(each) for each in value]
        else:
            parts[name] = _number(value)
    return parts


def _number(value):
    """Return a number as JSON has it; what it lacks is a word."""
    if value is None:
        return None
    if isinstance(value, (bool, str, bytes)):
        raise TypeError("{!r} is not a number".format(value))
    value = float(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return value


def _problem(request):
    columns, rows = collections.OrderedDict(), request["rows"]
    kinds = [column["type"] for column in request["columns"]]
    numbers = _numbers(os.path.join(request["folder"], "numbers.bin"))
    texts = _texts(os.path.join(request["folder"], "texts.txt")) if "text" in kinds else []
    places = {"text": 0, "number": 0}
    for column, kind in zip(request["columns"], kinds):
        source = "text" if kind == "text" else "number"
        first = places[source] * rows
        places[source] += 1
        values = (texts if kind == "text" else numbers)[first:first + rows]
        columns[column["name"]] = _typed(values, kind)
    targets = tuple(
        Target(Estimand(t["estimand"]), *(t.get(name) for name in PARTS_OF_TARGETS[1:]))
        for t in request["targets"]
    )
    return Problem(columns, Roles(**request["roles"]), targets, request["level"])


def _numbers(path):
    numpy = _numpy()
    if numpy is not None:
        return numpy.fromfile(path, dtype="<f8")
    numbers = array.array("d")
    with open(path, "rb") as file:
        numbers.frombytes(file.read())
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _texts(path):
    with open(path, encoding="utf-8", newline="\n") as file:
        lines = file.read().split("\n")[:-1]
    return [None if line == "\\N" else _unescaped(line) for line in lines]


def _unescaped(text):
    if "\\" not in text:
        return text
    parts = text.split("\\\\")
    return "\\".join(part.replace("\\n", "\n").replace("\\r", "\r") for part in parts)


def _typed(values, kind):
    numpy = _numpy()
    if numpy is None:
        convert = {"integer": int, "logical": bool}.get(kind)
        return [convert(v) for v in values] if convert else list(values)
    if kind == "text":
        plain = None not in values
        column = numpy.array(values, dtype=str if plain else object)
    elif kind == "integer":
        column = values.astype("int64")
    elif kind == "logical":
        column = values != 0
    else:
        column = values.astype("float64")
    column.flags.writeable = False
    return column


def _load(place):
    """Import a file of estimators, or a module; `package=FILE` makes it one of that package."""
    package, _, path = place.rpartition("=")
    if not path.endswith(".py"):
        importlib.import_module(place)
        return
    folder, name = os.path.dirname(os.path.abspath(path)), os.path.basename(path)[:-3]
    if package:
        if package not in sys.modules:
            parent = types.ModuleType(package)
            parent.__path__ = [folder]
            sys.modules[package] = parent
        importlib.import_module("{}.{}".format(package, name))
        return
    spec = importlib.util.spec_from_file_location("cibench_plugin_" + name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    if sys.path and os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
        del sys.path[0]  # nothing here is to be found by its name
    for package in ("cibench", "cibench.model"):
        sys.modules[package] = _Package(package)
        vars(sys.modules[package]).update(
            {name: value for name, value in globals().items() if not name.startswith("_")}
        )
    for argument in sys.argv[1:]:
        try:
            _load(argument)
        except Exception as error:
            BROKEN.append("{}: {}".format(type(error).__name__, error))
    serve()
