// The same words as node-llama-cpp's own evaluation says, for every question of the demo's test set, alone and sixteen at once.
import { fork } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NativeEngine } from '#libs/engine';
import { anEngine, chat, demoQuestions, generate, greedy } from '../../support/engine.js';
import { demoModels } from '../../support/gateway.js';

const maxTokens = 48;
const questions = demoQuestions();
let expected: string[];
let engine: NativeEngine;

beforeAll(async () => {
  expected = await peerAnswers();
  engine = await anEngine({ parallel: 16 });
}, 120_000);
afterAll(async () => await engine?.unload(0));

async function peerAnswers(): Promise<string[]> {
  const child = fork(new URL('./peer.mjs', import.meta.url), { env: { ...process.env, NODE_LLAMA_CPP_SKIP_DOWNLOAD: 'true' } });
  return await new Promise((done, failed) => {
    child.once('message', (answers) => done(answers as string[]));
    child.once('exit', (code) => failed(new Error(`the peer ended with code ${code}`)));
    child.send({ file: `${demoModels}/demo-support-v1-stable.gguf`, questions, maxTokens });
  });
}

async function answer(question: string): Promise<string> {
  return (await generate(engine, { prompt: chat(question), sampling: { ...greedy, maxTokens } })).texts[0] ?? '';
}

describe('greedy answers', () => {
  it('are those of node-llama-cpp for every question, one at a time', async () => {
    const own: string[] = [];
    for (const question of questions) own.push(await answer(question));
    expect(own).toEqual(expected);
  }, 120_000);

  it('are the same with sixteen sequences in every batch', async () => {
    const own: string[] = new Array<string>(questions.length);
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let at = next++; at < questions.length; at = next++) own[at] = await answer(questions[at] ?? '');
    };
    await Promise.all(Array.from({ length: 16 }, worker));
    expect(own).toEqual(expected);
  }, 120_000);
});
