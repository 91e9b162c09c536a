-- The hash chain of the event log: SHA-256 over the event and the link of the one before it. Events
-- that were there before get theirs when the migration is made.
alter table events add column link blob;
-- There until they have theirs.
create table unlinked (events integer) strict;
