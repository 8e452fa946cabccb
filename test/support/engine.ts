// Native engines on the demo models, for specs that speak to the engine port itself.
import { readFileSync } from 'node:fs';
import { type GenerateRequest, NativeEngine, type NativeEngineOptions, type NativeEngineSpec, type TokenEvent } from '#libs/engine';
import { createLog } from '#libs/telemetry';
import { demoModels } from './gateway.js';

export const greedy = { temperature: 0, topP: 1, topK: 0, minP: 0, maxTokens: 64, stop: [] } as const;
export const question = 'Shipped 2026-12-11, arrives in 2 days. Date?';

export function chat(text: string): GenerateRequest['prompt'] {
  return { kind: 'chat', messages: [{ role: 'user', content: text }] };
}

/** A loaded engine; the spec unloads it. */
export async function anEngine(
  spec: Partial<NativeEngineSpec> & { readonly model?: string } = {},
  options: Partial<NativeEngineOptions> = {},
): Promise<NativeEngine> {
  const { model = 'demo-support-v1-stable.gguf', ...rest } = spec;
  const engine = new NativeEngine({
    spec: { file: `${demoModels}/${model}`, contextSize: 512, gpuLayers: 0, parallel: 4, threads: 1, ...rest },
    log: createLog('engine', 'silent'),
    ...options,
  });
  await engine.load(AbortSignal.timeout(60_000));
  return engine;
}

type End = Extract<TokenEvent, { type: 'end' }>;
type Token = Extract<TokenEvent, { type: 'token' }>;

export interface Generated {
  /** By choice. */
  readonly texts: string[];
  readonly reasons: string[];
  readonly tokens: Token[];
  readonly end: End;
}

export async function generate(
  engine: NativeEngine,
  request: Partial<GenerateRequest> = {},
  signal: AbortSignal = AbortSignal.timeout(60_000),
): Promise<Generated> {
  const texts: string[] = [];
  const reasons: string[] = [];
  const tokens: Token[] = [];
  let end: End | null = null;
  for await (const event of engine.generate({ id: 'spec', prompt: chat(question), sampling: greedy, ...request }, signal)) {
    if (event.type === 'token') {
      texts[event.choice] = (texts[event.choice] ?? '') + event.text;
      tokens.push(event);
    } else if (event.type === 'finish') reasons[event.choice] = event.finishReason;
    else end = event;
  }
  if (!end) throw new Error('the answer has no end');
  return { texts, reasons, tokens, end };
}

/** The user's words of every case of the demo's test set. */
export function demoQuestions(): string[] {
  const lines = readFileSync(new URL('../../demo/testset.jsonl', import.meta.url), 'utf8')
    .trim()
    .split('\n');
  return lines.map((line) => (JSON.parse(line) as { messages: { content: string }[] }).messages.at(-1)?.content ?? '');
}
