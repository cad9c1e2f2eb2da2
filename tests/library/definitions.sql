-- The KPI library's definitions in SQL of another hand: views, then for each case the metrics, what they are asked by,
-- and a statement that gives the same rows.

create view bought as
    select distinct customer_id, date_trunc('month', ordered_at)::date as month
    from orders where customer_id is not null and ordered_at is not null;
create view came as
    select lead_id, min(entered_at) as began, date_trunc('month', min(entered_at))::date as month
    from pipeline where stage = 'lead' and lead_id is not null group by 1;
create view reached as
    select lead_id, stage, min(entered_at) as moment, max(amount) as amount from pipeline group by 1, 2;
create view stages as
    select c.*, prospect.moment as prospect, proforma.moment as proforma, invoice.moment as invoice, won.moment as won,
        won.amount as won_amount, proforma.amount as quoted
    from came c
    left join reached prospect on prospect.lead_id = c.lead_id and prospect.stage = 'prospect'
    left join reached proforma on proforma.lead_id = c.lead_id and proforma.stage = 'proforma'
    left join reached invoice on invoice.lead_id = c.lead_id and invoice.stage = 'invoice'
    left join reached won on won.lead_id = c.lead_id and won.stage = 'customer';
create view forms as
    select date_trunc('month', responded_at)::date as month,
        case when nps >= 0 and nps <= 10 and nps % 1 = 0 then
            case when nps >= 9 then 'P' when nps >= 7 then 'N' else 'D' end end as side,
        case trim(csat)
            when 'Excellent' then 5 when 'excellent' then 5 when 'عالي' then 5 when 'عالی' then 5 when '۵' then 5
            when 'GOOD' then 4 when 'good' then 4 when 'خوب' then 4 when '4' then 4
            when 'Average' then 3 when 'متوسط' then 3 when '3' then 3
            when 'poor' then 2 when 'ضعيف' then 2 end as mark
    from survey;

-- case: orders by month
select date_trunc('month', ordered_at)::date as month, count(*)
from (select distinct order_id, ordered_at from orders where order_id is not null) group by 1;

-- case: revenue,buyers by channel
select channel, sum(amount), sum((customer_id is not null and place = 1)::int)
from (select *, row_number() over (partition by channel, customer_id order by amount) as place from orders) group by 1;

-- case: aov,purchase_frequency by quarter
select date_trunc('quarter', ordered_at)::date as quarter, sum(amount) / count(distinct order_id),
    count(distinct order_id) / nullif(count(distinct customer_id), 0)
from orders group by 1;

-- case: aov by none
select sum(amount) / (select count(*) from (select order_id from orders where order_id is not null group by 1)) from orders;

-- case: new_customers by month
select date_trunc('month', acquired_at)::date as month, count(*) from customers group by 1;

-- case: repeat_rate by none
select avg((days > 1)::int)
from (select customer_id, count(distinct ordered_at::date) as days from orders where customer_id is not null group by 1);

-- case: repeat_rate by quarter
select quarter, count(*) filter (where first_day < last_day) / count(*)
from (select date_trunc('quarter', ordered_at)::date as quarter, customer_id, min(ordered_at)::date as first_day,
    max(ordered_at)::date as last_day from orders where customer_id is not null group by 1, 2)
group by 1;

-- case: churn_rate,customer_lifespan by month
select this.month, avg((again.customer_id is null)::int), 1 / nullif(avg((again.customer_id is null)::int), 0)
from (select distinct month from bought) this
join bought before on before.month = this.month - interval 1 month
left join bought again on again.month = this.month and again.customer_id = before.customer_id
group by 1;

-- case: returning_revenue_share,returning_revenue,new_revenue by month
select date_trunc('month', ordered_at)::date as month, sum(later) / nullif(sum(amount), 0), sum(later),
    sum(amount) - sum(later)
from (select o.*, case when ordered_at::date > f.first_day then amount else 0 end as later from orders o
    left join (select customer_id, min(ordered_at)::date as first_day from orders group by 1) f using (customer_id))
group by 1;

-- case: acquisition_cost,cac by channel
select coalesce(spent.channel, won.channel), amount, amount / nullif(customers, 0)
from (select channel, sum(amount) as amount from costs where coalesce(lower(trim(category)), '') <> 'planned' group by 1) spent
full join (select channel, count(*) as customers from customers group by 1) won
    on coalesce(spent.channel, 'none') = coalesce(won.channel, 'none');

