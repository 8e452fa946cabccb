// The upstream as a process of its own: answers at once or paced, misbehaves when the prompt says so, and counts what it still works on.
import { createServer } from 'node:http';
import { nowMs } from '../clock.mjs';
import { answerTo } from '../process.mjs';
import { done, finish, framed, role, token, usageChunk, whole } from './answers.mjs';
import { misbehave } from './faults.mjs';
import { Slots } from './slots.mjs';

const pacedMs = 10;
const slowMs = 400;
const models = ['mock', 'mock-b', 'mock-paced', 'mock-paced-b', 'mock-slow', 'mock-good', 'mock-bad'];

/** Everything that was asked of it since the last reset. `refs`: requests that named themselves in their prompt by `ref:NAME`. */
const seen = { arrived: 0, open: 0, finished: 0, abandoned: 0, byModel: new Map(), refs: new Map(), lastArrivalMs: new Map() };
let slots = null;
let told = { slots: 0, serviceMs: 0 };

function field(text, pattern) {
  return pattern.exec(text)?.[1] ?? null;
}

/** Reads what matters without parsing the whole body: the upstream must cost less than the proxies in front of it. */
function read(path, body) {
  const text = body.latin1Slice();
  const chat = path.endsWith('/chat/completions');
  const asked = chat ? /"logprobs"\s*:\s*true/.test(text) : field(text, /"logprobs"\s*:\s*(\d+)/) !== null;
  const top = Number(field(text, chat ? /"top_logprobs"\s*:\s*(\d+)/ : /"logprobs"\s*:\s*(\d+)/) ?? 0);
  const model = field(text, /"model"\s*:\s*"([^"]*)"/) ?? '';
  const only = field(text, /\bonly:([\w-]+)/);
  return {
    chat,
    model,
    stream: /"stream"\s*:\s*true/.test(text),
    usage: /"include_usage"\s*:\s*true/.test(text),
    tokens: Number(field(text, /"max_(?:completion_)?tokens"\s*:\s*(\d+)/) ?? 64),
    top: asked ? top : null,
    ref: field(text, /\bref:([\w-]+)/),
    fault: only === null || only === model ? field(text, /\bdo:([\w-]+)/) : null,
  };
}

function page(response, status, value) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function pages(path, response) {
  if (path.endsWith('/models'))
    return page(response, 200, {
      object: 'list',
      data: models.map((id) => ({ id, object: 'model', owned_by: slots ? 'llamacpp' : 'vllm' })),
    });
  if (path === '/version' && !slots) return page(response, 200, { version: '0.11.0' });
  if (path === '/props' && slots)
    return page(response, 200, { total_slots: told.slots, build_info: 'b6000', default_generation_settings: { n_ctx: 4_096 } });
  page(response, 404, { error: { message: 'Not Found' } });
}

function stream(response, asked) {
  const { chat, tokens, top, usage, model } = asked;
  const gapMs = model.includes('paced') ? pacedMs : 0;
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  let at = 0;
  const end = () => {
    response.write(finish[chat]);
    if (usage) response.write(usageChunk(chat, tokens));
    response.end(done);
  };
  // Framed by hand, one buffer and one write for each chunk: what the upstream saves, proxies and clients can use.
  response.flushHeaders();
  const { socket } = response;
  const next = () => {
    if (response.destroyed) return false;
    if (at === 0 && chat) socket.write(framed(role));
    socket.write(framed(token(chat, at, top)));
    at += 1;
    return at < tokens;
  };
  if (gapMs > 0) {
    const timer = setInterval(() => {
      if (next()) return;
      clearInterval(timer);
      if (!response.destroyed) end();
    }, gapMs);
    response.once('close', () => clearInterval(timer));
    return;
  }
  const turn = () => {
    if (next()) setImmediate(turn);
    else if (!response.destroyed) end();
  };
  turn();
}

function answer(request, response, asked) {
  if (asked.fault !== null && misbehave(asked.fault, request, response, asked)) return;
  if (asked.stream) return stream(response, asked);
  const body = whole(asked.tokens, asked.top);
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
}

function take(request, response, body) {
  const asked = read(request.url, body);
  const { model, ref } = asked;
  const arrivedMs = nowMs();
  seen.arrived += 1;
  seen.open += 1;
  seen.byModel.set(model, (seen.byModel.get(model) ?? 0) + 1);
  seen.lastArrivalMs.set(model, arrivedMs);
  const entry = { arrivedMs, closedMs: null, finished: false };
  if (ref !== null) seen.refs.set(ref, entry);
  response.once('close', () => {
    entry.closedMs = nowMs();
    entry.finished = response.writableFinished;
    seen.open -= 1;
    if (response.writableFinished) seen.finished += 1;
    else seen.abandoned += 1;
  });
  if (slots) return slots.serve(response, () => answer(request, response, asked));
  if (model.includes('slow')) {
    const timer = setTimeout(() => answer(request, response, asked), slowMs);
    response.once('close', () => clearTimeout(timer));
    return;
  }
  answer(request, response, asked);
}

const server = createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
  response.on('error', () => undefined);
  request.on('error', () => undefined);
  if (request.method === 'GET') return pages(request.url, response);
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => take(request, response, chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
});

answerTo({
  /** `slots` > 0: serves so many at a time for `serviceMs` each, in order of arrival, and tells so as llama-server does. */
  listen: async (wanted) => {
    told = { ...told, ...wanted };
    if (told.slots > 0) slots = new Slots(told.slots, told.serviceMs);
    await new Promise((listening) => server.listen(0, '127.0.0.1', 4_096, listening));
    return server.address().port;
  },
  seen: () => ({
    arrived: seen.arrived,
    open: seen.open,
    finished: seen.finished,
    abandoned: seen.abandoned,
    byModel: Object.fromEntries(seen.byModel),
    lastArrivalMs: Object.fromEntries(seen.lastArrivalMs),
    slots: slots?.figures() ?? null,
  }),
  refs: () => Object.fromEntries(seen.refs),
  reset: () => {
    Object.assign(seen, { arrived: seen.open, finished: 0, abandoned: 0 });
    seen.byModel.clear();
    seen.refs.clear();
    seen.lastArrivalMs.clear();
  },
});
