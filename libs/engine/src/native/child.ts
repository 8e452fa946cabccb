// Entry of an engine child: one process holds one version. A native crash here is that version's failure and nobody else's.
import { performance } from 'node:perf_hooks';
import { type Fault, type Outcome, systemRng } from '#libs/base';
import type { EngineFaultCode } from '../engine.js';
import { DecodeLoop } from './decode-loop.js';
import { gbnfOf } from './grammar/gbnf-of.js';
import { LogitsKernel } from './logits/kernel.js';
import { type OpenModel, openModel } from './open-model.js';
import { dieWithParent } from './parent-death.js';
import type { FromChild, GenerateMessage, LoadRequest, ToChild } from './protocol.js';
import { planCalls } from './tools/call-plan.js';

dieWithParent(Number(process.argv[2]));

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
    loop = new DecodeLoop({
      model: opened,
      kernel: new LogitsKernel(opened.vocabulary.size),
      send,
      nowMs: () => performance.now(),
      randomSeed: () => Math.floor(systemRng.uniform() * 2 ** 32),
      measure: request.measure === 'exact',
      prefixCache: request.prefixCache,
      maxQueuedTokens: request.maxQueuedTokens,
    });
    const { decoder, ownLoop, embedder, vocabulary } = opened;
    const { contextSize, evaluation } = decoder;
    send({ type: 'loaded', contextSize, vocabularySize: vocabulary.size, evaluation, ownLoop, embeddings: embedder !== null });
    await loop.run();
  } catch (error) {
    if (!loop) send({ type: 'loadFailed', message: messageOf(error) });
    else process.stderr.write(`decode loop: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    // Let the message leave before the process does.
    setTimeout(() => process.exit(70), 50);
  }
}

/** Runs what a request needs before it can wait in the queue; its mistakes are that request's own. */
function begin(id: number, work: (opened: OpenModel, running: DecodeLoop) => void): void {
  const refuse = (code: EngineFaultCode, message: string): void => send({ type: 'failed', id, code, message });
  if (!model || !loop) return refuse('engine.not-loaded', 'no model is loaded');
  try {
    work(model, loop);
  } catch (error) {
    refuse('engine.bad-request', messageOf(error));
  }
}

function generate(message: GenerateMessage): void {
  begin(message.id, (opened, running) => {
    const { constraint, tools, prompt } = message;
    if (tools) {
      if (prompt.kind !== 'chat' || !opened.chat) throw new Error('the model has no chat template: it cannot be told of tools');
      const plan = taken(planCalls(tools, opened.chat.syntax, constraint));
      running.addGeneration(message, opened.chat.tokens(prompt.messages, tools.tools, plan.start), null, plan);
      return;
    }
    running.addGeneration(message, opened.tokenize(prompt), constraint ? taken(gbnfOf(constraint)) : null, null);
  });
}

function taken<T>(made: Outcome<T, Fault>): T {
  if (!made.ok) throw new Error(made.fault.message);
  return made.value;
}

process.on('message', (message: ToChild) => {
  switch (message.type) {
    case 'load':
      void load(message);
      return;
    case 'generate':
      return generate(message);
    case 'score':
      return begin(message.id, (_, running) => running.addScore(message.id, message.request));
    case 'embed':
      return begin(message.id, (_, running) => running.addEmbedding(message.id, message.inputs));
    case 'cancel':
      return loop?.cancel(message.id);
    case 'ping':
      send({
        type: 'pong',
        rssBytes: process.memoryUsage.rss(),
        stepAgeMs: loop?.stepAgeMs ?? null,
        stats: loop?.stats() ?? null,
      });
      return;
  }
});

// Nobody to serve any more: a gateway that was killed must not leave engines behind.
process.on('disconnect', () => process.exit(0));
// Ctrl-C in a terminal reaches the whole process group; the gateway decides when engines stop.
process.on('SIGINT', () => undefined);
