-- Those who read the event log and remember how far they are. Each has one owner at a time, who
-- must renew the lease before it ends by the server's clock. The same number and name as the
-- embedded store's.
create table followers (
    name text collate "C" primary key,
    position bigint not null, -- the newest event that is done
    owner text not null,
    lease_until timestamptz not null
);
