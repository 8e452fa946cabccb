// The guard against real servers on loopback. Only 127.0.0.2 is allowed; whatever listens elsewhere must never hear from us.
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server as TcpServer } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { AddressPolicy } from './address-policy.js';
import { checkTarget, type GuardedRequest, guardedRequest, type Resolve } from './guarded-request.js';

const policy = new AddressPolicy(['127.0.0.2']);
/** Connections to the server that must not be reached. */
let intruders = 0;
let forbidden: TcpServer;
let allowed: Server;
let port: number;
let handler: RequestListener = (_request, response) => response.end();

beforeAll(async () => {
  allowed = createServer((request, response) => handler(request, response));
  await new Promise<void>((done) => allowed.listen(0, '127.0.0.2', done));
  port = (allowed.address() as AddressInfo).port;
  // The same port on 127.0.0.1: a guard that can be led astray ends there.
  forbidden = createTcpServer((socket) => {
    intruders += 1;
    socket.destroy();
  });
  await new Promise<void>((done) => forbidden.listen(port, '127.0.0.1', done));
});
afterAll(async () => {
  allowed.closeAllConnections();
  await new Promise((done) => allowed.close(done));
  await new Promise((done) => forbidden.close(done));
});
afterEach(() => {
  expect(intruders).toBe(0);
});

const send = async (url: string, options: Partial<GuardedRequest> = {}) =>
  await guardedRequest({ url, policy, method: 'POST', headers: {}, body: '{}', limitMs: 5_000, ...options });
const codeOf = async (url: string, options: Partial<GuardedRequest> = {}) => {
  const answer = await send(url, options);
  if (!answer.ok) return answer.fault.code;
  await answer.value.close();
  return answer.value.status;
};

describe('a request', () => {
  it('reaches an allowed address, with its body and without compression', async () => {
    let seen = '';
    handler = (request, response) => {
      request.on('data', (chunk: Buffer) => {
        seen += chunk.toString();
      });
      request.on('end', () => {
        response.setHeader('retry-after', '7').end(request.headers['accept-encoding']);
      });
    };
    const answer = await send(`http://127.0.0.2:${port}/`, { body: '{"n":1}' });
    if (!answer.ok) throw new Error(answer.fault.message);
    expect(answer.value.status).toBe(200);
    expect(answer.value.header('retry-after')).toBe('7');
    expect(await answer.value.text(100)).toBe('identity');
    expect(seen).toBe('{"n":1}');
    await answer.value.close();
  });

  it('goes to the address that was checked, though the name means another one by then', async () => {
    handler = (_request, response) => response.writeHead(204).end();
    let asked = 0;
    const rebinding: Resolve = async () => {
      asked += 1;
      return [{ address: asked === 1 ? '127.0.0.2' : '127.0.0.1', family: 4 }];
    };
    expect(await codeOf(`http://rebind.example:${port}/`, { resolve: rebinding })).toBe(204);
    expect(asked).toBe(1);
  });

  it('is not made when one of several addresses is refused', async () => {
    const mixed: Resolve = async () => [
      { address: '127.0.0.2', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ];
    expect(await codeOf(`http://mixed.example:${port}/`, { resolve: mixed })).toBe('url.not-public');
  });

  it.each([
    'http://127.0.0.1:PORT/',
    'http://localhost:PORT/',
    'http://localhost.:PORT/',
    'http://[::1]:PORT/',
    'http://[::ffff:127.0.0.1]:PORT/',
    'http://[::ffff:7f00:1]:PORT/',
    'http://2130706433:PORT/',
    'http://0x7f000001:PORT/',
    'http://0x7f.1:PORT/',
    'http://0177.0.0.1:PORT/',
    'http://127.1:PORT/',
    'http://①②⑦.⓪.⓪.①:PORT/',
    'http://0.0.0.0:PORT/',
    'http://[::]:PORT/',
    'http://169.254.169.254/latest/meta-data/',
    'http://10.0.0.8/',
    'http://[64:ff9b::7f00:1]:PORT/',
  ])('is refused to %s', async (url) => {
    expect(await codeOf(url.replace('PORT', String(port)))).toBe('url.not-public');
  });

  it.each([
    'ftp://example.com/',
    'file:///etc/passwd',
    'http://user:pw@127.0.0.2/',
    'nonsense',
    '//example.com',
    `http://e.com/${'x'.repeat(3000)}`,
  ])('is refused to %s as no URL of ours', async (url) => {
    expect(await codeOf(url)).toBe('url.invalid');
  });

  it('says when a name cannot be resolved', async () => {
    const none: Resolve = async () => {
      throw Object.assign(new Error('nope'), { code: 'ENOTFOUND' });
    };
    expect(await checkTarget('https://nobody.example/', policy, none)).toMatchObject({
      ok: false,
      fault: { code: 'url.unresolvable', retryable: true },
    });
    expect(await checkTarget('https://nobody.example/', policy, async () => [])).toMatchObject({ fault: { code: 'url.unresolvable' } });
  });

  it('follows no redirect', async () => {
    handler = (_request, response) => response.writeHead(302, { location: `http://127.0.0.1:${port}/` }).end();
    expect(await codeOf(`http://127.0.0.2:${port}/`)).toBe(302);
  });

  it('ends at its deadline when the server never answers', async () => {
    handler = () => undefined;
    expect(await codeOf(`http://127.0.0.2:${port}/`, { limitMs: 150 })).toBe('send.timed-out');
  });

  it('ends when the caller gives up', async () => {
    handler = () => undefined;
    expect(await codeOf(`http://127.0.0.2:${port}/`, { signal: AbortSignal.timeout(100) })).toBe('send.failed');
  });

  it('fails without the words of the peer when the connection is cut', async () => {
    handler = (request) => request.socket.destroy();
    const answer = await send(`http://127.0.0.2:${port}/`);
    expect(answer).toMatchObject({ ok: false, fault: { code: 'send.failed', retryable: true } });
  });

  it('reads no more of an endless body than was asked for', async () => {
    handler = (_request, response) => {
      response.writeHead(200);
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(1000)));
      };
      response.on('drain', more);
      more();
    };
    const answer = await send(`http://127.0.0.2:${port}/`);
    if (!answer.ok) throw new Error(answer.fault.message);
    expect(await answer.value.text(2_500)).toBe('x'.repeat(2_500));
    await answer.value.close();
  });
});
