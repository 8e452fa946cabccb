// How upstreams break, by name: what the reliability evidence lists (faults 19 to 23, 33) and what was seen at real servers.
import { gzipSync } from 'node:zlib';
import { done, event, finish, role, token, usageChunk } from './answers.mjs';

const json = { 'content-type': 'application/json' };
const sse = { 'content-type': 'text/event-stream; charset=utf-8' };
const beforeDeath = 3;
const dripMs = 1_000;
const hugeLineBytes = 4 << 20;
const bombBytes = 64 << 20;
const bomb = gzipSync(Buffer.alloc(bombBytes));

function refuse(status, headers = {}) {
  return (_request, response) => {
    response.writeHead(status, { ...json, ...headers });
    response.end(JSON.stringify({ error: { message: 'the upstream says no', type: 'server_error', code: null } }));
  };
}

/** Begins as it should: head, role and some tokens, or half of a whole answer. Calls back when these are on their way. */
function begin(response, { stream, chat, top }, then) {
  if (!stream) {
    response.writeHead(200, { ...json, 'content-length': 900 });
    response.write('{"id":"chatcmpl-1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Half of');
    return setTimeout(then, 20);
  }
  response.writeHead(200, sse);
  if (chat) response.write(role);
  for (let at = 0; at < beforeDeath; at += 1) response.write(token(chat, at, top));
  setTimeout(then, 20);
}

function inside(bytes) {
  return (_request, response, asked) =>
    begin(response, asked, () => {
      response.write(bytes);
      if (asked.stream) response.write(finish[asked.chat]);
      response.end(asked.stream ? done : undefined);
    });
}

/** Each answers wrongly in its own way. */
const faults = {
  reset: (request) => request.socket.resetAndDestroy(),
  'no-http': (request) => request.socket.end('SSH-2.0-OpenSSH_9.2\r\n'),
  'silent-before-head': () => undefined,
  'silent-after-head': (_request, response) => {
    response.writeHead(200, sse);
    response.flushHeaders();
  },
  'silent-in-stream': (_request, response, asked) => begin(response, asked, () => undefined),
  drip: (_request, response, asked) =>
    begin(response, asked, () => {
      const timer = setInterval(() => response.write(':'), dripMs);
      response.once('close', () => clearInterval(timer));
    }),
  'dies-in-stream': (_request, response, asked) => begin(response, asked, () => response.destroy()),
  'ends-in-stream': (_request, response, asked) => begin(response, asked, () => response.end()),
  'error-in-stream': (_request, response, asked) =>
    begin(response, asked, () => response.end(event({ error: { message: 'CUDA error: out of memory', type: 'server_error', code: 500 } }))),
  'no-done': (_request, response, asked) =>
    begin(response, asked, () => {
      response.write(finish[asked.chat]);
      if (asked.usage) response.write(usageChunk(asked.chat, asked.tokens));
      response.end();
    }),
  'bad-json': inside('data: {"choices":[{"index":0,"delta":{"content":"x"}\n\n'),
  'bad-sse': inside('this is no event\r\r\n\n: nor this\n\ndata\n\n\n'),
  'nul-bytes': inside(Buffer.concat([Buffer.from('data: '), Buffer.alloc(64), Buffer.from('\n\n')])),
  'huge-line': inside(`data: {"choices":[{"index":0,"delta":{"content":"${'x'.repeat(hugeLineBytes)}"}}]}\n\n`),
  'wrong-length': (_request, response) => {
    response.writeHead(200, { ...json, 'content-length': 4_000 });
    response.write('{"id":"chatcmpl-1"}');
    setTimeout(() => response.destroy(), 20);
  },
  'wrong-type': (_request, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>It works!</html>'),
  'error-with-200': (_request, response) =>
    void response.writeHead(200, json).end(JSON.stringify({ error: { message: 'model is loading', type: 'server_error', code: 503 } })),
  'status-500': refuse(500),
  'status-429': refuse(429, { 'retry-after': '1' }),
  'status-503': refuse(503, { 'retry-after': '1' }),
  'gzip-bomb': (_request, response, { stream }) =>
    void response.writeHead(200, { ...(stream ? sse : json), 'content-encoding': 'gzip', 'content-length': bomb.length }).end(bomb),
  endless: (_request, response, { stream }) => {
    response.writeHead(200, stream ? sse : json);
    const piece = Buffer.alloc(64 << 10, stream ? 'x' : ' ');
    const more = () => {
      while (!response.destroyed && response.write(piece));
      if (!response.destroyed) response.once('drain', more);
    };
    more();
  },
};

export const faultNames = Object.keys(faults);

/** True when it knew the name and took the request. */
export function misbehave(name, request, response, asked) {
  const fault = faults[name];
  if (!fault) return false;
  fault(request, response, asked);
  return true;
}
