"""The published list's clauses about a name, as exact names and regular expressions."""

import re

from genai_prices import types


def spellings(match: types.MatchLogic) -> tuple[set[str], list[str]]:
    """Return the exact names and the patterns of what is a choice between clauses."""
    clauses = match.or_ if isinstance(match, types.ClauseOr) else [match]
    names = {c.equals.lower() for c in clauses if isinstance(c, types.ClauseEquals)}
    return names, [pattern(c) for c in clauses if not isinstance(c, types.ClauseEquals)]


def pattern(clause: types.MatchLogic) -> str:
    """Return one regular expression, for lower-case names, that matches what `clause` does."""
    match clause:
        case types.ClauseRegex():
            return clause.regex
        case types.ClauseOr():
            return f"(?:{'|'.join(pattern(one) for one in clause.or_)})"
        case types.ClauseAnd():
            return "^" + "".join(f"(?={_ahead(one)})" for one in clause.and_)
        case _:
            return _literal(clause)


def _literal(clause: types.MatchLogic) -> str:
    match clause:
        case types.ClauseStartsWith():
            return "^" + re.escape(clause.starts_with.lower())
        case types.ClauseEndsWith():
            return re.escape(clause.ends_with.lower()) + "$"
        case types.ClauseContains():
            return re.escape(clause.contains.lower())
        case types.ClauseEquals():
            return f"^{re.escape(clause.equals.lower())}$"
        case _:
            raise TypeError(f"unknown clause of the published list: {clause!r}")


def _ahead(clause: types.MatchLogic) -> str:
    ahead = pattern(clause)
    return ahead[1:] if ahead.startswith("^") else f".*{ahead}"
