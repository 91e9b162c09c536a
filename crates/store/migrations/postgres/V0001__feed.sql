-- The feed: users, their items, the event log, statistics, replies and the search index. The same
-- numbers and names as the embedded store's.

-- Every table names a user by a small number. Names sort by their bytes, on every server alike.
create table users (
    "user" bigint generated always as identity primary key,
    name text collate "C" not null unique
);

-- An item. Its metadata is the text that was sent: JSON as jsonb would lose the order of keys, the
-- digits of large numbers and the character NUL.
create table transactions (
    id uuid primary key,
    "user" bigint not null,
    type text not null,
    product text not null,
    status text not null,
    side text not null,
    currency text not null,
    digits smallint not null,
    amount numeric(38, 18) not null,
    metadata json not null,
    source text,
    external_id text,
    version integer not null,
    created_at bigint not null,
    recorded_at bigint not null,
    updated_at bigint,
    seq bigint not null,
    search tsvector not null
);

create index transactions_feed on transactions ("user", created_at desc, id desc);
create unique index transactions_external on transactions ("user", source, external_id)
    where external_id is not null;
-- Words and filter terms, each prefixed with its user's number, so that a list belongs to one user.
create index transactions_search on transactions using gin (search);

-- What happened, in commit order: the outbox that every follower reads.
create table events (
    seq bigint primary key,
    event_type text not null,
    at bigint not null,
    "user" bigint not null,
    subject bytea not null,
    version integer not null,
    previous bigint,
    body text not null
);

-- The events of each user's items.
create index events_user on events ("user", seq)
    where event_type in ('transaction.created', 'transaction.updated', 'transaction.deleted');
-- The history of an item that is gone begins at its last event.
create index events_deleted on events (subject) where event_type = 'transaction.deleted';

-- Statistics of a user in a currency: of a month (day 0) and of each of its days.
create table statistics (
    "user" bigint not null,
    currency text collate "C" not null,
    digits smallint not null,
    month integer not null,
    day smallint not null,
    updated_at bigint not null,
    sums bytea not null,
    counts bytea not null,
    slots bytea,
    primary key ("user", currency, digits, month, day)
);

-- A question in whole months reads them without their days.
create index statistics_months on statistics ("user", currency, digits, month) where day = 0;

-- Answers that a repeated request gets again.
create table replies (
    scope bytea primary key,
    at bigint not null,
    body text not null
);

create index replies_at on replies (at);

-- The dictionary of each user, for beginnings of words and typos.
create table words (
    "user" bigint not null,
    word text collate "C" not null,
    primary key ("user", word)
);
