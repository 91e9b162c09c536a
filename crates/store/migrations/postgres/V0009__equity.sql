-- The equity account of a currency owes the sum of all opening balances, which may be much more than one
-- account holds: up to 10^40 units. With the same scale no row is written anew.
alter table funds alter column balance type numeric(58, 18);
alter table transfers alter column source_balance type numeric(58, 18),
    alter column destination_balance type numeric(58, 18);
-- Work that one of all processes does: each has one owner at a time, who must renew the lease before it
-- ends by the server's clock. No part of the books.
create table leases (
    name text collate "C" primary key,
    owner text not null,
    lease_until timestamptz not null,
    note text not null -- the owner's last words about the work
);
