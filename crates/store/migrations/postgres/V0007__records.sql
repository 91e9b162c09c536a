-- What a record's source says about how new it is, and whether the side of an item was said: then it
-- stays when the metadata changes. Of older items a side that was said is one that differs from what
-- their metadata says.
alter table transactions add column side_given boolean not null default false;
alter table transactions add column source_version bigint;
alter table transactions add column source_updated_at bigint;