-- case: cac_paid by none
select (select sum(amount) from costs where lower(trim(category)) in ('advertising', 'commission'))
    / (select count(*) from customers);

-- case: cac by quarter
select coalesce(spent.quarter, won.quarter), amount / nullif(customers, 0)
from (select coalesce(date_trunc('quarter', spent_at)::date, '1900-01-01') as quarter, sum(amount) as amount from costs
    where coalesce(lower(trim(category)), '') <> 'planned' group by 1) spent
full join (select coalesce(date_trunc('quarter', acquired_at)::date, '1900-01-01') as quarter, count(*) as customers
    from customers group by 1) won using (quarter)
where quarter > '1900-01-01'
union all
select null, (select sum(amount) from costs where spent_at is null and coalesce(lower(trim(category)), '') <> 'planned')
    / (select count(*) from customers where acquired_at is null);

-- case: cac_by_category by category
select category, sum(amount) / (select count(*) from customers) from costs
where coalesce(lower(trim(category)), '') <> 'planned' group by 1;

-- case: nps,nps_promoters,nps_passives,nps_detractors,nps_responses by month
select month, 100 * avg(case side when 'P' then 1 when 'N' then 0 else -1 end), count(*) filter (where side = 'P'),
    count(*) filter (where side = 'N'), count(*) filter (where side = 'D'), count(*)
from forms where side is not null group by 1;

-- case: nps_invalid,csat_invalid by month
select month, count(*) - count(side), count(*) - count(mark) from forms group by 1;

-- case: csat,csat_mean,csat_responses by month
select month, avg((mark >= 4)::int), avg(mark), count(mark) from forms where mark is not null group by 1;

-- case: csat,nps by year
select date_trunc('year', month)::date as year, avg((mark >= 4)::int) filter (where mark is not null),
    100 * avg(case side when 'P' then 1 when 'N' then 0 when 'D' then -1 end)
from forms group by 1;

-- case: leads,win_rate,won_leads,open_leads by month
select month, count(*), count(won) / count(*), count(won), count(*) - count(won) from stages group by 1;

-- case: proforma_to_invoice_rate,lead_to_invoice_rate by month
select month, count(invoice) filter (where proforma is not null) / nullif(count(proforma), 0), count(invoice) / count(*)
from stages group by 1;

-- case: prospects by month
select date_trunc('month', moment)::date as month, count(*) from reached where stage = 'prospect' group by 1;

-- case: won_amount_mean,days_to_win,pipeline_velocity by month
select month, amount, days, open * rate * amount / nullif(days, 0)
from (select month, avg(won_amount) as amount, avg(epoch(won - began) / 86400) filter (where won >= began) as days,
    count(*) - count(won) as open, count(won) / count(*) as rate from stages group by 1);

-- case: pipeline_velocity by none
select (count(*) - count(won)) * (count(won) / count(*)) * avg(won_amount)
    / (avg(epoch(won - began)) filter (where won >= began) / 86400)
from stages;

-- case: proforma_to_invoice_amount_rate by quarter
select date_trunc('quarter', month)::date as quarter, sum(quoted) filter (where invoice is not null) / nullif(sum(quoted), 0)
from stages group by 1;

-- case: days_to_prospect,days_to_proforma,days_to_invoice,days_to_customer by none
select avg(epoch(prospect - began)) filter (where prospect >= began) / 86400,
    avg(epoch(proforma - prospect)) filter (where proforma >= prospect) / 86400,
    avg(epoch(invoice - proforma)) filter (where invoice >= proforma) / 86400,
    avg(epoch(won - invoice)) filter (where won >= invoice) / 86400
from stages;

-- case: open_pipeline_leads,open_pipeline_amount,open_pipeline_age_days by none
select count(*), sum(coalesce(last_amount, largest)), avg(epoch(newest - last_moment)) / 86400
from (select p.lead_id, max(p.amount) filter (where entered_at = last_moment) as last_amount, max(p.amount) as largest,
        any_value(last_moment) as last_moment, any_value(newest) as newest
    from pipeline p join (select lead_id, max(entered_at) as last_moment from pipeline group by 1) l using (lead_id),
        (select max(entered_at) as newest from pipeline)
    group by 1 having not bool_or(stage = 'customer'));
