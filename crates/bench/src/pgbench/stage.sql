-- Takes the rows that Daybook has just recorded aside, numbered, and empties its table of items, so
-- that what is inserted again are the very rows of Daybook, with nothing left to compute.
create table staged as
    select row_number() over (order by id) as place, t.* from transactions t;
alter table staged add primary key (place);
truncate transactions;
vacuum analyze staged;
checkpoint;
