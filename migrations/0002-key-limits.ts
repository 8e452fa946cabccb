// Keys with limits of their own, who made them, and a right of its own for managing them.
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class KeyLimits0002 implements MigrationInterface {
  name = 'KeyLimits1700000000002';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
-- Null = the defaults of the gateways.
alter table api_keys add column limits jsonb check (limits is null or jsonb_typeof(limits) = 'object');
alter table api_keys add column created_by text not null default 'system';
create index api_keys_newest on api_keys (created_at desc, id desc);
-- Who could change all settings was the administrator.
update api_keys set scopes = array_append(scopes, 'keys:write') where 'settings:write' = any (scopes) and not 'keys:write' = any (scopes);
`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
update api_keys set scopes = array_remove(scopes, 'keys:write');
drop index api_keys_newest;
alter table api_keys drop column created_by, drop column limits;
`);
  }
}
