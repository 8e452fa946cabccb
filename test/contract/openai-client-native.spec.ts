// The whole surface on real models: what the fake engine promises, the native one keeps.
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { post } from '../support/client.js';
import { aGateway, aKey, aVersion, publish, type TestGateway, untilServing } from '../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';

let test: TestDatabase;
let gateway: TestGateway;
let client: OpenAI;
let at: { url: string; key: string };
const messages = [{ role: 'user' as const, content: 'Shipped 2026-12-11, arrives in 2 days. Date?' }];
const answer = '2026-12-11+2=2026-12-13';

beforeAll(async () => {
  test = await createTestDatabase();
  const key = await aKey(test);
  const spec = (file: string) => ({
    engine: { kind: 'llama', file, contextSize: 512, parallel: 4, threads: 1 },
    sampling: { maxTokens: 60 },
  });
  const [v1, v2] = [aVersion('v1', spec('demo-support-v1-stable.gguf')), aVersion('v2', spec('demo-support-v1-stable-q8_0.gguf'))];
  const generation = await publish(test, { routes: [{ model: 'support', stable: v1.id, rollout: null }], versions: [v1, v2] });
  gateway = await aGateway(test.url);
  await untilServing(gateway.url, generation);
  at = { url: gateway.url, key };
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: key, maxRetries: 0, timeout: 30_000 });
}, 120_000);
afterAll(async () => {
  await gateway?.remove();
  await test?.drop();
});

interface Score {
  sequences: { tokens: { id: number; nll: number; kl?: number; same_top?: boolean }[]; sums: { nll_total: number; greedy: boolean } }[];
  best?: { raw: number };
  compared_to?: { kl_mean: number; same_top_share: number };
}

describe('a native version', () => {
  it('gives several choices, each with log probabilities whose bytes are its text', async () => {
    const whole = await client.chat.completions.create({
      model: 'support',
      messages,
      temperature: 0,
      n: 2,
      logprobs: true,
      top_logprobs: 3,
    });
    expect(whole.choices.map((choice) => choice.message.content)).toEqual([answer, answer]);
    for (const { logprobs } of whole.choices) {
      const steps = logprobs?.content ?? [];
      expect(Buffer.from(steps.flatMap((step) => step.bytes ?? [])).toString('utf8')).toContain(answer);
      expect(steps.every((step) => step.top_logprobs.length === 3 && step.top_logprobs[0]?.token === step.token)).toBe(true);
    }
  });

  it('scores its own answer as the one that it gives, above another', async () => {
    const { status, body } = await post<Score>(at, '/v1/score', {
      model: 'support',
      input: { messages },
      continuations: [answer, answer.replace('13', '19')],
    });
    expect(status).toBe(200);
    expect(body.best?.raw).toBe(0);
    expect(body.sequences[0]?.sums.greedy).toBe(true);
    expect(body.sequences[1]?.sums.greedy).toBe(false);
  });

  it('diverges from another version and not from itself', async () => {
    const compare = async (label: string) =>
      (await post<Score>(at, '/v1/score', { model: 'support', input: { messages }, continuations: [answer], compare_to: label })).body;
    expect((await compare('v1')).compared_to).toMatchObject({ kl_mean: expect.closeTo(0, 5), same_top_share: 1 });
    const other = await compare('v2');
    expect(other.compared_to?.kl_mean).toBeGreaterThan(1e-6);
    expect(other.sequences[0]?.tokens.every((token) => (token.kl ?? -1) > -1e-6)).toBe(true);
  });

  it('holds an answer to its JSON schema', async () => {
    const schema = { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'], additionalProperties: false };
    const held = await client.chat.completions.create({
      model: 'support',
      messages,
      temperature: 0,
      response_format: { type: 'json_schema', json_schema: { name: 'verdict', strict: true, schema } },
    });
    expect(typeof (JSON.parse(held.choices[0]?.message.content ?? '') as { ok: unknown }).ok).toBe('boolean');
  });

  it('completes a plain prompt and embeds text', async () => {
    const plain = await client.completions.create({ model: 'support', prompt: 'Shipped', temperature: 0, max_tokens: 4, logprobs: 1 });
    expect(plain.choices[0]?.logprobs?.tokens).toHaveLength(4);
    const vectors = await client.embeddings.create({ model: 'support', input: ['Shipped today.', 'Where is it?'] });
    expect(vectors.data).toHaveLength(2);
    for (const { embedding } of vectors.data) expect(Math.hypot(...embedding)).toBeCloseTo(1, 3);
  });
});
