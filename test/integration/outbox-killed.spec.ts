// A controller process is killed while a receiver holds its request: another one goes on, in order, with the same ids.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { newWebhookSecret } from '#libs/alerts';
import { systemRng } from '#libs/base';
import { OutboxStore, SecretBox, WebhookEndpointStore } from '#libs/storage';
import { testSecretKey } from '../support/controller.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

const main = fileURLToPath(new URL('../../dist/apps/controller/src/main.js', import.meta.url));
const children: ChildProcess[] = [];
let test: TestDatabase;
let receiver: WebhookReceiver;

beforeAll(async () => {
  test = await createTestDatabase();
  receiver = new WebhookReceiver();
});
afterAll(async () => {
  for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  await receiver.stop();
  await test.drop();
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** A controller in a process of its own, ready when it resolves. */
async function startProcess(): Promise<ChildProcess> {
  const port = await freePort();
  const child = spawn(process.execPath, [main], {
    env: {
      PATH: process.env['PATH'],
      DATABASE_URL: test.url,
      SERIN_CONTROLLER_PORT: String(port),
      SERIN_SECRET_KEY: testSecretKey,
      SERIN_WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
      SERIN_LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  children.push(child);
  for (const giveUpAt = performance.now() + 30_000; ; await delay(50)) {
    const live = await fetch(`http://127.0.0.1:${port}/livez`, { signal: AbortSignal.timeout(2_000) }).catch(() => null);
    if (live?.ok) return child;
    if (child.exitCode !== null || performance.now() > giveUpAt) throw new Error(`no controller on port ${port}`);
  }
}

it('nothing is lost and nothing comes out of order when the sender is killed in the middle', async () => {
  const secret = newWebhookSecret(systemRng);
  receiver.secret = secret;
  const url = await receiver.start();
  const endpoints = new WebhookEndpointStore(new SecretBox(testSecretKey));
  await test.database.transaction(async (tx) => {
    await endpoints.create(tx, { id: crypto.randomUUID(), name: 'on-call', url, eventTypes: [], secret });
  });
  const outbox = new OutboxStore();
  const ids: string[] = [];
  for (let n = 0; n < 20; n += 1) {
    ids.push(
      await test.database.transaction(
        async (tx) => await outbox.append(tx, { type: 'rollout.weight_changed', subject: `rollout/${n % 2}`, data: { n } }),
      ),
    );
  }
  // The tenth request is held; its sender dies while it waits for the answer.
  receiver.react = () => (receiver.received.length === 10 ? { status: 204, afterMs: 500 } : { status: 204 });
  const first = await startProcess();
  await receiver.until(() => receiver.received.length === 10);
  first.kill('SIGKILL');
  await once(first, 'exit');
  const second = await startProcess();
  await receiver.until(() => new Set(receiver.received.map(({ id }) => id)).size === ids.length);
  // What was in the receiver's hands comes twice under one id, everything else once.
  expect(receiver.received.map(({ id }) => id)).toHaveLength(ids.length + 1);
  expect(receiver.received.filter(({ id }) => id === receiver.received[9]?.id)).toHaveLength(2);
  expect(receiver.received.every(({ verified }) => verified)).toBe(true);
  const firsts = receiver.received.filter(({ id }, index, all) => all.findIndex((one) => one.id === id) === index);
  for (const subject of ['rollout/0', 'rollout/1']) {
    const numbers = firsts.filter(({ event }) => event.subject === subject).map(({ event }) => Number(event.data['n']));
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
  }
  second.kill('SIGTERM');
  const [code] = (await once(second, 'exit')) as [number | null];
  expect(code).toBe(0);
});
