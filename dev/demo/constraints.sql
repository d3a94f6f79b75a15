-- What comes after the data: keys, views, rights.
alter table weather add primary key (origin, time_hour);
alter table weather add foreign key (origin) references airports;

alter table flights add primary key (id);
alter table flights add foreign key (carrier) references airlines;
alter table flights add foreign key (origin) references airports;
-- Four airports in Puerto Rico and the Virgin Islands, and some planes, are not in their tables. Such constraints exist in every
-- database that has lived for a while, and a backup must bring them back as they are.
alter table flights add foreign key (dest) references airports not valid;
alter table flights add foreign key (tailnum) references planes not valid;
create index on flights (time_hour);
create index on flights (tailnum) where tailnum is not null;

create sequence bookings start with 4711 increment by 10;
select nextval('bookings');

create view delays as
    select a.name as airline, count(*) as flights, round(avg(f.arr_delay), 1) as mean_arrival_delay
    from flights f join airlines a using (carrier)
    group by a.name;
create materialized view busiest_routes as
    select origin, dest, count(*) as flights from flights group by origin, dest;
create unique index on busiest_routes (origin, dest);

comment on table flights is 'All flights that left New York in 2013';
comment on column flights.dep_delay is 'minutes; negative is early';

-- A large object: pg_read_all_data does not open these, each needs a right of its own.
select lo_from_bytea(2013, convert_to(string_agg(name, E'\n' order by name), 'UTF8')) as opened from airports;
grant select on large object 2013 to backup_demo;

grant usage on schema public to flights_app;
grant select, insert, update, delete on all tables in schema public to flights_app;
grant usage on sequence bookings to flights_app;
reset role;
analyze;
