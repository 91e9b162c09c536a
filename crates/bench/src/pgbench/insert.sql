-- One item a transaction, into Daybook's own table with all of its indexes. Each client takes the
-- next of its own rows, so that no row is taken twice.
\set n :n + 1
\set place (:n - 1) * :clients + :client_id + 1
insert into transactions select s.id, s."user", s.type, s.product, s.status, s.side,
    s.currency, s.digits, s.amount, s.metadata, s.source, s.external_id, s.version,
    s.created_at, s.recorded_at, s.updated_at, s.seq, s.search, s.transfer
    from staged s where place = :place;
