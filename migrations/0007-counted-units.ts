// Which named units a rollout has counted, over all its gateways.
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CountedUnits0007 implements MigrationInterface {
  name = 'CountedUnits1700000000007';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
create table counted_units (
  rollout_id uuid not null,
  -- A keyed hash of the unit, a whole number below 2^22: no name is kept.
  place integer not null,
  -- The gateway process whose answer counts, and its batch.
  boot_id uuid not null,
  seq bigint not null,
  primary key (rollout_id, place)
);
`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table counted_units');
  }
}
