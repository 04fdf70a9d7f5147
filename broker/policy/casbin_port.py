"""The only module that imports Casbin (distribution ``pycasbin``).

It is given checked rows and checked statements, never a file. What is used of it is one plain `Enforcer` for each
set of rows, built once and never changed: no adapter, no role manager, no watcher, no filter, nothing asynchronous.
"""

import ast
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import casbin
from casbin.model import FunctionMap, Model

Function = Callable[..., bool]

_PLAIN: Final = (ast.BoolOp, ast.And, ast.Compare, ast.Eq, ast.Call, ast.Name, ast.Load)
"""All that a matcher may be made of."""

# A logger of its own, outside the registry of loggers: Casbin logs every denied question with its arguments, and
# `logging.config.dictConfig` (uvicorn calls it) switches loggers that were disabled on again.
_SILENT: Final = logging.Logger("policy", level=logging.CRITICAL + 1)  # noqa: LOG001 - it must not be found by name


class RowsNotEnforced(Exception):
    """The engine holds other rows than it was given."""


class _Matcher:
    """A matcher compiled once. It holds nothing of a question, so any number of threads may evaluate it."""

    def __init__(self, parsed: ast.expr, functions: Mapping[str, Function]) -> None:
        for node in ast.walk(parsed):
            if not isinstance(node, _PLAIN):
                raise TypeError(
                    f"a matcher is equalities and our own functions, joined by and; not {type(node).__name__}"
                )
            if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in functions):
                raise TypeError("a matcher calls only functions that were registered for it")
        self._code = compile(ast.Expression(parsed), "<matcher>", "eval")
        self._functions = {"__builtins__": {}, **functions}

    def eval(self, names: Mapping[str, str]) -> object:
        """The value for one question and one row."""
        # The code was made from the model alone, of the node types above; the values are only ever names' values.
        return eval(self._code, self._functions, names)  # noqa: S307


class _CompiledOnce(casbin.Enforcer):  # type: ignore[misc]
    """The stock enforcer, except that a matcher is parsed and compiled once and not parsed at every question."""

    kept: dict[str, _Matcher]

    def _get_expression(self, expr: str, functions: Mapping[str, Function]) -> _Matcher:
        matcher = self.kept.get(expr)
        if matcher is None:
            matcher = self.kept[expr] = _Matcher(super()._get_expression(expr, functions).ast_parsed_value, functions)
        return matcher


class RowEngine:
    """Some rows under the model's first definitions, or its second or third (`suffix` "2", "3"). Safe to ask from any thread."""

    def __init__(
        self,
        statements: Mapping[str, str],
        rows: Sequence[tuple[str, ...]],
        functions: Mapping[str, Function],
        *,
        suffix: str = "",
    ) -> None:
        """Raises RowsNotEnforced unless exactly the rows given are enforced, and there is at least one."""
        self._enforcer = build(_CompiledOnce, statements, rows, functions, suffix)
        self._enforcer.kept = {}
        self._context = self._enforcer.new_enforce_context(suffix)
        # The first question compiles the matcher, so a bad one fails here; and no row speaks to empty fields.
        if self.allows(*("" for _ in statements[f"r{suffix}"].split(","))):
            raise RowsNotEnforced("a question without words is allowed")

    def allows(self, *values: str) -> bool:
        """What Casbin says. Any exception means that it could not say."""
        answer = self._enforcer.enforce(self._context, *values)
        if not isinstance(answer, bool):
            raise TypeError("the answer is not yes or no")
        return answer


def build(
    kind: type[casbin.Enforcer],
    statements: Mapping[str, str],
    rows: Sequence[tuple[str, ...]],
    functions: Mapping[str, Function],
    suffix: str,
) -> Any:
    """An enforcer of that class with these rows. The tests build the stock class by it, to compare."""
    model = Model()
    for key, statement in statements.items():
        model.add_def(key[0], key, statement)
    enforcer = kind(model)
    enforcer.enable_auto_save(auto_save=False)
    enforcer.logger = _SILENT
    # Its pattern functions are taken away; what a matcher names and is not ours does not exist.
    enforcer.fm = FunctionMap()
    for name, function in functions.items():
        enforcer.add_function(name, function)
    ptype = f"p{suffix}"
    for row in rows:
        model.add_policy("p", ptype, list(row))
    enforced = [tuple(row) for row in model.get_policy("p", ptype)]
    # With no row at all Casbin evaluates the matcher over empty fields, and a question of empty fields is allowed.
    if not enforced or enforced != list(rows):
        raise RowsNotEnforced(f"{len(rows)} rows were given and {len(enforced)} are enforced")
    return enforcer
