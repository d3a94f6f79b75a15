-- The New York flights of 2013, as a database would hold them. `dev/demo/flights` puts the data after this file, constraints.sql after the
-- data, and all into one transaction, so that there is never half a load.
set role flights_owner;

create table airlines (
    carrier text primary key,
    name    text not null
);

create table airports (
    faa   text primary key,
    name  text not null,
    lat   double precision not null,
    lon   double precision not null,
    alt   integer not null,
    tz    integer,
    dst   text,
    tzone text
);

create table planes (
    tailnum      text primary key,
    year         integer,
    type         text not null,
    manufacturer text not null,
    model        text not null,
    engines      integer not null,
    seats        integer not null,
    speed        integer,
    engine       text not null
);

create table weather (
    origin     text not null,
    year       integer not null,
    month      integer not null,
    day        integer not null,
    hour       integer not null,
    temp       double precision,
    dewp       double precision,
    humid      double precision,
    wind_dir   integer,
    wind_speed double precision,
    wind_gust  double precision,
    precip     double precision,
    pressure   double precision,
    visib      double precision,
    time_hour  timestamptz not null
);

create table flights (
    id             bigint generated always as identity,
    year           integer not null,
    month          integer not null,
    day            integer not null,
    dep_time       integer,
    sched_dep_time integer not null,
    dep_delay      integer,
    arr_time       integer,
    sched_arr_time integer not null,
    arr_delay      integer,
    carrier        text not null,
    flight         integer not null,
    tailnum        text,
    origin         text not null,
    dest           text not null,
    air_time       integer,
    distance       integer not null,
    hour           integer not null,
    minute         integer not null,
    time_hour      timestamptz not null
);
