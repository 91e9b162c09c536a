-- The ledger: accounts, their money, and the transfers between them. The same numbers and names as
-- the embedded store's.

-- An account, without its money. The equity account of a currency has a negative number.
create table accounts (
    account bigint primary key,
    "user" bigint,
    currency text not null,
    digits smallint not null,
    name text,
    metadata json not null,
    status text not null,
    overdraft numeric(38, 18), -- null is without limit
    version integer not null,
    created_at bigint not null,
    updated_at bigint,
    seq bigint not null
);

create index accounts_user on accounts ("user", account) where "user" is not null;

-- The money of an account: what changes with every transfer, in as little space as possible. Its
-- transfers are linked, newest first, as their money moved and as they were submitted. Half of
-- each page stays free, so that a change finds room beside the old row and touches no index.
create table funds (
    account bigint primary key,
    balance numeric(38, 18) not null,
    pending_in numeric(38, 18) not null,
    pending_out numeric(38, 18) not null,
    posted_last bigint,
    posted_count bigint not null,
    posted_at bigint not null,
    listed_last bigint,
    listed_count bigint not null
) with (fillfactor = 50);

-- A transfer is its own journal entry: the balances after it, and for each account the number of
-- the entry before it. So rows are only ever added at the end.
create table transfers (
    number bigint primary key,
    id uuid not null,
    status text not null,
    source bigint not null,
    destination bigint not null,
    currency text not null,
    digits smallint not null,
    amount numeric(38, 18) not null,
    held numeric(38, 18),
    reference text,
    metadata json not null,
    expires_in bigint,
    expires_at bigint,
    execute_at bigint,
    rolls_back uuid,
    rolled_back_by uuid,
    retry_count integer not null,
    last_error text,
    last_attempt bigint,
    next_attempt bigint,
    posted_at bigint,
    source_balance numeric(38, 18),
    source_previous bigint,
    destination_balance numeric(38, 18),
    destination_previous bigint,
    is_shown boolean not null,
    source_earlier bigint,
    destination_earlier bigint,
    version integer not null,
    created_at bigint not null,
    updated_at bigint,
    seq bigint not null,
    due bigint
);

create unique index transfers_id on transfers (id);
create unique index transfers_reference on transfers (reference, source)
    where reference is not null;
create index transfers_due on transfers (due) where due is not null;
-- All but complete ones are rare, and lists of them are asked for.
create index transfers_rare on transfers (status, number) where status <> 'complete';

-- Every 64th transfer of an account in either order: found by the time of its posting (sequence
-- 0) or by its number (sequence 1).
create table marks (
    account bigint not null,
    sequence smallint not null,
    key bigint not null,
    number bigint not null,
    primary key (account, sequence, key, number)
);

-- The transfer that a feed item shows.
alter table transactions add column transfer uuid;
