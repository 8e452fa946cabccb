// The first schema: registry, rollouts, routing, windows, outbox, evaluations, keys, audit.
// Times are timestamptz by the database's clock; code sees milliseconds since the epoch.
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Initial0001 implements MigrationInterface {
  name = 'Initial1700000000001';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
create table models (
  id uuid primary key,
  name text not null unique,
  stable_version_id uuid,
  default_plan jsonb not null default '{}',
  revision integer not null default 1,
  created_at timestamptz not null default now()
);

-- Immutable: a version is what was evaluated and what runs. The trigger below refuses any change.
create table versions (
  id uuid primary key,
  model_id uuid not null references models (id),
  label text not null,
  digest text not null check (digest ~ '^[0-9a-f]{64}$'),
  spec jsonb not null,
  lineage jsonb not null default '{}',
  created_by text not null,
  created_at timestamptz not null default now(),
  unique (model_id, label),
  unique (model_id, digest)
);
alter table models add constraint models_stable_fk foreign key (stable_version_id) references versions (id);

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% rows are immutable', tg_table_name using errcode = 'restrict_violation';
end $$;
create trigger versions_immutable before update or delete on versions for each row execute function refuse_change();
create trigger versions_stay before truncate on versions for each statement execute function refuse_change();

create table rollouts (
  id uuid primary key,
  model_id uuid not null references models (id),
  stable_version_id uuid not null references versions (id),
  candidate_version_id uuid not null references versions (id),
  plan jsonb not null,
  phase text not null,
  state jsonb not null,
  weight double precision not null default 0 check (weight between 0 and 1),
  epoch integer not null default 0,
  epoch_since timestamptz not null default now(),
  salt text not null,
  scores jsonb,
  command jsonb,
  generation bigint not null default 0,
  version integer not null default 1,
  lease_owner text,
  lease_until timestamptz,
  lease_epoch bigint not null default 0,
  next_look_at timestamptz not null default now(),
  created_by text not null,
  created_at timestamptz not null default now(),
  ended_at timestamptz
);
-- One live rollout per model, whatever the number of controllers and webhooks.
create unique index rollouts_one_live on rollouts (model_id) where ended_at is null;
create index rollouts_due on rollouts (next_look_at) where ended_at is null;

create table rollout_epochs (
  rollout_id uuid not null references rollouts (id),
  epoch integer not null,
  weight double precision not null,
  started_at timestamptz not null default now(),
  primary key (rollout_id, epoch)
);

create table rollout_events (
  id bigint generated always as identity primary key,
  rollout_id uuid not null references rollouts (id),
  seq integer not null,
  at timestamptz not null default now(),
  actor text not null,
  transition text not null,
  from_phase text,
  to_phase text not null,
  weight double precision not null,
  reason jsonb not null,
  evidence jsonb,
  generation bigint not null,
  unique (rollout_id, seq)
);

-- Looks that changed nothing, thinned: the chart of a rollout. Bounded by the store.
create table rollout_looks (
  id bigint generated always as identity primary key,
  rollout_id uuid not null references rollouts (id),
  at timestamptz not null,
  evidence jsonb not null
);
create index rollout_looks_by_rollout on rollout_looks (rollout_id, at);

create table routing_table (
  id integer primary key default 1 check (id = 1),
  incarnation uuid not null,
  generation bigint not null,
  body jsonb not null,
  updated_at timestamptz not null default now()
);
insert into routing_table (incarnation, generation, body) values (gen_random_uuid(), 0, '{"routes":[],"versions":{}}');

create table gateways (
  id text primary key,
  boot_id uuid not null,
  incarnation uuid,
  generation bigint not null,
  engines jsonb not null default '{}',
  dropped_windows bigint not null default 0,
  address text,
  seen_at timestamptz not null default now()
);

create table windows (
  second_at timestamptz not null,
  boot_id uuid not null,
  seq bigint not null,
  idx integer not null,
  model text not null,
  version_id uuid not null,
  rollout_id uuid,
  epoch integer,
  arm text check (arm in ('stable', 'candidate')),
  prompt_class text not null,
  responses integer not null,
  errors integer not null,
  timeouts integer not null,
  client_gone integer not null,
  non_finite integer not null,
  units integer not null,
  ln_total_count integer not null,
  ln_total_sum double precision not null,
  histograms bytea not null,
  inserted_at timestamptz not null default now(),
  primary key (second_at, boot_id, seq, idx)
) partition by range (second_at);
create index windows_by_rollout on windows (rollout_id, second_at) where rollout_id is not null;
create index windows_by_version on windows (version_id, second_at);
create table windows_default partition of windows default;

create table webhook_endpoints (
  id uuid primary key,
  name text not null unique,
  url text not null,
  secret bytea not null,
  event_types text[] not null default '{}',
  disabled_at timestamptz,
  disabled_reason text,
  created_at timestamptz not null default now()
);

-- Written in the transaction of the change it tells about. 'subject' orders deliveries (the rollout).
create table outbox (
  id uuid primary key,
  type text not null,
  subject text not null,
  payload jsonb not null,
  created_at timestamptz not null default now()
);

create table deliveries (
  id bigint generated always as identity primary key,
  outbox_id uuid not null references outbox (id),
  endpoint_id uuid not null references webhook_endpoints (id),
  -- The message's subject once more: a delivery waits for earlier ones of it, which an index must answer.
  subject text not null,
  state text not null default 'pending' check (state in ('pending', 'delivered', 'dead')),
  attempts integer not null default 0,
  next_attempt_at timestamptz not null default now(),
  claimed_until timestamptz,
  last_status integer,
  last_error text,
  delivered_at timestamptz,
  created_at timestamptz not null default now(),
  unique (outbox_id, endpoint_id)
);
create index deliveries_due on deliveries (endpoint_id, next_attempt_at, id) where state = 'pending';
create index deliveries_line on deliveries (endpoint_id, subject, id) where state = 'pending';
create index deliveries_claimed on deliveries (endpoint_id, claimed_until) where state = 'pending' and claimed_until is not null;
create index deliveries_by_endpoint on deliveries (endpoint_id, id);

create table hook_sources (
  name text primary key,
  secret bytea not null,
  created_at timestamptz not null default now()
);

create table hook_receipts (
  source text not null,
  delivery_id text not null,
  received_at timestamptz not null default now(),
  body bytea not null,
  outcome jsonb,
  primary key (source, delivery_id)
);

create table test_sets (
  id uuid primary key,
  name text not null unique,
  created_at timestamptz not null default now()
);

create table test_set_versions (
  id uuid primary key,
  test_set_id uuid not null references test_sets (id),
  number integer not null,
  digest text not null,
  case_count integer not null,
  created_by text not null,
  created_at timestamptz not null default now(),
  unique (test_set_id, number),
  unique (test_set_id, digest)
);

create table test_cases (
  test_set_version_id uuid not null references test_set_versions (id),
  idx integer not null,
  external_id text not null,
  content jsonb not null,
  primary key (test_set_version_id, idx),
  unique (test_set_version_id, external_id)
);
create trigger test_set_versions_immutable before update or delete on test_set_versions for each row execute function refuse_change();
create trigger test_cases_immutable before update or delete on test_cases for each row execute function refuse_change();

create table evaluations (
  id uuid primary key,
  rollout_id uuid references rollouts (id),
  model text not null,
  candidate_version_id uuid not null references versions (id),
  baseline_version_id uuid references versions (id),
  test_set_version_id uuid not null references test_set_versions (id),
  policy jsonb not null,
  state text not null default 'queued' check (state in ('queued', 'running', 'complete', 'failed', 'cancelled')),
  planned integer not null,
  verdict text,
  finding jsonb,
  error text,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz
);
create unique index evaluations_one_per_rollout on evaluations (rollout_id) where rollout_id is not null;

create table evaluation_results (
  evaluation_id uuid not null references evaluations (id),
  version_id uuid not null references versions (id),
  case_idx integer not null,
  repeat integer not null default 0,
  outcome text not null,
  output text,
  passed boolean,
  score double precision,
  attempts integer not null,
  latency_ms double precision,
  output_tokens integer,
  entropy_nats double precision,
  error text,
  finished_at timestamptz not null default now(),
  primary key (evaluation_id, version_id, case_idx, repeat)
);

-- Only hashes: a dump of the database holds no key.
create table api_keys (
  id uuid primary key,
  name text not null,
  prefix text not null,
  hash bytea not null unique,
  scopes text[] not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz
);

create table idempotency_keys (
  actor text not null,
  key text not null,
  request_hash text not null,
  status integer not null,
  response jsonb not null,
  created_at timestamptz not null default now(),
  primary key (actor, key)
);

-- Append only, hash-chained.
create table audit (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  actor text not null,
  action text not null,
  subject text not null,
  reason text,
  detail jsonb not null default '{}',
  previous_hash text not null,
  hash text not null
);
create trigger audit_append_only before update or delete on audit for each row execute function refuse_change();
create trigger audit_stays before truncate on audit for each statement execute function refuse_change();
`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
drop table audit, idempotency_keys, api_keys, evaluation_results, evaluations, test_cases, test_set_versions, test_sets,
  hook_receipts, hook_sources, deliveries, outbox, webhook_endpoints, windows, gateways, routing_table,
  rollout_looks, rollout_events, rollout_epochs, rollouts cascade;
alter table models drop constraint models_stable_fk;
drop table versions, models;
drop function refuse_change();
`);
  }
}
