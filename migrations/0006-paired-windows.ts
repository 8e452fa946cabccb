// What mirrored prompts showed: two answers to one prompt, as ratios, by class and second.
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class PairedWindows0006 implements MigrationInterface {
  name = 'PairedWindows1700000000006';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
create table paired_windows (
  second_at timestamptz not null,
  boot_id uuid not null,
  seq bigint not null,
  idx integer not null,
  rollout_id uuid not null,
  prompt_class text not null,
  pairs integer not null,
  forced integer not null,
  failures integer not null,
  loops_stable integer not null,
  loops_candidate integer not null,
  ratios bytea not null,
  primary key (boot_id, seq, idx)
);
create index paired_windows_by_rollout on paired_windows (rollout_id);
create index paired_windows_by_age on paired_windows (second_at);
`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table paired_windows');
  }
}
