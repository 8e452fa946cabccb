// The short way through the gateway: an upstream's bytes to the client as they come, with the same decisions and counts as the long way.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FakeEngine } from '#libs/engine';
import { WindowStore } from '#libs/storage';
import { type ErrorBody, post } from '../../support/client.js';
import { aGateway, aKey, aVersion, fakeFactory, publish, type TestGateway, until, untilServing } from '../../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';
import { RawClient, rawPost } from '../../support/raw-client.js';
import { RelayEngine } from '../../support/relay-engine.js';

let test: TestDatabase;
let gateway: TestGateway;
let key: string;
let at: { url: string; key: string };
const engine = new RelayEngine();
const candidate = new RelayEngine();
const steady = new FakeEngine();
const rolloutId = randomUUID();
const path = '/v1/chat/completions';
const chat = { model: 'support', messages: [{ role: 'user', content: 'Hi' }] };
const stream = { ...chat, stream: true };
const piece = (text: string): string => `data: {"id":"up-1","choices":[{"index":0,"delta":{"content":"${text}"}}]}\n\n`;
const doneMark = 'data: [DONE]\n\n';

beforeAll(async () => {
  test = await createTestDatabase();
  key = await aKey(test);
  const v1 = aVersion('v1');
  const [quiet, canary] = [aVersion('steady', undefined, 'observed'), aVersion('canary', undefined, 'observed')];
  const rollout = { id: rolloutId, candidate: canary.id, weight: 1, epoch: 1, salt: '0'.repeat(32) };
  const generation = await publish(test, {
    routes: [
      { model: 'support', stable: v1.id, rollout: null },
      { model: 'observed', stable: quiet.id, rollout },
    ],
    versions: [v1, quiet, canary],
  });
  gateway = await aGateway(test.url, {
    factory: fakeFactory({ v1: engine, canary: candidate, steady }),
    deadlines: { firstTokenMs: 400, betweenTokensMs: 400, totalMs: 2_000 },
    patience: { stalledMs: 500 },
  });
  await untilServing(gateway.url, generation);
  at = { url: gateway.url, key };
});
afterAll(async () => {
  await gateway?.remove();
  await test?.drop();
});
beforeEach(() => {
  for (const one of [engine, candidate]) {
    one.relayed.length = 0;
    one.serve = null;
  }
});

type Counts = Record<string, number>;
interface Requests {
  begun: number;
  inFlight: number;
  withoutVersion: Counts;
  olderVersions: Counts;
  versions: Record<string, { label: string; counts: Counts }>;
  retries: { made: number; refused: number };
  overheadMs: { count: number; p50: number | null };
}

async function requests(): Promise<Requests> {
  const answer = await fetch(`${gateway.url}/readyz?verbose`, { signal: AbortSignal.timeout(5_000) });
  return ((await answer.json()) as { checks: { requests: Requests } }).checks.requests;
}

/** What the counters of a version grow by while `work` runs. */
async function growth(label: string, work: () => Promise<void>): Promise<Counts> {
  const counts = async (): Promise<Counts> => Object.values((await requests()).versions).find((one) => one.label === label)?.counts ?? {};
  const before = await counts();
  await work();
  await until(async () => (await requests()).inFlight === 0, 'all requests to have ended');
  const grown = Object.entries(await counts()).map(([state, count]) => [state, count - (before[state] ?? 0)] as const);
  return Object.fromEntries(grown.filter(([, count]) => count > 0));
}

