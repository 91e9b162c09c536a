-- The balance of the equity account of a currency may take more than 16 bytes from here on, which an
-- earlier Daybook could not read. The columns hold any number of bytes.
select 1;
