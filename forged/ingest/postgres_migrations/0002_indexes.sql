-- What thousands of rows share (a model, a LoRA, a seed that somebody keeps) makes a hash index walk
-- through all of them for each new row: 51 us at 320,000 rows, where a btree takes 3 (PostgreSQL 15).
-- A btree refuses values above 2,704 bytes, so the columns hold the beginning of what is longer.

drop index forged.generations_model;
drop index forged.generations_seed;
drop index forged.loras_name;

-- A new index takes in what this transaction has just replaced, too: the tables are written anew (by `using`).
do $$ begin
    if exists (select from forged.generations where length(model) > 500 or length(seed) > 500) then
        update forged.generations set model = left(model, 500), seed = left(seed, 500)
        where length(model) > 500 or length(seed) > 500;
        alter table forged.generations alter column graph type text using graph || '';
    end if;
    if exists (select from forged.loras where length(name) > 500) then
        update forged.loras set name = left(name, 500) where length(name) > 500;
        alter table forged.loras alter column hash type text using hash || '';
    end if;
end $$;

create index generations_model on forged.generations (model);
create index generations_seed on forged.generations (seed);
create index loras_name on forged.loras (name);

-- New words wait in a list until there are 16 MB of them instead of 4, and go into the index together:
-- less than half the work for each prompt. Searches look through the list as well.
alter index forged.generations_search set (gin_pending_list_limit = 16384);

comment on column forged.generations.model is 'The beginning of it: 500 characters.';
comment on column forged.generations.seed is 'Decimal digits: seeds go to 2^64-1. 500 characters at most.';
comment on column forged.loras.name is 'The beginning of it: 500 characters.';
