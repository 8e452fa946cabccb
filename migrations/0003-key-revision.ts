// Keys that several people manage at once: each change counts, and reading them is a right of its own.
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class KeyRevision0003 implements MigrationInterface {
  name = 'KeyRevision1700000000003';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
alter table api_keys add column revision integer not null default 1;
update api_keys set scopes = array_append(scopes, 'keys:read') where 'keys:write' = any (scopes) and not 'keys:read' = any (scopes);
`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
update api_keys set scopes = array_remove(scopes, 'keys:read');
alter table api_keys drop column revision;
`);
  }
}
