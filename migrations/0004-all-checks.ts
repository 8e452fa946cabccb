// What all checks need of a second: refusals, loops, unfinished requests, and the arm of a control.
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class AllChecks0004 implements MigrationInterface {
  name = 'AllChecks1700000000004';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
alter table windows add column unfinished integer not null default 0, add column refusals integer not null default 0,
  add column loops integer not null default 0;
alter table windows drop constraint windows_arm_check;
alter table windows add constraint windows_arm_check check (arm in ('stable', 'candidate', 'control'));
-- Probability of the control arm; 0 = none.
alter table rollout_epochs add column control_weight double precision not null default 0;
`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
alter table rollout_epochs drop column control_weight;
delete from windows where arm = 'control';
alter table windows drop constraint windows_arm_check;
alter table windows add constraint windows_arm_check check (arm in ('stable', 'candidate'));
alter table windows drop column loops, drop column refusals, drop column unfinished;
`);
  }
}
