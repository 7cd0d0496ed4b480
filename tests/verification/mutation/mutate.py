"""Every mutant of a module's source, as data: where, what it becomes, and the mutated tree.

Mutated: comparisons, moved by one or turned round; `and` / `or` / `not`; arithmetic; whole numbers; True and False; one
member of an enum into another; min / max; an argument or an element left out; a statement left out; a result of None;
text that is not a sentence. Not mutated: sentences, docstrings, annotations, logging, `__all__`.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard

_COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
}
_SWAPPED = {"min": "max", "max": "min", "any": "all", "all": "any"}
_SILENT = ("log", "logging")
_ENUMS = ("Enum", "IntEnum", "StrEnum")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change. `name` is stable as long as the line does not change: function, line, what, how."""

    line: int
    function: str
    text: str
    before: str
    after: str
    place: int
    way: int
    enums: Mapping[str, list[str]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def name(self) -> str:
        """As docs/mutation.md lists it."""
        return f"{self.function or 'module'}: `{self.text}`: `{self.before}` -> `{self.after}`"

    def tree(self, source: str) -> ast.Module:
        """The whole module with the change in it."""
        tree = ast.parse(source)
        if self.place >= 0:
            node, _ = list(_sites(tree, ""))[self.place]
            list(_changes(node, self.enums))[self.way]()
            ast.fix_missing_locations(tree)
        return tree


UNCHANGED = Mutant(0, "", "", "", "", -1, -1)


def mutants(source: str, enums: Mapping[str, list[str]]) -> Iterator[Mutant]:
    """All of them, in the order of the source.

    Args:
        source: of the module.
        enums: classes whose members are swapped: their names, and the names of their members.
    """
    tree, lines = ast.parse(source), source.splitlines()
    for place, (node, function) in enumerate(_sites(tree, "")):
        for way in range(len(list(_changes(node, enums)))):
            target = copy.deepcopy(node)
            before = _short(target.test if isinstance(target, ast.If | ast.IfExp | ast.While) else target)
            after = list(_changes(target, enums))[way]()
            line = getattr(node, "lineno", 0)
            text = lines[line - 1].strip() if line else ""
            yield Mutant(line, function, text, before, after, place, way, enums)


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 100 else text[:97] + "..."


def enums_in(folder: Path) -> dict[str, list[str]]:
    """The enum classes of all modules below `folder`, with the names of their members."""
    trees = [ast.parse(path.read_text("utf-8")) for path in sorted(folder.rglob("*.py"))]
    return {
        node.name: [item.targets[0].id for item in node.body if isinstance(item, ast.Assign)]  # type: ignore[attr-defined]
        for tree in trees
        for node in tree.body
        if _is_enum(node)
    }


def _is_enum(node: ast.AST) -> TypeGuard[ast.ClassDef]:
    return isinstance(node, ast.ClassDef) and any(getattr(base, "id", "") in _ENUMS for base in node.bases)


def _sites(node: ast.AST, function: str) -> Iterator[tuple[ast.AST, str]]:
    """Every node that may be mutated, with the function that it is in; skips what is not behaviour."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params") or (name == "bases"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or _no_behaviour(child):
                continue
            inside = f"{function}.{child.name}".lstrip(".") if isinstance(child, _SCOPES) else function
            yield child, inside
            yield from _sites(child, inside)


_SCOPES = (ast.FunctionDef, ast.ClassDef)


def _no_behaviour(node: ast.AST) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom | ast.JoinedStr):
        return True
    if _is_enum(node):
        return True
    if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
        return True
    if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
        return True
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("TypeVar", "ContextVar"):
        return True  # a name for people who debug
    if isinstance(node, ast.Subscript) and getattr(node.value, "id", "") == "Callable":
        return True  # a type's other name
    if not isinstance(node, ast.Expr):
        return False
    if isinstance(node.value, ast.Constant):
        return True  # docstrings
    call = node.value
    return (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and getattr(call.func.value, "id", "") in _SILENT
    )


def _changes(node: ast.AST, enums: Mapping[str, list[str]]) -> Iterator[_Change]:
    """What can be done to the node, in place; each returns how it then reads."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in _COMPARE:
            yield _set(node, "ops", [_COMPARE[type(op)]()])
            if isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE):
                turned = {ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt}[type(op)]
                yield _set(node, "ops", [turned()])
        case ast.BoolOp(op=ast.And()):
            yield _set(node, "op", ast.Or())
        case ast.BoolOp(op=ast.Or()):
            yield _set(node, "op", ast.And())
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield _become(node, ast.UnaryOp(ast.Not(), ast.UnaryOp(ast.Not(), operand)))
        case ast.If() | ast.IfExp() | ast.While():
            yield _set(node, "test", ast.UnaryOp(ast.Not(), node.test), show="test")
        case ast.BinOp(op=op) if type(op) in _ARITHMETIC:
            yield _set(node, "op", _ARITHMETIC[type(op)]())
        case ast.Constant(value=bool() as value):
            yield _set(node, "value", not value)
        case ast.Constant(value=int() as value):
            yield _set(node, "value", value + 1)
        case ast.Constant(value=str() as value) if value and " " not in value:
            yield _set(node, "value", value + "X")
        case (
            ast.Attribute(value=ast.Name(id=name), attr=member)
            | ast.Attribute(value=ast.Attribute(attr=name), attr=member)
        ) if name in enums and member in enums[name]:
            others = enums[name]
            yield _set(node, "attr", others[(others.index(member) + 1) % len(others)])
        case ast.Call(func=ast.Name(id=name)) if name in _SWAPPED:
            yield _set(node.func, "id", _SWAPPED[name], of=node)
        case ast.Return(value=value) if value is not None and not _is_none(value):
            yield _set(node, "value", ast.Constant(None))
        case ast.Expr() | ast.AugAssign() | ast.Raise() | ast.Continue() | ast.Break() | ast.Delete():
            yield _become(node, ast.Pass())
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("replace", "State", "_confirm"):
        for index in range(len(node.keywords)):
            yield _drop(node, "keywords", index)
    if isinstance(node, ast.Tuple) and len(node.elts) > 1 and isinstance(node.ctx, ast.Load):
        for index in range(len(node.elts)):
            if isinstance(node.elts[index], ast.Call | ast.Starred):
                yield _drop(node, "elts", index)


class _Change:
    def __init__(self, do: Callable[[], str]) -> None:
        self._do = do

    def __call__(self) -> str:
        return self._do()


def _set(node: ast.AST, name: str, value: object, *, show: str = "", of: ast.AST | None = None) -> _Change:
    def do() -> str:
        setattr(node, name, value)
        return _short(getattr(node, show) if show else of or node)

    return _Change(do)


def _drop(node: ast.AST, name: str, index: int) -> _Change:
    def do() -> str:
        del getattr(node, name)[index]
        return _short(node)

    return _Change(do)


def _become(node: ast.AST, other: ast.AST) -> _Change:
    """The node's own object turns into another: its parent need not be known."""

    def do() -> str:
        text = _short(other)
        place = {name: getattr(node, name) for name in ("lineno", "col_offset") if hasattr(node, name)}
        node.__class__ = other.__class__  # type: ignore[assignment]
        node.__dict__.clear()
        node.__dict__.update({**other.__dict__, **place})
        return text

    return _Change(do)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
