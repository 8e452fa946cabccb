import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';
import { type Asked, FakeGateway } from './fake-gateway.js';
import { queue, setScene, until } from './scene.js';

const entry = fileURLToPath(new URL('../../../dist/apps/evaluator/src/main.js', import.meta.url));

let db: TestDatabase;
const children: ChildProcess[] = [];

beforeAll(async () => {
  db = await createTestDatabase();
});
afterEach(async () => {
  for (const child of children.splice(0)) await end(child, 'SIGTERM');
});
afterAll(async () => {
  await db.drop();
});

/** The evaluator as `npm run build` left it, in a process of its own. */
function startProcess(gatewayUrl: string): ChildProcess {
  const child = spawn(process.execPath, ['--enable-source-maps', entry], {
    env: {
      PATH: process.env['PATH'],
      DATABASE_URL: db.url,
      SERIN_EVALUATOR_PORT: '0',
      SERIN_GATEWAY_URL: gatewayUrl,
      SERIN_EVALUATOR_KEY: `sk-serin-${'k'.repeat(43)}`,
      SERIN_LOG_LEVEL: 'silent',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  children.push(child);
  return child;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}

it('is taken up by the next evaluator when its own is killed: nothing stored is asked again, nothing is lost', async () => {
  const scene = await setScene(db.database, 60);
  let stuck = true;
  const number = ({ body }: Asked): number => Number.parseInt(body.messages.at(-1)?.content ?? '', 10);
  const fake = new FakeGateway((asked) => (stuck && number(asked) >= 30 ? 'hang' : String(number(asked) + 1)));
  const url = await fake.start();
  try {
    const first = startProcess(url);
    const id = await queue(db.database, scene, { margin: 0.1 });
    await until(db.database, id, (row) => row.candidateDone >= 30 && row.baselineDone >= 30);
    await end(first, 'SIGKILL');
    const before = fake.asked.length;
    stuck = false;
    startProcess(url);
    const row = await until(db.database, id);
    expect(row).toMatchObject({ state: 'complete', verdict: 'pass', candidateDone: 60, baselineDone: 60 });
    expect(row.finding).toMatchObject({ n: 60, effect: 0 });
    expect(fake.asked.length - before).toBe(60);
    expect(fake.asked.slice(before).every((asked) => number(asked) >= 30)).toBe(true);
  } finally {
    await fake.stop();
  }
});