describe('a whole answer', () => {
  it("is the upstream's bytes under our headers, with its length", async () => {
    const body = '{"id":"up-1","model":"support","choices":[]}';
    engine.serve = (one) => one.answer(body);
    expect(
      await growth('v1', async () => {
        const answer = await post(at, path, chat, { 'x-request-id': 'request-12345' });
        expect(answer.text).toBe(body);
        expect(Object.fromEntries(answer.headers)).toMatchObject({
          'content-type': 'application/json; charset=utf-8',
          'content-length': String(body.length),
          'x-request-id': 'request-12345',
          'x-serin-version': 'v1',
          'x-content-type-options': 'nosniff',
        });
      }),
    ).toEqual({ ok: 1 });
  });

  it('of many pieces and of megabytes arrives whole', async () => {
    const body = Buffer.from(JSON.stringify('x'.repeat(3_000_000)));
    engine.serve = (one) => {
      one.sink.begin('whole', body.length);
      for (let from = 0; from < body.length; from += 700_000) one.sink.write(body.subarray(from, from + 700_000));
      one.end();
    };
    const answer = await post(at, path, chat);
    expect(answer.text.length).toBe(body.length);
  });

  it('tells the engine what was asked, under the public name', async () => {
    engine.serve = (one) => one.answer('{}');
    await post(at, path, { ...chat, n: 2, logprobs: true, top_logprobs: 3, temperature: 0.5 });
    expect(engine.last.request).toMatchObject({
      endpoint: 'chat/completions',
      stream: false,
      withUsage: false,
      choices: 2,
      clientTop: 3,
      modelShown: 'support',
      defaults: { temperature: 1, top_p: 1, max_tokens: 1_024 },
    });
    expect(engine.last.request.affinity?.()).toBe('user:Hi\n');
    expect(engine.last.request.body.value('temperature')).toBe(0.5);
  });

  it('tells the engine whose turn it is, how urgent, and until when', async () => {
    engine.serve = (one) => one.answer('{}');
    await post(at, path, chat, { 'x-serin-timeout-ms': '1500' });
    const { ticket } = engine.last.request;
    expect(ticket).toMatchObject({ priority: 'live', tenant: expect.stringMatching(/./) });
    expect(ticket?.deadlineMs).toBeLessThanOrEqual(1_500);
  });

  it('goes the long way when the client wants uncertainty', async () => {
    const answer = await post<{ serin: { version: string } }>(at, path, chat, { 'x-serin-uncertainty': '1' });
    expect(answer.body.serin.version).toBe('v1');
    expect(engine.relayed.length).toBe(0);
  });
});

