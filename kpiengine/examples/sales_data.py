"""The data of the example project `sales`, written the way that such data lies about in companies."""

from __future__ import annotations

from pathlib import Path

from kpiengine.examples.shop import built, copy_out

_ORDERS = """
copy (select number as "Order No", line as "Line", customer as "Customer ID", ordered_at as "Ordered At",
             product as "Product", category as "Category", channel as "Sales Channel", quantity as "Quantity",
             price as "Unit Price", cost as "Unit Cost",
             -- Three tills, three spellings.
             case i % 11 when 0 then upper(status) || ' ' when 1 then status
                  else upper(status[1]) || status[2:] end as "Status"
      from lines)
to $path (format parquet, compression zstd)
"""

_CUSTOMERS = """
copy (select id as "Customer ID", name as "Name", name_fa as "نام", country as "Country",
             case when id % 13 = 0 then upper(channel) when id % 17 = 0 then channel || ' '
                  else upper(channel[1]) || channel[2:] end as "Channel",
             acquired as "Customer Since"
      from customers)
to $path (format csv, delimiter ';', header)
"""

# Money as a German spreadsheet writes it: 1.234,56
_COSTS = """
copy (select day as "Date", channel as "Channel", category as "Category",
             translate(format('{:,.2f}', amount::double), ',.', '.,') as "Amount EUR"
      from costs)
to $path (format csv, delimiter ';', header)
"""

_SURVEY = """
copy (select id as response, strftime(answered_at, '%Y-%m-%dT%H:%M:%S') as answered_at, customer, nps as recommend,
             case csat
                when 5 then pick(spelling, ['excellent', 'Excellent', 'EXCELLENT ', '5', 'عالی', 'عالي'])
                when 4 then pick(spelling, ['good', 'Good', ' good', '4', 'خوب'])
                when 3 then pick(spelling, ['average', 'Average', '3', 'متوسط'])
                when 2 then pick(spelling, ['poor', 'Poor ', '2', 'ضعیف', 'ضعيف'])
                when 0 then pick(spelling, ['', 'n/a', 'ask me later', '1']) end as satisfaction
      from survey)
to $path (format json)
"""

# The CRM keeps instants, with their zone.
_PIPELINE = """
copy (select lead as "Lead", ['Lead', 'Qualified', 'Offer', 'Invoice', 'Won'][step] as "Stage",
             timezone('UTC', entered_at) as "Entered", channel as "Source", amount as "Value", customer as "Customer ID"
      from pipeline)
to $path (format parquet, compression zstd)
"""

_TARGETS = "copy targets to $path (format csv, header)"

FILES = {
    "orders.parquet": _ORDERS,
    "customers.csv": _CUSTOMERS,
    "costs.csv": _COSTS,
    "survey.jsonl": _SURVEY,
    "pipeline.parquet": _PIPELINE,
    "targets.csv": _TARGETS,
}
"""Each file, and the statement that writes it."""


def write(folder: Path, scale: float = 1.0) -> dict[str, int]:
    """Write the data into `folder`, made where needed; gives the rows of each table.

    `scale` multiplies rows: at 1.0 some 109,000 order lines of 60,000 orders, 5,000 customers, 12,000 answers.
    """
    with built(scale) as connection:
        return copy_out(connection, folder, FILES)
