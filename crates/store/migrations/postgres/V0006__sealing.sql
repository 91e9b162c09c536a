-- The ring of keys that sealed values in the books need; no row before anything is sealed. The keys
-- themselves are kept outside of the books. The same number and name as the embedded store's.
create table sealing (
    ring bytea not null,
    fields text not null -- the names of fields that deployments added, as JSON: what was sealed once always is
);