describe('a stream', () => {
  it('is one chunk per piece of the upstream, and its connection serves the next request', async () => {
    engine.serve = (one) => {
      one.write(piece('a'));
      setImmediate(() => {
        one.write(piece('b'));
        one.write(doneMark);
        one.end();
      });
    };
    const client = new RawClient(gateway.url).send(rawPost(key, stream));
    await client.untilReceived('\r\n0\r\n\r\n');
    const [head = '', body = ''] = client.text.split('\r\n\r\n', 1).concat(client.text.slice(client.text.indexOf('\r\n\r\n') + 4));
    expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(head.toLowerCase()).toContain('transfer-encoding: chunked');
    expect(head.toLowerCase()).toContain('content-type: text/event-stream');
    const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
    expect(body).toBe(`${chunk(piece('a'))}${chunk(piece('b'))}${chunk(doneMark)}0\r\n\r\n`);
    client.received = Buffer.alloc(0);
    engine.serve = (one) => one.answer('{"second":true}');
    client.send(rawPost(key, chat));
    await client.untilReceived('{"second":true}');
    client.close();
  });

  it('answers pipelined requests in their order, each framed as its own', async () => {
    engine.serve = null;
    const client = new RawClient(gateway.url).send(rawPost(key, stream) + rawPost(key, { ...stream, user: 'two' }) + rawPost(key, chat));
    await until(() => engine.relayed.length === 3, 'three requests');
    const [first, second, third] = engine.relayed;
    // The last is ready first.
    third?.answer('{"third":true}');
    second?.write(piece('second'));
    second?.write(doneMark);
    second?.end();
    first?.write(piece('first'));
    first?.write(doneMark);
    first?.end();
    await client.untilReceived('{"third":true}');
    const { text } = client;
    expect(text.match(/HTTP\/1\.1 200 OK/g)?.length).toBe(3);
    expect(text.indexOf('first')).toBeLessThan(text.indexOf('second'));
    expect(text.indexOf('second')).toBeLessThan(text.indexOf('third'));
    client.close();
  });

  it('is not chunked for a client of HTTP/1.0', async () => {
    engine.serve = (one) => {
      one.write(piece('a'));
      one.write(doneMark);
      one.end();
    };
    const client = new RawClient(gateway.url).send(rawPost(key, stream, [], path, '1.0'));
    await client.untilClosed();
    expect(client.text.toLowerCase()).not.toContain('transfer-encoding');
    expect(client.text.endsWith(piece('a') + doneMark)).toBe(true);
  });

  it('ends with an error event and without its end mark when the upstream dies, counted as cut', async () => {
    engine.serve = (one) => {
      one.write(piece('a'));
      one.fail({ code: 'engine.upstream-error', message: 'died', retryable: true });
    };
    expect(
      await growth('v1', async () => {
        const answer = await post(at, path, stream);
        expect(answer.status).toBe(200);
        expect(answer.text.startsWith(piece('a'))).toBe(true);
        expect(answer.text).toContain('"code":"engine_failed"');
        expect(answer.text).not.toContain('[DONE]');
      }),
    ).toEqual({ cut: 1 });
  });

  it.each([
    ['timeoutFirstToken', 0],
    ['timeoutBetweenTokens', 1],
  ] as const)('that falls silent is %s, and its upstream is cancelled', async (state, pieces) => {
    engine.serve = (one) => {
      for (let sent = 0; sent < pieces; sent += 1) one.write(piece('a'));
    };
    expect(
      await growth('v1', async () => {
        const answer = await post<ErrorBody>(at, path, stream);
        if (pieces === 0) expect(answer).toMatchObject({ status: 504, body: { error: { code: 'timeout' } } });
        else expect(answer.text).toContain('"code":"timeout"');
      }),
    ).toEqual({ [state]: 1 });
    expect(engine.last.cancelled).toBe(true);
  });

  it('whose client leaves is cancelled at once and no error of the version, whole or streamed', async () => {
    for (const body of [stream, chat]) {
      const seen = engine.relayed.length;
      expect(
        await growth('v1', async () => {
          const client = new RawClient(gateway.url).send(rawPost(key, body));
          await until(() => engine.relayed.length > seen, 'the request');
          if (body === stream) engine.last.write(piece('a'));
          client.close();
          await until(() => engine.last.cancelled, 'the cancellation');
        }),
      ).toEqual({ clientGone: 1 });
    }
  });

  it('whose client does not read is paused, then cut, and little of it waits', async () => {
    const big = `data: ${'x'.repeat(32_000)}\n\n`;
    let refusedAt = 0;
    engine.serve = (one) => {
      for (let sent = 1; sent < 10_000 && refusedAt === 0; sent += 1) if (!one.write(big)) refusedAt = sent;
    };
    expect(
      await growth('v1', async () => {
        const client = new RawClient(gateway.url);
        client.socket.pause();
        client.send(rawPost(key, stream));
        await until(() => engine.relayed.at(-1)?.cancelled === true, 'the slow reader to be cut');
        client.close();
      }),
    ).toEqual({ clientGone: 1 });
    expect(refusedAt).toBeGreaterThan(0);
  });

  it('goes on when a client that paused reads again', async () => {
    const big = `data: ${'x'.repeat(32_000)}\n\n`;
    engine.serve = (one) => {
      while (one.write(big));
    };
    const client = new RawClient(gateway.url);
    client.socket.pause();
    client.send(rawPost(key, stream));
    await until(() => engine.relayed.length === 1, 'the request');
    client.socket.resume();
    await until(() => engine.last.resumed === 1, 'the upstream to be read again');
    engine.last.write(doneMark);
    engine.last.end();
    await client.untilReceived('\r\n0\r\n\r\n');
    client.close();
  });
});

