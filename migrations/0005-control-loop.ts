// What the control loop needs to look at a thousand rollouts each second: windows in the order of their commits, and rows that are cheap to touch.
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class ControlLoop0005 implements MigrationInterface {
  name = 'ControlLoop1700000000005';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
-- The transaction that wrote a row. With snapshots of the database this tells exactly what a look saw, whatever committed late.
-- Rows of before count as written before everything.
alter table windows add column written_in xid8 not null default '0';
alter table windows alter column written_in set default pg_current_xact_id();
create index windows_by_commit on windows (written_in);

-- Touched each second while it runs: no index on what changes, and what is large lies apart.
drop index rollouts_due;
alter table rollouts set (fillfactor = 50, toast_tuple_target = 256);

-- Where this database is in its own history. Another value means that it was promoted or restored: decisions may be missing.
alter table routing_table add column lineage text;
`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
alter table routing_table drop column lineage;
alter table rollouts reset (fillfactor, toast_tuple_target);
create index rollouts_due on rollouts (next_look_at) where ended_at is null;
drop index windows_by_commit;
alter table windows drop column written_in;
`);
  }
}
