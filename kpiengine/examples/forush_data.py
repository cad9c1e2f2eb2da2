"""The data of the example project `forush` (فروش): the shop in Tehran, a third of its size, in Persian."""

from __future__ import annotations

from pathlib import Path

from kpiengine.examples.shop import built, copy_out

_PERSIAN = """
create macro channel_fa(name) as case name when 'web' then 'وب‌سایت' when 'store' then 'فروشگاه'
    when 'marketplace' then 'بازارگاه' when 'partner' then 'نماینده' when 'phone' then 'تلفن'
    when 'radio' then 'رادیو' end;
create macro rial(amount) as (amount * 600000)::bigint;
"""

_ORDERS = """
copy (select number as "شماره فاکتور", line as "ردیف", customer as "کد مشتری", ordered_at as "زمان",
             product as "کالا", channel_fa(channel) as "کانال", quantity as "تعداد", rial(price) as "قیمت واحد",
             rial(cost) as "بهای تمام‌شده",
             case status when 'completed' then 'تکمیل' when 'cancelled' then 'لغو' when 'refunded' then 'برگشت'
                 end as "وضعیت"
      from lines)
to $path (format parquet, compression zstd)
"""

_CUSTOMERS = """
copy (select id as "کد مشتری", name_fa as "نام",
             case when u(id, 91) < 0.5 then 'تهران' when u(id, 91) < 0.7 then 'اصفهان'
             when u(id, 91) < 0.85 then 'شیراز' when u(id, 91) < 0.97 then 'تبریز' end as "شهر",
             channel_fa(channel) as "کانال جذب", acquired as "تاریخ جذب"
      from customers)
to $path (format csv, header)
"""

_COSTS = """
copy (select day as "تاریخ", channel_fa(channel) as "کانال",
             case category when 'advertising' then 'تبلیغات' when 'commission' then 'پورسانت'
                 when 'lead' then 'خرید سرنخ'
                 when 'salary' then 'حقوق' when 'technical' then 'فنی' when 'content' then 'محتوا'
                 when 'maintenance' then 'نگهداری' when 'planned' then 'برنامه' end as "دسته",
             rial(amount) as "مبلغ"
      from costs)
to $path (format csv, header)
"""

_SURVEY = """
copy (select id as "شماره", answered_at as "زمان", customer as "کد مشتری", nps as "معرفی",
             case csat when 5 then pick(spelling, ['عالی', 'عالي', ' عالی']) when 4 then pick(spelling, ['خوب', 'خوب '])
                 when 3 then 'متوسط' when 2 then pick(spelling, ['ضعیف', 'ضعيف'])
                 when 0 then pick(spelling, ['-', 'نمی‌دانم']) end as "رضایت"
      from survey)
to $path (format csv, header)
"""

_PIPELINE = """
copy (select lead as "سرنخ", ['سرنخ', 'مشتری احتمالی', 'پیش‌فاکتور', 'فاکتور', 'مشتری'][step] as "مرحله",
             entered_at as "زمان", channel_fa(channel) as "کانال", rial(amount) as "مبلغ"
      from pipeline)
to $path (format csv, header)
"""

FILES = {
    "orders.parquet": _ORDERS,
    "customers.csv": _CUSTOMERS,
    "costs.csv": _COSTS,
    "survey.csv": _SURVEY,
    "pipeline.csv": _PIPELINE,
}
"""Each file, and the statement that writes it."""


def write(folder: Path, scale: float = 1.0) -> dict[str, int]:
    """Write the data into `folder`, made where needed; gives the rows of each table."""
    with built(scale / 3) as connection:
        connection.execute(_PERSIAN)
        return copy_out(connection, folder, FILES)
