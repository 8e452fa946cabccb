// A key that was revoked is refused by every gateway, soon and whatever is lost on the way; what runs goes on.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiKeyStore } from '#libs/storage';
import { type ErrorBody, post, type Reply } from '../../support/client.js';
import { aGateway, aKey, aVersion, fakeFactory, publish, readyz, type TestGateway, until, untilServing } from '../../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';
import { RawClient, rawPost } from '../../support/raw-client.js';
import { RelayEngine } from '../../support/relay-engine.js';

const chat = { model: 'support', messages: [{ role: 'user', content: 'Hi' }] };
/** Neither poll nor turn would bring it this soon: it has been heard. */
const neverMs = 3_600_000;
const engine = new RelayEngine();
const keys = new ApiKeyStore();
const gateways: TestGateway[] = [];
let test: TestDatabase;

beforeAll(async () => {
  test = await createTestDatabase();
  const v1 = aVersion('v1');
  const generation = await publish(test, { routes: [{ model: 'support', stable: v1.id, rollout: null }], versions: [v1] });
  for (const gatewayId of ['one', 'two', 'three']) {
    gateways.push(await aGateway(test.url, { gatewayId, pollEveryMs: neverMs, factory: fakeFactory({ v1: engine }) }));
  }
  for (const { url } of gateways) {
    await untilServing(url, generation);
    await until(async () => (await readyz(url)).checks.hints === 'listen', 'hints');
  }
});
afterAll(async () => {
  for (const gateway of gateways) await gateway.remove();
  await test?.drop();
});

const askAll = async (key: string): Promise<Reply<ErrorBody>[]> =>
  await Promise.all(gateways.map(async ({ url }) => await post({ url, key }, '/v1/chat/completions', chat)));

async function aKnownKey(): Promise<{ id: string; key: string }> {
  const made = await keys.create(test.database.manager, { name: 'shop', scopes: ['inference:invoke'] });
  await until(async () => (await askAll(made.key)).every(({ status }) => status === 200), 'the key to be known everywhere');
  return made;
}

describe('a key', () => {
  it('that was revoked is refused by three gateways, by the notice alone', async () => {
    engine.serve = (one) => one.answer('{}');
    const [gone, stays] = [await aKnownKey(), await aKnownKey()];
    await keys.revoke(test.database.manager, gone.id);
    await until(async () => (await askAll(gone.key)).every(({ status }) => status === 401), 'the refusal', 5_000);
    const [refused] = await askAll(gone.key);
    expect(refused?.body.error.code).toBe('invalid_api_key');
    expect((await askAll(stays.key)).map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  it('is good until the revocation is committed, and for ever when it is rolled back', async () => {
    engine.serve = (one) => one.answer('{}');
    const { id, key } = await aKnownKey();
    const undone = test.database.transaction(async (tx) => {
      await keys.revoke(tx, id);
      expect((await askAll(key)).map(({ status }) => status)).toEqual([200, 200, 200]);
      throw new Error('changed my mind');
    });
    await expect(undone).rejects.toThrow('changed my mind');
    // Something that is heard later.
    const later = await aKey(test);
    await until(async () => (await askAll(later)).every(({ status }) => status === 200), 'the later key');
    expect((await askAll(key)).map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  it('that is revoked while a stream runs does not cut the stream', async () => {
    engine.serve = (one) => one.write('data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n');
    const { id, key } = await keys.create(test.database.manager, { name: 'shop', scopes: ['inference:invoke'] });
    const [first] = gateways;
    const headers = { authorization: `Bearer ${key}` };
    await until(async () => (await fetch(`${first?.url}/v1/models`, { headers })).status === 200, 'the key to be known');
    const streaming = new RawClient(first?.url ?? '').send(rawPost(key, { ...chat, stream: true }));
    await streaming.untilReceived('"content":"a"');
    await keys.revoke(test.database.manager, id);
    await until(async () => (await fetch(`${first?.url}/v1/models`, { headers })).status === 401, 'the refusal');
    engine.last.write('data: [DONE]\n\n');
    engine.last.end();
    await streaming.untilReceived('[DONE]');
    streaming.close();
  });
});
