-- API keys of services: a keyed hash of each secret, never a secret.
create table api_keys (
    id integer primary key,
    hash blob not null,
    previous blob, -- of the secret before, which opens too
    previous_until integer,
    body text not null, -- what is published of the key
    seq integer not null,
    used_at integer
) strict;
