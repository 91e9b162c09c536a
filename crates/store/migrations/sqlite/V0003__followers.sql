-- Those who read the event log and remember how far they are. Only one process has the file open,
-- so who owns a follower is known in memory.
create table followers (
    name text primary key,
    position integer not null -- the newest event that is done
) strict, without rowid;
