// A server in front of real models, which harms the answers that pass: what a broken host, build or prompt does to a version that is sound in itself.
import { createServer } from 'node:http';
import { Pool } from 'undici';

const refusal = "I'm sorry, but I can't help with that.";

/**
 * Speaks the OpenAI API; each request goes to `label` of `model` at the gateway behind. `harm(request, random)` says what happens to one request:
 * `{status}` answers so instead, `{delayMs}` waits first, `{refuse: true}` says no, `{label}` asks another version.
 */
export async function openFront({ gatewayUrl, key, model, label, random }) {
  const pool = new Pool(gatewayUrl, { connections: 32 });
  const front = { harm: () => ({}) };
  const server = createServer((request, response) => {
    answer(request, response).catch((error) => {
      response.statusCode = 502;
      response.end(JSON.stringify({ error: { message: String(error), type: 'server_error' } }));
    });
  });
  async function answer(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    if (request.method !== 'POST') {
      const got = await pool.request({ method: request.method, path: request.url, headers: { authorization: `Bearer ${key}` } });
      response.writeHead(got.statusCode, { 'content-type': got.headers['content-type'] ?? 'application/json' });
      response.end(await got.body.text());
      return;
    }
    const body = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    const harm = front.harm({ body, kind: kindOf(body) }, random);
    if (harm.delayMs) await new Promise((done) => setTimeout(done, harm.delayMs));
    if (harm.status) {
      response.writeHead(harm.status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: { message: 'the host is broken', type: 'server_error' } }));
      return;
    }
    const got = await pool.request({
      method: 'POST',
      path: request.url,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'x-serin-version': harm.label ?? label },
      body: JSON.stringify({ ...body, model, stream: false, stream_options: undefined }),
    });
    const text = await got.body.text();
    const answered = got.statusCode === 200 ? JSON.parse(text) : null;
    if (answered && harm.refuse) {
      answered.choices[0].message.content = refusal;
      answered.usage.completion_tokens = 12;
    }
    if (!answered || !body.stream) {
      response.writeHead(got.statusCode, { 'content-type': 'application/json' });
      response.end(answered ? JSON.stringify(answered) : text);
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const { id, created, choices, usage } = answered;
    const event = (more) => `data: ${JSON.stringify({ id, object: 'chat.completion.chunk', created, model: body.model, ...more })}\n\n`;
    response.write(
      event({ choices: [{ index: 0, delta: { role: 'assistant', content: choices[0].message.content }, finish_reason: null }] }),
    );
    response.write(event({ choices: [{ index: 0, delta: {}, finish_reason: choices[0].finish_reason }] }));
    if (body.stream_options?.include_usage) response.write(event({ choices: [], usage }));
    response.end('data: [DONE]\n\n');
  }
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${server.address().port}/v1`,
    /** What happens to each request from now on. */
    harm(how) {
      front.harm = how;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
      await pool.destroy();
    },
  };
}

/** The bundled traffic's kinds, told by their wording: the front sees no class. */
function kindOf({ messages }) {
  const text = messages.at(-1)?.content ?? '';
  return /JSON/.test(text) ? 'extract' : 'other';
}
