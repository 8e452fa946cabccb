// Participant (e): llama-server over its own HTTP interface, token ids in, one event per token out.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { createServer } from 'node:net';
import { timeRequests } from './measure.mjs';
import { participate } from './participant.mjs';

const startLimitMs = 120_000;
const batchTokens = '512';

participate(async ({ file, parallel, contextSize, threads, binary }) => {
  const port = await freePort();
  const sizes = ['-c', contextSize * parallel, '-np', parallel, '-b', batchTokens, '-ub', batchTokens, '-t', threads, '-tb', threads];
  const args = ['-m', file, '--host', '127.0.0.1', '--port', port, ...sizes, '-ngl', '0', '--metrics', '--cache-ram', '0'].map(String);
  const server = spawn(binary, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  server.stderr.on('data', (chunk) => {
    said = (said + chunk).slice(-4_000);
  });
  process.on('exit', () => server.kill('SIGKILL'));
  await untilHealthy({ port, server, said: () => said });

  const occupancyFrom = async (before, n) => {
    const after = await busySlots(port);
    return after === null || before === null || after.decodes === before.decodes
      ? null
      : (after.busy - before.busy) / (after.decodes - before.decodes) / n;
  };

  const together = async ({ requests }) => {
    const before = await busySlots(port);
    const result = await timeRequests({
      requests,
      together: true,
      pid: server.pid,
      ask: async ({ tokens, outputTokens }, _, onToken) => {
        const body = { prompt: tokens, n_predict: outputTokens, temperature: 0, stream: true, cache_prompt: false, ignore_eos: false };
        await streamCompletion(port, body, onToken);
      },
    });
    return { ...result, occupancy: await occupancyFrom(before, requests.length) };
  };
  return {
    runs: { together },
    close: async () => {
      const ended = once(server, 'exit');
      server.kill('SIGKILL');
      await ended;
    },
  };
});

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

async function untilHealthy({ port, server, said }) {
  const until = performance.now() + startLimitMs;
  while (performance.now() < until) {
    if (server.exitCode !== null || server.signalCode !== null) throw new Error(`llama-server ended while loading:\n${said()}`);
    const healthy = await fetch(`http://127.0.0.1:${port}/health`).then(
      (answer) => answer.ok,
      () => false,
    );
    if (healthy) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`llama-server was not ready within ${startLimitMs / 1_000} s:\n${said()}`);
}

/** Calls `onToken` per streamed token. Each request has a connection of its own: the server closes it after a stream. */
async function streamCompletion(port, body, onToken) {
  const payload = JSON.stringify(body);
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) };
  await new Promise((done, failed) => {
    const asked = httpRequest({ host: '127.0.0.1', port, path: '/completion', method: 'POST', headers, agent: false }, (answer) => {
      if (answer.statusCode !== 200) failed(new Error(`llama-server answered ${answer.statusCode}`));
      let rest = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk) => {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) if (line.startsWith('data: ') && line.includes('"stop":false')) onToken();
      });
      answer.on('end', done);
      answer.on('error', failed);
    });
    asked.on('error', failed);
    asked.end(payload);
  });
}

/** The server's own counters of decodes and of the slots that were busy in them. */
async function busySlots(port) {
  const text = await fetch(`http://127.0.0.1:${port}/metrics`).then(async (answer) => await answer.text());
  const value = (name) => Number(new RegExp(`^llamacpp:${name} (\\S+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
  const decodes = value('n_decode_total');
  const perDecode = value('n_busy_slots_per_decode');
  return Number.isFinite(decodes) && Number.isFinite(perDecode) ? { decodes, busy: decodes * perDecode } : null;
}
