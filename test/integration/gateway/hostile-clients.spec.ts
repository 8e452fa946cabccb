// Clients that drip, lie about lengths, pack, pipeline or never end: by raw sockets, each gets a truthful answer or its connection's end, soon.
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { aGateway, aKey, aVersion, fakeFactory, publish, type TestGateway, until, untilServing } from '../../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';
import { RawClient, rawPost } from '../../support/raw-client.js';

let test: TestDatabase;
let gateway: TestGateway;
/** Only for clients that are slow on purpose: on a busy machine honest ones would be cut too. */
let impatient: TestGateway;
let key: string;
const clients: RawClient[] = [];
const path = '/v1/chat/completions';
const chat = { model: 'support', messages: [{ role: 'user', content: 'Hi' }] };
const text = JSON.stringify(chat);

beforeAll(async () => {
  test = await createTestDatabase();
  key = await aKey(test);
  const v1 = aVersion('v1');
  const generation = await publish(test, { routes: [{ model: 'support', stable: v1.id, rollout: null }], versions: [v1] });
  gateway = await aGateway(test.url, { factory: fakeFactory(), server: { headerBytes: 8_192 } });
  impatient = await aGateway(test.url, {
    gatewayId: 'impatient',
    factory: fakeFactory(),
    server: { headersMs: 400, requestMs: 800, checkEveryMs: 100 },
  });
  await untilServing(gateway.url, generation);
  await untilServing(impatient.url, generation);
});
afterAll(async () => {
  await gateway?.remove();
  await impatient?.remove();
  await test?.drop();
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  const good = open().send(rawPost(key, chat));
  await good.untilReceived(/^HTTP\/1\.1 200 OK/);
});

function open({ url } = gateway): RawClient {
  const client = new RawClient(url);
  clients.push(client);
  return client;
}

