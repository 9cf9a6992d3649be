-- The catalog: a row for each file at home, what is inside it, and how it was made.
-- Whoever reads it with a program of their own reads the views at the end.

create table files (
    -- When it landed, in tenths of a millisecond since 1970, or shortly after where that is taken: newest first needs no sorting.
    id integer primary key,
    -- Of the path at home: blake2b, 16 bytes. One file at home is one row.
    key blob not null unique,
    target text not null,
    manifest text not null,
    path text not null,
    path_raw blob,      -- the path at the source as it is, where it is not UTF-8
    home text not null,
    home_raw blob,      -- the path at home as it is, where it is not UTF-8
    size_bytes integer not null,
    sha256 text not null,
    mtime_ns integer not null,
    landed_at_ns integer not null,
    incomplete integer not null,
    removed_at_ns integer,  -- when it was removed at its source; at home it stays
    kind text,          -- image, video, audio, mesh, other; null: nobody has looked into it
    format text,
    width integer,
    height integer,
    duration_s real,
    fps real,
    frames integer
);

create table generations (
    file_id integer primary key references files (id) on delete cascade on update cascade,
    generator text not null,
    version text,
    prompt text,
    negative_prompt text,
    seed text,          -- decimal digits: seeds go to 2^64-1
    steps integer,
    cfg real,
    sampler text,
    scheduler text,
    width integer,      -- what the generator was asked for
    height integer,
    denoise real,
    clip_skip integer,
    vae text,
    prompts text,       -- several texts that were combined, as a JSON list; null: there is one prompt, or none
    seeds text not null,        -- of all passes, as a JSON list
    samplings text,     -- all passes as a JSON list
    settings text       -- what else the generator named, as a JSON list of pairs
);

-- Each model once, by name and hash; '' where one of them is unknown.
create table models (
    id integer primary key,
    name text not null,
    hash text not null,
    unique (name, hash)
);

-- Which models took part, the main one at position 0.
create table used_models (
    file_id integer not null references generations (file_id) on delete cascade on update cascade,
    position integer not null,
    model_id integer not null references models (id),
    primary key (file_id, position)
) without rowid;

create table loras (
    file_id integer not null references generations (file_id) on delete cascade on update cascade,
    position integer not null,
    name text not null,
    weight real,
    hash text,
    primary key (file_id, position)
) without rowid;

-- The words of the prompts, and each file's target, kind, seeds and models as words of their own (catalog/document.py). It has no
-- texts of its own, which would double the file; taking a row out needs the words that went in. Beginnings of 1 to 3 letters
-- are kept as well: for `c*` the lists of all words that begin so would have to be merged (0.4 s of 840,000 files, measured).
create virtual table search using fts5 (
    prompt, facets, content = '', columnsize = 0, prefix = '1 2 3', tokenize = 'unicode61 remove_diacritics 2'
);

create view forged_files as
select id, target, manifest, path, path_raw, home, home_raw, size_bytes, sha256,
       strftime('%Y-%m-%dT%H:%M:%fZ', mtime_ns / 1e9, 'unixepoch') as mtime,
       strftime('%Y-%m-%dT%H:%M:%fZ', landed_at_ns / 1e9, 'unixepoch') as landed_at,
       incomplete,
       strftime('%Y-%m-%dT%H:%M:%fZ', removed_at_ns / 1e9, 'unixepoch') as removed_at,
       kind, format, width, height, duration_s, fps, frames
from files;

create view forged_generations as
select g.file_id, f.home, g.generator, g.version, g.prompt, g.negative_prompt, g.seed, g.steps, g.cfg, g.sampler, g.scheduler,
       nullif(m.name, '') as model, nullif(m.hash, '') as model_hash, g.width, g.height, g.denoise, g.clip_skip, g.vae,
       g.prompts, g.samplings, g.settings
from generations g
join files f on f.id = g.file_id
left join used_models u on u.file_id = g.file_id and u.position = 0
left join models m on m.id = u.model_id;

create view forged_models as
select u.file_id, u.position, nullif(m.name, '') as name, nullif(m.hash, '') as hash
from used_models u join models m on m.id = u.model_id;

create view forged_loras as
select file_id, position, name, weight, hash from loras;
