-- The dictionary names words with digits too: by the letters before the first digit, with a 0
-- behind. Those of the items that are there already come from their lexemes, which begin with the
-- number of their user and an underscore.
insert into words ("user", word)
select distinct t."user", substring(split_part(l.lexeme, '_', 2) from '^[^0-9]+')
    || case when l.lexeme ~ '_[^0-9]+[0-9]' then '0' else '' end
from transactions t
cross join lateral unnest(tsvector_to_array(t.search)) as l (lexeme)
where l.lexeme ~ '_[^0-9]'
on conflict do nothing;

-- Items that the index would have otherwise now, there until they are indexed anew: texts are folded
-- otherwise, empty lists and objects are seen, and withdrawals show the end of an IBAN. In sealed values
-- there may be any of these.
create table outdated (id uuid primary key);

insert into outdated (id)
select id from transactions
where octet_length(metadata::text) > length(metadata::text)
    or strpos(metadata::text, '\u') > 0
    or strpos(metadata::text, '"' || chr(127)) > 0
    or strpos(metadata::text, '[]') > 0
    or (strpos(metadata::text, '{}') > 0 and metadata::text <> '{}')
    or (type = 'withdrawal' and strpos(metadata::text, '"iban"') > 0);
