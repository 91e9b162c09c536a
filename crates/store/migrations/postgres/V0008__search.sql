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