describe('a failed candidate', () => {
  const observed = { ...chat, model: 'observed' };

  it("is answered by stable, and the failure stays the candidate's in the statistics", async () => {
    candidate.serve = (one) => one.fail({ code: 'engine.upstream-error', message: 'broken', retryable: true });
    const before = (await requests()).retries.made;
    expect(
      await growth('steady', async () => {
        const answer = await post(at, path, observed);
        expect(answer.status).toBe(200);
        expect(answer.headers.get('x-serin-version')).toBe('steady');
        expect(answer.headers.get('x-serin-rollout')).toBe(rolloutId);
      }),
    ).toEqual({ ok: 1 });
    expect((await requests()).retries.made).toBe(before + 1);
    await until(async () => {
      const windows = await new WindowStore().ofRollout(test.database.manager, rolloutId);
      return windows.reduce((sum, { key: { arm }, counts }) => sum + (arm === 'candidate' ? counts.errors : 0), 0) === 1;
    }, "one error in the candidate's windows");
  });

  it('that refuses the request is not believed before stable has refused it too', async () => {
    candidate.serve = (one) => one.fail({ code: 'engine.bad-request', message: 'no such thing', retryable: false });
    expect(
      await growth('steady', async () => {
        expect((await post(at, path, observed)).status).toBe(200);
      }),
    ).toEqual({ ok: 1 });
    steady.behaviour = { failWith: () => ({ code: 'engine.bad-request', message: 'no such thing', retryable: false }) };
    expect(
      await growth('steady', async () => {
        expect((await post(at, path, observed)).status).toBe(400);
      }),
    ).toEqual({ rejected: 1 });
    steady.behaviour = {};
  });

  it('after its first byte is cut and not tried again', async () => {
    candidate.serve = (one) => {
      one.write(piece('a'));
      one.fail({ code: 'engine.upstream-error', message: 'died', retryable: true });
    };
    expect(
      await growth('canary', async () => {
        expect((await post(at, path, { ...observed, stream: true })).text).toContain('engine_failed');
      }),
    ).toEqual({ cut: 1 });
  });
});

describe('the counters', () => {
  it('add up to the requests begun', async () => {
    await post(at, path, '{', {});
    await post({ url: gateway.url, key: 'sk-serin-nobody' }, path, chat);
    await fetch(`${gateway.url}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
    await until(async () => (await requests()).inFlight === 0, 'all requests to have ended');
    const seen = await requests();
    const all = [seen.withoutVersion, seen.olderVersions, ...Object.values(seen.versions).map(({ counts }) => counts)];
    const ended = all.flatMap((counts) => Object.values(counts)).reduce((sum, count) => sum + count, 0);
    expect(ended).toBe(seen.begun);
    expect(seen.withoutVersion['rejected']).toBeGreaterThanOrEqual(2);
    expect(seen.overheadMs.count).toBeGreaterThan(5);
    expect(seen.overheadMs.p50).toBeGreaterThan(0);
  });
});

describe('a gateway that is stopped', () => {
  it('lets streams end within the grace time, then cuts them with an error event', async () => {
    const engineOfIts = new RelayEngine();
    const second = await aGateway(test.url, {
      gatewayId: 'stopped-gateway',
      factory: fakeFactory({ v1: engineOfIts }),
      server: { drainMs: 300 },
    });
    try {
      await until(
        async () => (await fetch(`${second.url}/v1/models`, { headers: { authorization: `Bearer ${key}` } })).status === 200,
        'the key',
      );
      await until(async () => (await fetch(`${second.url}/readyz`)).status === 200, 'readiness');
      const ends = new RawClient(second.url).send(rawPost(key, stream));
      const hangs = new RawClient(second.url).send(rawPost(key, { ...stream, user: 'hangs' }));
      await until(() => engineOfIts.relayed.length === 2, 'two streams');
      for (const one of engineOfIts.relayed) one.write(piece('a'));
      const closed = second.close();
      const ending = engineOfIts.relayed.find((one) => one.request.body.value('user') === undefined);
      ending?.write(doneMark);
      ending?.end();
      await ends.untilReceived('[DONE]');
      await hangs.untilReceived('"code":"shutting_down"');
      expect(hangs.text).not.toContain('[DONE]');
      await closed;
      await hangs.untilClosed();
      expect(engineOfIts.relayed.every((one) => one === ending || one.cancelled)).toBe(true);
    } finally {
      await second.remove();
    }
  });
});
