-- The dictionary names words with digits too: by the letters before the first digit, with a 0
-- behind. Those of the items that are there already come from the index, whose terms begin with the
-- number of their user, in base 36, and an underscore.
create virtual table temp.terms using fts5vocab (main, search, row);

insert or ignore into words (user, word)
with recursive
    digits (all_of_them) as (values ('0123456789abcdefghijklmnopqrstuvwxyz')),
    parts (user, rest, prefix) as (
        select user, user / 36, substr(all_of_them, user % 36 + 1, 1) from users, digits
        union all
        select user, rest / 36, substr(all_of_them, rest % 36 + 1, 1) || prefix
        from parts, digits
        where rest > 0
    ),
    found (user, word) as (
        select p.user, substr(t.term, length(p.prefix) + 2)
        from parts p
        join temp.terms t on t.term > p.prefix || '_' and t.term < p.prefix || '`'
        where p.rest = 0
    ),
    first_digit (user, word, place) as (
        select user, word, coalesce((
            select min(instr(word, n.value)) from json_each('[0,1,2,3,4,5,6,7,8,9]') n
            where instr(word, n.value) > 0
        ), 0)
        from found
    )
select distinct user, iif(place = 0, word, substr(word, 1, place - 1) || '0')
from first_digit
where place <> 1;

drop table temp.terms;

-- Items that the index would have otherwise now, there until they are indexed anew: texts are folded
-- otherwise, empty lists and objects are seen, and withdrawals show the end of an IBAN. In sealed values
-- there may be any of these.
create table outdated (pos integer primary key) strict;

insert into outdated (pos)
select pos from transactions
where length(cast(metadata as blob)) > length(metadata)
    or instr(metadata, '\u') > 0
    or instr(metadata, '"' || char(127)) > 0
    or instr(metadata, '[]') > 0
    or (instr(metadata, '{}') > 0 and metadata <> '{}')
    or (type = 'withdrawal' and instr(metadata, '"iban"') > 0);
