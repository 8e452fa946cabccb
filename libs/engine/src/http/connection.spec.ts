import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Connection } from './connection.js';

const never = new AbortController().signal;
const cleanUp: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const leave of cleanUp.splice(0).reverse()) await leave();
});

/** `nth`: how many requests this connection brought before. */
async function aConnection(
  handle: (request: IncomingMessage, response: ServerResponse, nth: number) => void,
): Promise<{ connection: Connection; requests: () => number }> {
  const seen = new WeakMap<object, number>();
  let requests = 0;
  const server = createServer((request, response) => {
    const nth = seen.get(request.socket) ?? 0;
    seen.set(request.socket, nth + 1);
    requests += 1;
    handle(request, response, nth);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const connection = new Connection({ origin, apiPath: '/v1/', rootPath: '/' }, 'sk-1', 5_000);
  cleanUp.push(
    async () => {
      server.closeAllConnections();
      await new Promise<void>((done) => server.close(() => done()));
    },
    async () => await connection.close(),
  );
  return { connection, requests: () => requests };
}

describe('a connection', () => {
  it('that the upstream closed while it was idle costs no request', async () => {
    const { connection, requests } = await aConnection((request, response, nth) => {
      if (nth > 0) request.socket.destroy();
      else response.end('fine');
    });
    // The pool takes a connection back a moment after its answer was read: go on until one is used again.
    let asked = 0;
    while (requests() === asked && asked < 100) {
      expect((await connection.exchange('/x', '{}', never, 100)).text).toBe('fine');
      asked += 1;
      await new Promise((done) => setTimeout(done, 10));
    }
    expect(requests()).toBe(asked + 1);
  });

  it('that was reset while it was idle costs none either', async () => {
    const { connection, requests } = await aConnection((request, response, nth) => {
      if (nth > 0) request.socket.resetAndDestroy();
      else response.end('fine');
    });
    let asked = 0;
    while (requests() === asked && asked < 100) {
      expect((await connection.exchange('/x', '{}', never, 100)).text).toBe('fine');
      asked += 1;
      await new Promise((done) => setTimeout(done, 10));
    }
    expect(requests()).toBe(asked + 1);
  });

  it('that was closed sends its request again over a fresh one: the next idle one may be closed as well', async () => {
    const { connection, requests } = await aConnection((request, response, nth) => {
      if (nth > 0) request.socket.destroy();
      else setTimeout(() => response.end('fine'), 20);
    });
    const ask = async (): Promise<string> => (await connection.exchange('/x', '{}', never, 100)).text;
    await Promise.all(Array.from({ length: 8 }, ask));
    await new Promise((done) => setTimeout(done, 50));
    expect(await Promise.all([ask(), ask()])).toEqual(['fine', 'fine']);
    expect(requests()).toBe(12);
  });

  it('that was closed fails its request where there is no right to another sending', async () => {
    const { connection } = await aConnection((request, response, nth) => {
      if (nth > 0) request.socket.destroy();
      else response.end('fine');
    });
    let asked = 0;
    const mayResend = (): boolean => {
      asked += 1;
      return false;
    };
    const many = async (): Promise<void> => {
      for (let n = 0; n < 100; n += 1) {
        await connection.exchange('/x', '{}', never, 100, mayResend);
        await new Promise((done) => setTimeout(done, 10));
      }
    };
    await expect(many()).rejects.toThrow();
    expect(asked).toBe(1);
  });

  it('that is closed on its first request is not tried again: the request may be why', async () => {
    const { connection, requests } = await aConnection((request) => void request.socket.destroy());
    await expect(connection.exchange('/x', '{}', never, 100)).rejects.toThrow();
    expect(requests()).toBe(1);
  });

  it('reads no more of a page than it was asked to', async () => {
    const { connection } = await aConnection((_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
        response.once('drain', more);
      };
      more();
    });
    expect((await connection.get('/x', never, 1_000)).text).toBe('x'.repeat(1_000));
  });

  it('asks for no compression and takes none', async () => {
    const { connection } = await aConnection((request, response) => {
      response.setHeader('content-encoding', request.url === '/identity' ? 'Identity' : 'br');
      response.end(JSON.stringify(request.headers));
    });
    const { text } = await connection.get('/identity', never, 1_000);
    expect(JSON.parse(text)).toMatchObject({ 'accept-encoding': 'identity', authorization: 'Bearer sk-1' });
    await expect(connection.get('/x', never, 1_000)).rejects.toThrow(/compressed its answer \(br\)/);
  });

  it('follows no redirect', async () => {
    const { connection, requests } = await aConnection((_, response) => void response.writeHead(302, { location: '/elsewhere' }).end());
    expect((await connection.get('/x', never, 1_000)).status).toBe(302);
    expect(await connection.stream('/x', '{}', never)).toMatchObject({ refusal: { status: 302 } });
    expect(requests()).toBe(2);
  });
});
