"""The digest of a plug-in's source: of its own definition, of what that uses, of files beside it.

Two methods in one file are two methods: a change of one, or a new one, leaves the digest of the
other as it was. Of a module the digest takes every statement but those that can do nothing to the
definition asked for because nothing that is taken names them: functions and classes whose
decorators only register, wrap or make a dataclass, literals that a name stands for, and imports.
What is named by a string counts as named. A module that looks names up as it runs (`globals`,
`eval`, an import by text, a star) counts whole, comments too; so does one that is imported as such.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b, file_digest
from pathlib import Path

from cibench.model import neighbours
from cibench.model.registry import Entry, Kind, entries
from cibench.utils.files import canonical
from cibench.utils.toml import read_toml

HARMLESS = frozenset({
    "cache", "contextmanager", "dataclass", "diagnostic", "estimator", "lru_cache", "overload",
    "scenario", "wraps",
})  # fmt: skip
"""Decorators that do nothing to other definitions of a module."""

LOOKS_UP = frozenset({
    "__dict__", "__getattr__", "__import__", "__init_subclass__", "eval", "exec", "globals",
    "import_module", "locals", "metaclass", "modules", "vars",
})  # fmt: skip
"""Names by which a module may find others of its own, or act on them, without naming them."""

FILE_NAME = re.compile(r"[^/\\:\0\n]{1,100}(/[^/\\:\0\n]{1,100}){0,5}")

DECLARATIONS = ".toml"
"""The suffix of files that declare estimators in other languages, and hold no code."""

Wanted = frozenset[str] | None
"""Which definitions of a module are used; None: all of it."""

WHOLE: Wanted = None

KINDS: tuple[Kind, ...] = ("scenario", "estimator")


def source_digest(entry: Entry) -> str | None:
    """Return the digest of a plug-in's definition, of what it uses and of its files.

    None for code without a file: its rows cannot be told from those of another version.
    """
    if entry.digest is not None:
        return entry.digest()
    if entry.path is None:
        return None
    return definition_digest(entry.path, entry.qualname, entry.files)


def definition_digest(defining: Path, qualname: str, beside: Iterable[str] = ()) -> str:
    """Return the digest of a definition in a file, of what it uses from the same folder, and more.

    `qualname` is the qualified name of the function or class, `beside` names of other files that
    it reads, relative to its own; files there that a text in what is taken names count as well.
    Raises OSError where one is not there.
    """
    digest = blake2b(digest_size=16)
    used = _used(defining, frozenset({qualname.partition(".")[0]}))
    if defining.suffix == DECLARATIONS:
        digest.update(_declaration(defining, qualname))
    for path, wanted in sorted(used.items()):
        digest.update(path.name.encode() + b"\0" + _text(path, wanted) + b"\0")
    for name in sorted({*beside, *_named(defining.parent, used)}):
        with (defining.parent / name).open("rb") as file:
            content = file_digest(file, "blake2b").digest()
        digest.update(name.encode() + b"\0" + content + b"\0")
    return digest.hexdigest()


def _declaration(path: Path, name: str) -> bytes:
    """Return what a file declares of an estimator, however it is laid out."""
    declared, _ = read_toml(path)
    return canonical((declared.get("estimators") or {}).get(name)).encode()


def files_beside(entry: Entry) -> list[str]:
    """Return what else a plug-in reads, relative to its file: declared, or named in its code."""
    if entry.path is None:
        return []
    if entry.path.suffix == DECLARATIONS:
        return sorted(entry.files)
    used = _used(entry.path, frozenset({entry.qualname.partition(".")[0]}))
    return sorted({*entry.files, *_named(entry.path.parent, used)})


def files_of(entry: Entry) -> list[Path]:
    """Return the defining file and what it imports from its own folder, sorted; none without."""
    if entry.path is None:
        return []
    return sorted(_imported(entry.path))  # none of a declaration


def files_with(path: Path) -> dict[str, Path]:
    """Return a plug-in's file and what it reads beside it, by names relative to its folder.

    These are modules, files that their code names, and those that what they register declares.
    """
    used: Mapping[Path, Wanted] = {path: WHOLE}
    names: set[str] = set()
    if path.suffix == ".py":
        used = _imported(path)
        names = set(_named(path.parent, used))
    for kind in KINDS:
        for entry in entries(kind).values():
            if entry.path in used:
                names |= set(entry.files)
    names |= {each.name for each in used}
    return {name: path.parent / name for name in sorted(names)}


def imports_of(path: Path) -> tuple[str, ...]:
    """Return what a file imports, within functions too: modules, and names that may be modules."""
    names: list[str] = []
    for module, name in _module(path.read_bytes()).imports(WHOLE):
        names += [module, f"{module}.{name}".strip(".")] if name else [module]
    return tuple(filter(None, names))


@dataclass(frozen=True, eq=False)
class _Statement:
    """Hold a statement of a module: its text, the names that it binds and those that it mentions.

    It is `optional` where it does nothing as long as no name that it binds is used. `texts` are its
    strings that look like the name of a file.
    """

    text: bytes
    binds: frozenset[str]
    mentions: frozenset[str]
    imports: tuple[tuple[str, str], ...]
    texts: tuple[str, ...]
    optional: bool


@dataclass(frozen=True, eq=False)
class _Module:
    """Hold the statements of a module, and whether it can only be taken whole."""

    source: bytes
    statements: tuple[_Statement, ...]
    whole: bool

    def taken(self, wanted: Wanted) -> tuple[_Statement, ...]:
        """Return the statements that the wanted definitions rest on, in their order."""
        bound = frozenset[str]().union(*(each.binds for each in self.statements))
        if self.whole or wanted is None or not wanted <= bound:
            return self.statements
        names = set(wanted).union(*(s.mentions for s in self.statements if not s.optional))
        taken = {i for i, each in enumerate(self.statements) if not each.optional}
        size = -1
        while len(taken) > size:
            size = len(taken)
            for i, each in enumerate(self.statements):
                if i not in taken and each.binds & names:
                    taken.add(i)
                    names |= each.mentions
        return tuple(self.statements[i] for i in sorted(taken))

    def imports(self, wanted: Wanted) -> Iterator[tuple[str, str]]:
        """Yield modules that what is taken imports, each with the name that it takes of it."""
        for statement in self.taken(wanted):
            yield from statement.imports


def _used(defining: Path, wanted: Wanted) -> Mapping[Path, Wanted]:
    """Return a module and, however deep, those beside it that are used, each with what of it."""
    used: dict[Path, Wanted] = {}
    open_ends: list[tuple[Path, Wanted]] = []
    if defining.suffix != DECLARATIONS:
        open_ends.append((defining, wanted))
    while open_ends:
        path, names = open_ends.pop()
        before = used.get(path, frozenset())
        joined = None if before is None or names is None else before | names
        if path in used and joined == before:
            continue
        used[path] = joined
        module = _module(path.read_bytes())
        for name, part in module.imports(joined):
            open_ends += _neighbours(path, name, part)
    return used


def _imported(defining: Path) -> Mapping[Path, Wanted]:
    """Return a module and all beside it that it takes to import it, used or not."""
    if defining.suffix == DECLARATIONS:
        return {}
    return dict.fromkeys(neighbours.reached(defining, _files_imported), WHOLE)


def _files_imported(path: Path) -> Iterator[Path]:
    for name, part in _module(path.read_bytes()).imports(WHOLE):
        yield from (neighbour for neighbour, _ in _neighbours(path, name, part))


def _neighbours(path: Path, module: str, name: str) -> Iterator[tuple[Path, Wanted]]:
    """Yield the files beside one that an import means, with what it takes of them."""
    inside = path.with_name(f"{module.rsplit('.', 1)[-1]}.py")
    if module and inside.is_file():
        yield inside, frozenset({name}) if name else WHOLE
    beside = path.with_name(f"{name}.py")
    if name and beside.is_file():
        yield beside, WHOLE


def _named(folder: Path, used: Mapping[Path, Wanted]) -> Iterator[str]:
    """Yield the names of files of the folder, no Python, that are texts in what is used."""
    for path, wanted in used.items():
        for statement in _module(path.read_bytes()).taken(wanted):
            for text in statement.texts:
                if (folder / text).is_file():
                    yield text


def _text(path: Path, wanted: Wanted) -> bytes:
    """Return the bytes of a file that count, without what is said between statements."""
    module = _module(path.read_bytes())
    if module.whole or wanted is None:
        return b"\n".join(module.source.splitlines())
    return b"\n".join(statement.text for statement in module.taken(wanted))


@lru_cache(maxsize=256)  # a run asks for the same sources' digest several times
def _module(source: bytes) -> _Module:
    tree, lines = ast.parse(source), source.splitlines()
    whole = any(_looks_up(node) for node in ast.walk(tree))
    users = Counter(word for node in tree.body for word in _mentions(node))
    return _Module(source, tuple(_statement(node, lines, users) for node in tree.body), whole)


def _looks_up(node: ast.AST) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.keyword(arg=name):
            return name in LOOKS_UP
        case ast.FunctionDef(name=name):
            return name in LOOKS_UP
        case ast.ImportFrom(names=names):
            return any(alias.name in {"*", *LOOKS_UP} for alias in names)
    return False


def _statement(node: ast.stmt, lines: list[bytes], users: Mapping[str, int]) -> _Statement:
    """Return a statement of a module; `users` counts the statements that mention a name."""
    first = min(each.lineno for each in (node, *getattr(node, "decorator_list", ())))
    text = b"\n".join(lines[first - 1 : node.end_lineno])
    binds = frozenset(_binds(node))
    imports = tuple((each.module, each.name) for each in neighbours.imports(node))
    return _Statement(
        text, binds, _mentions(node), imports, tuple(_file_names(node)),
        _is_optional(node, binds, users),
    )  # fmt: skip


def _is_optional(node: ast.stmt, binds: frozenset[str], users: Mapping[str, int]) -> bool:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return all(_called(each) in HARMLESS for each in node.decorator_list)
        case ast.Import() | ast.ImportFrom():
            return any(users[name] for name in binds)  # else it is imported for what it does
        case ast.Assign(value=value, targets=[ast.Name()]):
            return _is_literal(value)
        case ast.AnnAssign(value=value, target=ast.Name()):
            return value is None or _is_literal(value)
        case ast.Expr(value=ast.Constant()):
            return True  # a docstring
    return False


def _called(decorator: ast.expr) -> str:
    """Return the last part of a decorator's name."""
    match decorator:
        case ast.Call(func=function):
            return _called(function)
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def _is_literal(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, RecursionError):
        return False
    return True


def _binds(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement gives a meaning at the level of its module."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name.partition(".")[0]
    else:
        for part in ast.walk(node):
            match part:
                case ast.Name(id=name, ctx=ast.Store()):
                    yield name
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                    yield name
                case ast.alias(name=name, asname=other):
                    yield other or name.partition(".")[0]


def _mentions(node: ast.stmt) -> frozenset[str]:
    """Return every word of a statement that may mean something of the module."""
    words: set[str] = set()
    for part in ast.walk(node):
        match part:
            case ast.Name(id=word) | ast.Attribute(attr=word):
                words.add(word)
            case ast.Constant(value=str(text)) if text.isidentifier():
                words.add(text)
    return frozenset(words)


def _file_names(node: ast.stmt) -> Iterator[str]:
    """Yield the strings of a statement that may name a file beside the code."""
    for part in ast.walk(node):
        match part:
            case ast.Constant(value=str(text)) if FILE_NAME.fullmatch(text):
                if not {"..", "."} & set(text.split("/")) and not text.endswith(".py"):
                    yield text