function head(headers: readonly string[]): string {
  const lines = [`POST ${path} HTTP/1.1`, 'host: test', `authorization: Bearer ${key}`, 'content-type: application/json', ...headers];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** Sends a byte each 50 ms until the connection ends. */
async function drip(client: RawClient, bytes: string): Promise<void> {
  let at = 0;
  await until(() => {
    if (!client.closed && at < bytes.length) client.socket.write(bytes[at++] ?? '');
    return client.closed;
  }, `the dripping client to be cut, got "${client.text}"`);
}

describe('a client that drips', () => {
  it('its headers is told so and cut', async () => {
    const client = open(impatient);
    await drip(client, `POST ${path} HTTP/1.1\r\nhost: test\r\nx-slow: ${'x'.repeat(10_000)}`);
    expect(client.text).toMatch(/^HTTP\/1\.1 408 /);
    expect(client.text).toContain('"code":"request_timeout"');
  });

  it('its body is told so and cut', async () => {
    const client = open(impatient).send(head(['content-length: 100000']));
    await drip(client, `{"model":"${'x'.repeat(10_000)}`);
    expect(client.text).toMatch(/^HTTP\/1\.1 408 /);
    expect(client.text).toContain('"code":"request_timeout"');
  });
});

describe('a body', () => {
  it.each(['gzip', 'br', 'deflate', 'gzip, gzip'])('packed by %s is refused and not unpacked', async (coding) => {
    const packed = gzipSync(text);
    const client = open().send(
      Buffer.concat([Buffer.from(head([`content-encoding: ${coding}`, `content-length: ${packed.length}`])), packed]),
    );
    await client.untilReceived(/^HTTP\/1\.1 415 /);
    await client.untilReceived('without content-encoding');
  });

  it('packed by nothing, and said to be, is served', async () => {
    const client = open().send(rawPost(key, chat, ['content-encoding: identity']));
    await client.untilReceived(/^HTTP\/1\.1 200 /);
  });

  it('declared larger than the limit is refused before a byte of it is sent', async () => {
    const client = open().send(head(['content-length: 9000000000']));
    await client.untilReceived(/^HTTP\/1\.1 413 /);
    await client.untilClosed();
  });

  it('without end, in chunks, is refused at the limit', async () => {
    const client = open().send(head(['transfer-encoding: chunked']));
    const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(65_536, 0x20), Buffer.from('\r\n')]);
    for (let sent = 0; sent < 140; sent += 1) client.send(chunk);
    await client.untilReceived(/^HTTP\/1\.1 413 /);
  });

  it.each([
    ['arrays', '['.repeat(1_000_000)],
    ['objects', '{"a":'.repeat(500_000)],
    ['arrays in a message', `{"model":"support","messages":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
  ])('of deeply nested %s is refused at once', async (_what, body) => {
    const client = open().send(rawPost(key, body));
    await client.untilReceived(/^HTTP\/1\.1 400 /);
    await client.untilReceived('"code":"invalid_json"');
  });

  it('of a length that nobody told is read in chunks', async () => {
    const client = open().send(`${head(['transfer-encoding: chunked'])}${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`);
    await client.untilReceived(/^HTTP\/1\.1 200 /);
  });

  it('of no length at all is an empty one', async () => {
    const client = open().send(head([]));
    await client.untilReceived(/^HTTP\/1\.1 400 /);
    await client.untilReceived('"code":"invalid_json"');
  });

  it("that ends before its length is nobody's failure", async () => {
    const client = open().send(`${head(['content-length: 1000'])}{"model"`);
    client.socket.end();
    await client.untilClosed();
  });
});

describe('Expect: 100-continue', () => {
  const expect100 = `content-length: ${text.length}\r\nexpect: 100-continue`;

  it('is invited to send its body, then answered', async () => {
    const client = open().send(head([expect100]));
    await client.untilReceived(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
    client.send(text);
    await client.untilReceived('HTTP/1.1 200 OK');
  });

  it('is not invited without a key, nor with too large a body', async () => {
    const stranger = open().send(head([expect100]).replace(key, 'sk-serin-nobody'));
    await stranger.untilReceived(/^HTTP\/1\.1 401 /);
    const large = open().send(head(['content-length: 900000000', 'expect: 100-continue']));
    await large.untilReceived(/^HTTP\/1\.1 413 /);
    expect(stranger.text + large.text).not.toContain('100 Continue');
  });
});

describe('headers', () => {
  it.each([
    ['both a length and chunks', ['content-length: 5', 'transfer-encoding: chunked']],
    ['two lengths', ['content-length: 5', 'content-length: 6']],
    ['a length that is no number', ['content-length: 5x']],
    ['a line without a colon', ['nonsense']],
    ['a folded line', ['x-folded: a\r\n b']],
    ['a NUL', ['x-nul: a\0b']],
  ])('with %s are refused, and nothing behind them is taken for a request', async (_what, lines) => {
    const client = open().send(`${head(lines)}0\r\n\r\n${rawPost(key, chat)}`);
    await client.untilReceived(/^HTTP\/1\.1 400 /);
    await client.untilReceived('"code":"invalid_http"');
    await client.untilClosed();
    expect(client.text.match(/HTTP\/1\.1 \d/g)?.length).toBe(1);
  });

  it('larger than the limit are refused', async () => {
    const client = open().send(head([`x-large: ${'x'.repeat(20_000)}`]));
    await client.untilReceived(/^HTTP\/1\.1 431 /);
    await client.untilReceived('"code":"headers_too_large"');
  });

  it('that name two keys are judged by the first', async () => {
    const client = open().send(rawPost('sk-serin-nobody', chat, [`authorization: Bearer ${key}`]));
    await client.untilReceived(/^HTTP\/1\.1 401 /);
  });
});

describe('a connection', () => {
  it('of a hundred pipelined requests gets a hundred answers', async () => {
    const client = open().send(rawPost(key, chat).repeat(100));
    await until(() => (client.text.match(/HTTP\/1\.1 200 OK/g)?.length ?? 0) === 100, 'a hundred answers');
  });

  it('that sends something else than HTTP is told so', async () => {
    const client = open().send('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03');
    await client.untilReceived(/^HTTP\/1\.1 400 /);
    await client.untilClosed();
  });
});
