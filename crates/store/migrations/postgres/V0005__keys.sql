-- API keys of services: a keyed hash of each secret, never a secret. The same number and name as the
-- embedded store's.
create table api_keys (
    id bigint primary key,
    hash bytea not null,
    previous bytea, -- of the secret before, which opens too
    previous_until bigint,
    body text not null, -- what is published of the key
    seq bigint not null,
    used_at bigint
);
