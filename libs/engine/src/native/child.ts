// Entry of an engine child: one process holds one version. A native crash here is that version's failure and nobody else's.
import { performance } from 'node:perf_hooks';
import { systemRng } from '#libs/base';
import { DecodeLoop } from './decode-loop.js';
import { type OpenModel, openModel } from './llama-decoder.js';
import type { FromChild, LoadRequest, ToChild } from './protocol.js';

let loop: DecodeLoop | null = null;
let model: OpenModel | null = null;

function send(message: FromChild): void {
  // The parent may be gone between two steps; 'disconnect' below then ends us.
  if (process.connected) process.send?.(message);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function load(request: LoadRequest): Promise<void> {
  try {
    const opened = await openModel(request);
    model = opened;
    loop = new DecodeLoop(opened, send, {
      maxQueued: request.maxQueued,
      nowMs: () => performance.now(),
      randomSeed: () => Math.floor(systemRng.uniform() * 2 ** 32),
    });
    send({ type: 'loaded', contextSize: opened.contextSize });
    await loop.run();
  } catch (error) {
    if (!loop) send({ type: 'loadFailed', message: messageOf(error) });
    else process.stderr.write(`decode loop: ${messageOf(error)}\n`);
    // Let the message leave before the process does.
    setTimeout(() => process.exit(70), 50);
  }
}

process.on('message', (message: ToChild) => {
  switch (message.type) {
    case 'load':
      void load(message);
      return;
    case 'generate':
      try {
        if (!model || !loop) throw new Error('no model is loaded');
        loop.add(message.id, model.tokenizeChat(message.messages), message.sampling);
      } catch (error) {
        send({ type: 'failed', id: message.id, code: 'engine.bad-request', message: messageOf(error) });
      }
      return;
    case 'cancel':
      loop?.cancel(message.id);
      return;
    case 'ping':
      send({ type: 'pong', rssBytes: process.memoryUsage.rss(), ...(loop?.load ?? { running: 0, queued: 0 }) });
      return;
  }
});

// Nobody to serve any more: a gateway that was killed must not leave engines behind.
process.on('disconnect', () => process.exit(0));
// Ctrl-C in a terminal reaches the whole process group; the gateway decides when engines stop.
process.on('SIGINT', () => undefined);
