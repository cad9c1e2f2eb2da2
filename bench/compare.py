"""Whether two answers are one: the same columns and rows, floats within a tolerance."""

from __future__ import annotations

import duckdb
import pyarrow

TOLERANCE = 1e-9


def difference(ours: pyarrow.Table, theirs: pyarrow.Table, keys: tuple[str, ...]) -> str | None:
    """What differs, in words, or None. Rows are told apart by `keys`, where NULL equals NULL.

    Numbers that are not both integers, decimals or texts may differ by TOLERANCE, relative to 1 or their size.
    """
    if sorted(ours.column_names) != sorted(theirs.column_names):
        return f"columns {sorted(ours.column_names)} and {sorted(theirs.column_names)}"
    if ours.num_rows != theirs.num_rows:
        return f"{ours.num_rows} rows and {theirs.num_rows}"
    with duckdb.connect() as con:
        con.register("ours", ours)
        con.register("theirs", theirs)
        on = " AND ".join(f'o."{k}" IS NOT DISTINCT FROM t."{k}"' for k in keys)
        row = ", ".join(f'coalesce(o."{k}", t."{k}")' for k in keys)
        for name in ours.column_names:
            if name in keys:
                continue
            one, other = f'o."{name}"', f't."{name}"'
            exact = not (_real(ours, name) or _real(theirs, name))
            same = f"{one} IS NOT DISTINCT FROM {other}"
            if not exact:
                gap = f"abs({one}::DOUBLE - {other}::DOUBLE) <= {TOLERANCE} * greatest(1, abs({other}::DOUBLE))"
                same = f"({one} IS NULL AND {other} IS NULL) OR coalesce({gap}, false)"
            found = con.sql(
                f"SELECT {row}, {one}, {other} FROM ours o FULL JOIN theirs t ON {on} WHERE NOT ({same}) LIMIT 3"
            ).fetchall()
            if found:
                return f"{name}: " + "; ".join(str(row) for row in found)
        missing = con.sql(f"SELECT * FROM ours o ANTI JOIN theirs t ON {on} LIMIT 1").fetchall()
        return f"row {missing[0]} has no partner" if missing else None


def _real(table: pyarrow.Table, name: str) -> bool:
    return bool(pyarrow.types.is_floating(table.schema.field(name).type))
