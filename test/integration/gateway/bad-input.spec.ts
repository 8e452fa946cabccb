// What a careless or hostile client can send to /v1: each gets an OpenAI error that names the field, and the gateway serves on.
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { aGateway, aKey, aVersion, fakeFactory, publish, type TestGateway, untilServing } from '../../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';

let test: TestDatabase;
let gateway: TestGateway;
let key: string;

beforeAll(async () => {
  test = await createTestDatabase();
  key = await aKey(test);
  const v1 = aVersion('v1');
  const generation = await publish(test, {
    routes: [
      { model: 'support', stable: v1.id, rollout: null },
      { model: 'empty', stable: null, rollout: null },
    ],
    versions: [v1],
  });
  gateway = await aGateway(test.url, { factory: fakeFactory() });
  await untilServing(gateway.url, generation);
});
afterAll(async () => {
  await gateway?.remove();
  await test?.drop();
});

const good = { model: 'support', messages: [{ role: 'user', content: 'Hi' }] };

async function send(body: string | Buffer, headers: Record<string, string> = {}, path = '/v1/chat/completions', method = 'POST') {
  const response = await fetch(`${gateway.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
    ...(method === 'GET' ? {} : { body }),
    signal: AbortSignal.timeout(10_000),
  });
  const { error } = (await response.json()) as { error?: { code: string; param: string | null; message: string; type: string } };
  return { status: response.status, code: error?.code, param: error?.param, message: error?.message, allow: response.headers.get('allow') };
}

describe('POST /v1/chat/completions refuses', () => {
  it.each([
    ['an empty body', '', 400, 'invalid_json', null],
    ['malformed JSON', '{"model": "support"', 400, 'invalid_json', null],
    ['JSON that is not an object', '[1]', 400, 'invalid_json', null],
    ['a field twice, once in disguise', '{"model":"support","mod\\u0065l":"other"}', 400, 'invalid_json', null],
    ['absurd nesting', '['.repeat(100_000), 400, 'invalid_json', null],
    ['a missing model', JSON.stringify({ messages: good.messages }), 400, 'invalid_value', 'model'],
    ['an unknown model', JSON.stringify({ ...good, model: 'other' }), 404, 'model_not_found', 'model'],
    ['a model without a version in service', JSON.stringify({ ...good, model: 'empty' }), 503, 'model_not_ready', 'model'],
    ['no messages', JSON.stringify({ ...good, messages: [] }), 400, 'invalid_value', 'messages'],
    [
      'a message of an unknown role',
      JSON.stringify({ ...good, messages: [{ role: 'boss', content: 'x' }] }),
      400,
      'invalid_value',
      'messages.0.role',
    ],
    ['an unknown field', JSON.stringify({ ...good, base_url: 'http://evil' }), 400, 'unknown_parameter', 'base_url'],
    ['a temperature out of range', JSON.stringify({ ...good, temperature: -1 }), 400, 'invalid_value', 'temperature'],
    [
      'an image',
      JSON.stringify({ ...good, messages: [{ role: 'user', content: [{ type: 'image_url', image_url: {} }] }] }),
      400,
      'invalid_value',
      'messages.0.content.0.type',
    ],
    ['a tool of another kind', JSON.stringify({ ...good, tools: [{ type: 'web_search' }] }), 400, 'invalid_value', 'tools.0.type'],
  ])('%s', async (_what, body, status, code, param) => {
    const answer = await send(body);
    expect(answer).toMatchObject({ status, code, param });
    expect(answer.message?.length).toBeGreaterThan(10);
  });

  it('bytes that are not UTF-8', async () => {
    expect(await send(Buffer.from([0x7b, 0xff, 0xfe, 0x7d]))).toMatchObject({ status: 400, code: 'invalid_json' });
  });

  it('a body over the limit, by its declared length and by counting', async () => {
    const huge = JSON.stringify({ ...good, messages: [{ role: 'user', content: 'x'.repeat(9 * 1_048_576) }] });
    const answer = await send(huge).catch((error: unknown) => error);
    // Either the answer arrives or the refused upload is cut; nothing else.
    if (!(answer instanceof Error)) expect(answer).toMatchObject({ status: 413, code: 'body_too_large' });
    const counted = await rawChunked(gateway.url, key, 9 * 1_048_576);
    expect(counted).toMatch(/^HTTP\/1\.1 413 /);
  });

  it('another content type', async () => {
    expect(await send('model=support', { 'content-type': 'application/x-www-form-urlencoded' })).toMatchObject({ status: 415 });
  });

  it('no key, a wrong key and a key without the scope', async () => {
    expect(await send(JSON.stringify(good), { authorization: '' })).toMatchObject({ status: 401, code: 'invalid_api_key' });
    expect(await send(JSON.stringify(good), { authorization: 'Bearer nonsense' })).toMatchObject({ status: 401 });
    expect(await send(JSON.stringify(good), { authorization: `Basic ${key}` })).toMatchObject({ status: 401 });
  });

  it('bad Serin headers by their name', async () => {
    expect(await send(JSON.stringify(good), { 'x-serin-class': 'no spaces please' })).toMatchObject({
      status: 400,
      param: 'x-serin-class',
    });
    expect(await send(JSON.stringify(good), { 'x-serin-unit': 'u'.repeat(300) })).toMatchObject({ status: 400, param: 'x-serin-unit' });
  });
});

describe('/v1 answers in the OpenAI shape', () => {
  it('for paths and methods it does not have', async () => {
    expect(await send('', {}, '/v1/nothing', 'GET')).toMatchObject({ status: 404, code: 'unknown_url' });
    expect(await send('', {}, '/v1/chat/completions', 'GET')).toMatchObject({ status: 405, code: 'method_not_allowed', allow: 'POST' });
    expect(await send('{}', {}, '/v1/models', 'POST')).toMatchObject({ status: 405, allow: 'GET' });
    expect(await send('', {}, '/v1/models/%E0%A4%A', 'GET')).toMatchObject({ status: 404 });
  });

  it('and still serves a good request after all of it', async () => {
    expect(await send(JSON.stringify(good))).toMatchObject({ status: 200 });
  });
});

/** Sends an endless chunked body; returns what came back before the socket closed. */
async function rawChunked(url: string, apiKey: string, bytes: number): Promise<string> {
  const { hostname, port } = new URL(url);
  return await new Promise((done, reject) => {
    let received = '';
    const socket = connect(Number(port), hostname, () => {
      socket.write(
        `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${apiKey}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`,
      );
      const chunk = Buffer.alloc(65_536, 0x20);
      for (let sent = 0; sent < bytes && !socket.destroyed; sent += chunk.length)
        socket.write(Buffer.concat([Buffer.from('10000\r\n'), chunk, Buffer.from('\r\n')]));
    });
    socket.on('data', (data) => {
      received += data.toString('latin1');
    });
    socket.on('error', () => done(received));
    socket.on('close', () => done(received));
    socket.setTimeout(10_000, () => {
      socket.destroy();
      reject(new Error('no answer to an endless body'));
    });
  });
}
