-- The feed: users, their items, the event log, statistics, replies and the search index.

-- Every table names a user by a small number.
create table users (
    user integer primary key,
    name text not null unique
) strict;

-- An item. Its row number begins with the second in which it happened, so that the table and the
-- postings of the search index, which share it, lie in the order in which people read.
create table transactions (
    pos integer primary key,
    id blob not null,
    user integer not null,
    type text not null,
    product text not null,
    status text not null,
    side text not null,
    currency text not null,
    digits integer not null,
    amount blob not null,
    metadata text not null,
    source text,
    external_id text,
    version integer not null,
    created_at integer not null,
    recorded_at integer not null,
    updated_at integer,
    seq integer not null
) strict;

create unique index transactions_id on transactions (id);
create index transactions_feed on transactions (user, created_at desc, id desc);
create unique index transactions_external on transactions (user, source, external_id)
    where external_id is not null;

-- What happened, in commit order: the outbox that every follower reads.
create table events (
    seq integer primary key,
    event_type text not null,
    at integer not null,
    user integer not null,
    transaction_id blob not null,
    version integer not null,
    previous integer,
    body text not null
) strict;

-- The events of each user: one token per event, the user's, under the event's number. Postings are
-- written in pieces and merged, which is much cheaper than a row in a random place of an index.
create virtual table events_user using fts5 (
    user,
    content = '',
    columnsize = 0,
    detail = none,
    tokenize = "ascii"
);

-- The history of an item that is gone begins at its last event.
create index events_deleted on events (transaction_id)
    where event_type = 'transaction.deleted';

-- Statistics of a user in a currency: of a month (day 0) and of each of its days, side by side, so
-- that one write touches one page. A month keeps no slots; its counts tell its days apart.
create table statistics (
    user integer not null,
    currency text not null,
    digits integer not null,
    month integer not null,
    day integer not null,
    updated_at integer not null,
    sums blob not null,
    counts blob not null,
    slots blob,
    primary key (user, currency, digits, month, day)
) strict, without rowid;

-- Answers that a repeated request gets again; numbered in time order, so that old ones go first.
create table replies (
    reply integer primary key,
    scope blob not null unique,
    at integer not null,
    body text not null
) strict;

-- The dictionary of each user, for beginnings of words and typos.
create table words (
    user integer not null,
    word text not null,
    primary key (user, word)
) strict, without rowid;

-- Postings of words and of filter terms, each prefixed with its user, under the row's number.
create virtual table search using fts5 (
    body,
    content = '',
    contentless_delete = 1,
    tokenize = "ascii tokenchars '_.'"
);
