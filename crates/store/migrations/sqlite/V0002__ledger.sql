-- The ledger: accounts, their money, and the transfers between them.

-- An account, without its money. Amounts are as few big-endian bytes of two's complement as they
-- need, in 10^-18 units. The equity account of a currency has a negative number.
create table accounts (
    account integer primary key,
    user integer,
    currency text not null,
    digits integer not null,
    name text,
    metadata text not null,
    status text not null,
    overdraft blob, -- null is without limit
    version integer not null,
    created_at integer not null,
    updated_at integer,
    seq integer not null
) strict;

create index accounts_user on accounts (user, account) where user is not null;

-- The money of an account: what changes with every transfer, in as little space as possible. Its
-- transfers are linked, newest first, as their money moved and as they were submitted.
create table funds (
    account integer primary key,
    balance blob not null,
    pending_in blob not null,
    pending_out blob not null,
    posted_last integer,
    posted_count integer not null,
    posted_at integer not null,
    listed_last integer,
    listed_count integer not null
) strict;

-- A transfer is its own journal entry: the balances after it, and for each account the number of
-- the entry before it. So rows are only ever added at the end.
create table transfers (
    number integer primary key,
    id blob not null,
    status text not null,
    source integer not null,
    destination integer not null,
    currency text not null,
    digits integer not null,
    amount blob not null,
    held blob,
    reference text,
    metadata text not null,
    expires_in integer,
    expires_at integer,
    execute_at integer,
    rolls_back blob,
    rolled_back_by blob,
    retry_count integer not null,
    last_error text,
    last_attempt integer,
    next_attempt integer,
    posted_at integer,
    source_balance blob,
    source_previous integer,
    destination_balance blob,
    destination_previous integer,
    is_shown integer not null,
    source_earlier integer,
    destination_earlier integer,
    version integer not null,
    created_at integer not null,
    updated_at integer,
    seq integer not null,
    due integer
) strict;

create unique index transfers_id on transfers (id);
create unique index transfers_reference on transfers (reference, source)
    where reference is not null;
create index transfers_due on transfers (due) where due is not null;
-- All but complete ones are rare, and lists of them are asked for.
create index transfers_rare on transfers (status, number) where status <> 'complete';

-- Every 64th transfer of an account in either order: found by the time of its posting (sequence
-- 0) or by its number (sequence 1).
create table marks (
    account integer not null,
    sequence integer not null,
    key integer not null,
    number integer not null,
    primary key (account, sequence, key, number)
) strict, without rowid;

-- The transfer that a feed item shows.
alter table transactions add column transfer blob;
