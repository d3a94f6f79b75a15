-- Exact rows of every table, and what else must have come back, one line each.
select format('%I.%I', schemaname, tablename) || ' ' ||
       (xpath('/row/n/text()', query_to_xml(format('select count(*) as n from %I.%I', schemaname, tablename), false, true, '')))[1]
from pg_tables where schemaname not in ('pg_catalog', 'information_schema')
union all select 'routes in busiest_routes ' || count(*) from busiest_routes
union all select 'airlines in delays ' || count(*) from delays
union all select 'next booking ' || (last_value + 10) from bookings
union all select 'bytes in large object 2013 ' || length(lo_get(2013))
union all select 'foreign keys ' || count(*) || ', not valid ' || count(*) filter (where not convalidated) from pg_constraint where contype = 'f' and connamespace = 'public'::regnamespace
order by 1;
