-- The equity account of a currency owes the sum of all opening balances, which may be much more than one
-- account holds: up to 10^40 units. With the same scale no row is written anew.
alter table funds alter column balance type numeric(58, 18);
alter table transfers alter column source_balance type numeric(58, 18),
    alter column destination_balance type numeric(58, 18);
