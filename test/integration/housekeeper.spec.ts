// A controller keeps its tables bounded, and takes nothing that a live rollout still needs.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, it } from 'vitest';
import { startTestController, type TestController } from '../support/controller.js';
import { until } from '../support/gateway.js';

let controller: TestController;
beforeAll(async () => {
  controller = await startTestController();
});
afterAll(async () => {
  await controller.close();
});

it('has a partition for today and the week ahead soon after it started', async () => {
  await until(async () => {
    const [row] = await controller.test.database.manager.query<{ days: number }[]>(
      `select count(*)::int as days from pg_inherits i join pg_class c on c.oid = i.inhrelid
       where i.inhparent = 'windows'::regclass and c.relname ~ '^windows_[0-9]{8}$'`,
    );
    return (row?.days ?? 0) >= 8;
  }, 'the daily partitions');
});

it('forgets idempotency keys after a week', async () => {
  const { manager } = controller.test.database;
  const key = randomUUID();
  await manager.query(
    `insert into idempotency_keys (actor, key, request_hash, status, response, created_at) values ('a', $1, 'h', 200, 'null', now() - interval '8 days'),
     ('a', $2, 'h', 200, 'null', now() - interval '6 days')`,
    [`${key}-old`, `${key}-new`],
  );
  const again = await controller.another();
  await until(async () => {
    const left = await manager.query<{ key: string }[]>('select key from idempotency_keys where key like $1', [`${key}%`]);
    return left.length === 1 && left[0]?.key === `${key}-new`;
  }, 'the old key to be forgotten');
  await again.close();
});
