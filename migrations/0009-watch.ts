// The watch of a promoted version, and its heartbeat on frozen texts.
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Watch0009 implements MigrationInterface {
  name = 'Watch1700000000009';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
create table watches (
  model_id uuid primary key references models (id),
  version_id uuid not null references versions (id),
  -- Where a rollback after the promotion leads; null: the version was never promoted over another.
  previous_version_id uuid references versions (id),
  rollout_id uuid references rollouts (id),
  policy jsonb not null,
  -- Name of the test set whose first cases make the heartbeat; null: none is named.
  test_set text,
  state jsonb not null,
  next_look_at timestamptz not null default now(),
  heartbeat_at timestamptz not null default now(),
  heartbeat_until timestamptz,
  -- ln R of the heartbeat's detector.
  heartbeat_ln_r double precision not null default -700,
  created_at timestamptz not null default now()
);
create index watches_due on watches (next_look_at);

-- What a version wrote when it was promoted, and how sure it was of it. Frozen.
create table heartbeat_texts (
  version_id uuid not null references versions (id),
  case_id text not null,
  messages jsonb not null,
  answer text not null,
  nll_nats double precision not null,
  entropy_nats double precision,
  primary key (version_id, case_id)
);

create table heartbeats (
  id bigint generated always as identity primary key,
  model_id uuid not null references models (id),
  version_id uuid not null references versions (id),
  at timestamptz not null default now(),
  verdict text not null check (verdict in ('pass', 'fail', 'unmeasured')),
  texts integer not null,
  log_e double precision,
  ln_r double precision not null,
  nll_ratio double precision,
  note text not null
);
create index heartbeats_by_model on heartbeats (model_id, id);
`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table heartbeats; drop table heartbeat_texts; drop table watches;');
  }
}
