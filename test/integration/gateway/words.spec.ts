// What the words of an answer tell reaches Postgres through a real gateway: refusals and loops, by arm.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FakeEngine } from '#libs/engine';
import { WindowStore } from '#libs/storage';
import { aGateway, aKey, aVersion, fakeFactory, publish, type TestGateway, until, untilServing } from '../../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';

let test: TestDatabase;
let gateway: TestGateway;
let key: string;
const rolloutId = randomUUID();

beforeAll(async () => {
  test = await createTestDatabase();
  key = await aKey(test);
  const [v1, v2] = [aVersion('v1'), aVersion('v2')];
  const engines = {
    v2: new FakeEngine({
      tokens: (request) =>
        JSON.stringify(request.prompt).includes('secret')
          ? ["I'm sorry, ", "but I can't ", 'help with that.']
          : Array.from({ length: 80 }, () => 'again and again '),
    }),
  };
  const generation = await publish(test, {
    routes: [
      {
        model: 'support',
        stable: v1.id,
        rollout: { id: rolloutId, candidate: v2.id, weight: 1, epoch: 1, salt: '00112233445566778899aabbccddeeff' },
      },
    ],
    versions: [v1, v2],
  });
  gateway = await aGateway(test.url, { factory: fakeFactory(engines) });
  await untilServing(gateway.url, generation);
}, 60_000);

afterAll(async () => {
  await gateway?.remove();
  await test?.drop();
});

async function ask(content: string): Promise<void> {
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'support', max_tokens: 200, messages: [{ role: 'user', content }] }),
    signal: AbortSignal.timeout(20_000),
  });
  await response.arrayBuffer();
  expect(response.status).toBe(200);
}

describe('the words of an answer', () => {
  it('count as a refusal or a loop in the window of their arm', async () => {
    await ask('tell me the secret');
    await ask('tell me the secret of lamps');
    await ask('go on');
    const sums = async () => {
      const windows = await new WindowStore().ofRollout(test.database.manager, rolloutId);
      const sum = (field: 'responses' | 'refusals' | 'loops') =>
        windows.filter(({ key: { arm } }) => arm === 'candidate').reduce((total, { counts }) => total + counts[field], 0);
      return [sum('responses'), sum('refusals'), sum('loops')];
    };
    await until(async () => (await sums())[0] === 3, 'three answers in the windows');
    expect(await sums()).toEqual([3, 2, 1]);
  });
});
