-- The catalog: one row for each file at home, what is inside it, and how it was made.
-- Index sizes are bounded by hash indexes: a btree refuses a value above 2,704 bytes, and prompts come from boxes.

create table forged.files (
    id bytea primary key,
    manifest text not null,
    target text not null,
    path text not null,
    path_raw bytea,
    home text not null,
    home_raw bytea,
    size_bytes bigint not null,
    sha256 text not null,
    mtime_ns bigint not null,
    mtime timestamptz not null generated always as (to_timestamp(mtime_ns / 1e9)) stored,
    landed_at_ns bigint not null,
    landed_at timestamptz not null generated always as (to_timestamp(landed_at_ns / 1e9)) stored,
    incomplete boolean not null,
    removed_at timestamptz
);
create index files_landed_at on forged.files (landed_at desc);
create index files_sha256 on forged.files using hash (sha256);
create index files_home on forged.files using hash (home);

create table forged.media (
    file_id bytea primary key references forged.files on delete cascade,
    sha256 text not null,
    kind text not null,
    format text not null,
    width bigint,
    height bigint,
    duration_s double precision,
    fps double precision,
    frames bigint,
    problems jsonb not null,
    raw text not null,
    raw_json jsonb not null
);

-- lz4 takes a sixth off the work of writing (measured with PostgreSQL 15). A server built
-- without it, or before 14, packs as it always did.
do $$ begin
    alter table forged.media alter column raw set compression lz4, alter column raw_json set compression lz4;
exception when feature_not_supported or invalid_parameter_value or syntax_error then null;
end $$;

create table forged.generations (
    file_id bytea primary key references forged.media on delete cascade,
    generator text not null,
    version text,
    prompt text,
    negative_prompt text,
    seed text,
    steps bigint,
    cfg double precision,
    sampler text,
    scheduler text,
    model text,
    model_hash text,
    width bigint,
    height bigint,
    denoise double precision,
    clip_skip bigint,
    vae text,
    prompts jsonb not null,
    samplings jsonb not null,
    settings jsonb not null,
    origins jsonb not null,
    graph text,
    workflow text,
    searched text not null,
    search tsvector not null generated always as (to_tsvector('simple', searched)) stored
);
create index generations_search on forged.generations using gin (search);
create index generations_model on forged.generations using hash (model);
create index generations_seed on forged.generations using hash (seed);

create table forged.loras (
    file_id bytea not null references forged.generations on delete cascade,
    position integer not null,
    name text not null,
    weight double precision,
    hash text,
    primary key (file_id, position)
);
create index loras_name on forged.loras using hash (name);

create view forged.library as
select f.id, f.target, f.manifest, f.path, f.home, f.size_bytes, f.sha256, f.mtime, f.landed_at, f.incomplete, f.removed_at,
       m.kind, m.format, m.width, m.height, m.duration_s,
       g.generator, g.model, g.seed, g.prompt, g.negative_prompt, g.search
from forged.files f
left join forged.media m on m.file_id = f.id
left join forged.generations g on g.file_id = f.id;

comment on table forged.files is 'One row for each file at home.';
comment on column forged.files.id is 'sha256 of the bytes of the path at home.';
comment on column forged.files.path_raw is 'The path at the source as it is, where it is not UTF-8.';
comment on column forged.files.home_raw is 'The path at home as it is, where it is not UTF-8.';
comment on column forged.files.removed_at is 'When it was removed at its source; at home it stays.';
comment on table forged.media is 'What is known of a file''s inside.';
comment on column forged.media.sha256 is 'Of the content that was looked into.';
comment on column forged.media.raw is 'The raw blocks as JSON, untouched: [{"place", "text"}, ...].';
comment on column forged.media.raw_json is
    'The same by place, parsed where it is JSON; NaN and Infinity are null, NUL and half surrogates are U+FFFD.';
comment on table forged.generations is 'How a file was made, as its raw blocks say; null: they do not say.';
comment on column forged.generations.seed is 'Decimal digits: seeds go to 2^64-1.';
comment on column forged.generations.searched is 'What is searched for words: the prompts, or their beginning.';
comment on view forged.library is
    'All of it for people and programs: select home from forged.library where search @@ websearch_to_tsquery(''simple'', ''a cat'').';
