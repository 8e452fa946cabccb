// POST /v1/score: sums that follow from the tokens, choices by likelihood, exact divergence between versions, and no trace of any of it.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FakeEngine, fakeVocabularySize } from '#libs/engine';
import { type ErrorBody, post } from '../../support/client.js';
import { aGateway, aKey, aVersion, fakeFactory, publish, type TestGateway, until, untilServing } from '../../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';

let test: TestDatabase;
let gateway: TestGateway;
let at: { url: string; key: string };
let weak: { url: string; key: string };
const stable = new FakeEngine();
const candidate = new FakeEngine();
const foreign = new FakeEngine({ capabilities: { vocabularyHash: 'bb'.repeat(32) } });
const mute = new FakeEngine({ capabilities: { scoring: false } });

beforeAll(async () => {
  test = await createTestDatabase();
  const key = await aKey(test);
  const weakKey = await aKey(test, ['inference:invoke']);
  const [v1, v2, v3, v4] = [
    aVersion('v1', { engine: { kind: 'llama', file: 'v1.gguf' }, systemPrompt: 'Be brief.' }),
    aVersion('v2'),
    aVersion('foreign'),
    aVersion('mute'),
  ];
  const muteStable = aVersion('mute', undefined, 'mute');
  const generation = await publish(test, {
    routes: [
      { model: 'support', stable: v1.id, rollout: null },
      { model: 'mute', stable: muteStable.id, rollout: null },
    ],
    versions: [v1, v2, v3, v4, muteStable],
  });
  gateway = await aGateway(test.url, { factory: fakeFactory({ v1: stable, v2: candidate, foreign, mute }) });
  await untilServing(gateway.url, generation);
  at = { url: gateway.url, key };
  weak = { url: gateway.url, key: weakKey };
});
afterAll(async () => {
  await gateway?.remove();
  await test?.drop();
});
beforeEach(() => {
  for (const engine of [stable, candidate]) {
    engine.behaviour = {};
    engine.seenScores.length = 0;
  }
});

interface Sums {
  nll_total: number;
  tokens: number;
  bytes: number | null;
  perplexity: number | null;
  bits_per_byte: number | null;
  entropy_mean: number | null;
  entropy_max: number | null;
  greedy: boolean;
}
interface ScoreAnswer {
  object: string;
  version: string;
  system_fingerprint: string;
  sequences: {
    index: number;
    tokens: {
      id: number;
      text: string;
      nll: number | null;
      entropy: number | null;
      rank: number | null;
      top_logprobs?: { token: string; logprob: number }[];
      kl?: number;
      same_top?: boolean;
    }[];
    sums: Sums;
    log_likelihood?: number;
    log_likelihood_per_token?: number;
    log_likelihood_per_byte?: number;
  }[];
  best?: { raw: number; byte_normalised: number };
  compared_to?: { version: string; kl_mean: number; same_top_share: number };
}
const score = async (body: object, headers: Record<string, string> = {}) =>
  await post<ScoreAnswer>(at, '/v1/score', { model: 'support', ...body }, headers);
const refused = async (body: object, who = at) => await post<ErrorBody>(who, '/v1/score', { model: 'support', ...body });

describe('the score of a text', () => {
  it('has a value per token and the sums that follow from them', async () => {
    const { status, body } = await score({ input: 'The cat sät down' });
    expect(status).toBe(200);
    expect(body).toMatchObject({ object: 'score', version: 'v1' });
    const [sequence] = body.sequences;
    expect(sequence?.tokens.map((token) => token.text)).toEqual(['The', ' cat', ' sät', ' down']);
    expect(sequence?.tokens[0]).toMatchObject({ nll: null, entropy: null, rank: null });
    const scored = sequence?.tokens.slice(1) ?? [];
    const nll = scored.reduce((sum, token) => sum + (token.nll ?? Number.NaN), 0);
    const entropies = scored.map((token) => token.entropy ?? Number.NaN);
    expect(sequence?.sums).toEqual({
      nll_total: nll,
      tokens: 3,
      bytes: 17,
      perplexity: Math.exp(nll / 3),
      bits_per_byte: nll / Math.LN2 / 17,
      entropy_mean: entropies.reduce((sum, value) => sum + value, 0) / 3,
      entropy_max: Math.max(...entropies),
      greedy: false,
    });
    expect(sequence).not.toHaveProperty('log_likelihood');
    expect(body).not.toHaveProperty('best');
    expect(stable.seenScores[0]).toMatchObject({
      context: null,
      continuations: ['The cat sät down'],
      ticket: { priority: 'evaluation', deadlineMs: 900_000 },
    });
  });

  it('takes token ids, and the last answer of a conversation after what was said before', async () => {
    await score({ input: [3, 4, 5], top_logprobs: 2 });
    expect(stable.seenScores[0]).toMatchObject({ context: null, continuations: [[3, 4, 5]], topLogprobs: 2 });
    const messages = [
      { role: 'user', content: 'Where is it?' },
      { role: 'assistant', content: 'On its way.' },
    ];
    await score({ input: { messages } });
    expect(stable.seenScores[1]).toMatchObject({
      context: { kind: 'chat', messages: [{ role: 'system', content: 'Be brief.' }, messages[0]] },
      continuations: ['On its way.'],
    });
  });

  it('tells the most likely tokens when asked for', async () => {
    const { body } = await score({ input: 'a b', top_logprobs: 3 });
    const top = body.sequences[0]?.tokens[1]?.top_logprobs ?? [];
    expect(top).toHaveLength(3);
    expect(top.map((token) => token.logprob)).toEqual(top.map((token) => token.logprob).sort((one, other) => other - one));
  });

  it('is the score of stable, or of the version that is pinned', async () => {
    expect((await score({ input: 'a b' }, { 'x-serin-version': 'v2' })).body.version).toBe('v2');
    expect(candidate.seenScores).toHaveLength(1);
    expect(stable.seenScores).toHaveLength(0);
  });
});

describe('multiple choice', () => {
  it('scores each continuation after the input and names the best, raw and by bytes', async () => {
    // The short one is more likely as a whole, the long one by the byte.
    const chance = (hit: number) => (token: number) =>
      Array.from({ length: fakeVocabularySize }, (_, id) => (id === token ? hit : (1 - hit) / (fakeVocabularySize - 1)));
    stable.behaviour = { distribution: chance(0.5) };
    const { body } = await score({ input: 'Is it?', continuations: [' No', ' Certainly it is'] });
    expect(stable.seenScores[0]).toMatchObject({ context: { kind: 'text', text: 'Is it?' }, continuations: [' No', ' Certainly it is'] });
    const [short, long] = body.sequences;
    expect(short?.log_likelihood).toBeCloseTo(Math.log(0.5), 12);
    expect(long?.log_likelihood).toBeCloseTo(3 * Math.log(0.5), 12);
    expect(long?.log_likelihood_per_token).toBeCloseTo(Math.log(0.5), 12);
    expect(long?.log_likelihood_per_byte).toBeCloseTo((3 * Math.log(0.5)) / 16, 12);
    expect(body.best).toEqual({ raw: 0, byte_normalised: 1 });
    expect(short?.sums.greedy).toBe(true);
  });
});

describe('the comparison of two versions', () => {
  const flat = () => Array.from({ length: fakeVocabularySize }, () => 1 / fakeVocabularySize);
  const sharp = (token: number) =>
    Array.from({ length: fakeVocabularySize }, (_, id) => (id === token ? 0.7 : 0.3 / (fakeVocabularySize - 1)));

  it('gives the exact divergence of the named version from the scored one, and leaves no file', async () => {
    stable.behaviour = { distribution: sharp };
    candidate.behaviour = { distribution: flat };
    const { body } = await score({ input: 'one two three', compare_to: 'v2' });
    const kl = flat().reduce((sum, p, id) => sum + p * Math.log(p / (sharp(0)[id] ?? 0)), 0);
    expect(body.sequences[0]?.tokens.map((token) => token.kl === undefined)).toEqual([true, false, false]);
    for (const token of body.sequences[0]?.tokens.slice(1) ?? []) expect(token.kl).toBeCloseTo(kl, 5);
    expect(body.compared_to?.version).toBe('v2');
    expect(body.compared_to?.kl_mean).toBeCloseTo(kl, 5);
    expect(await readdir(join(gateway.dataDir, 'gateway', 'exchange'))).toEqual([]);
    const [plain, read] = stable.seenScores;
    expect(plain?.exchange).toBeUndefined();
    expect(read?.exchange?.mode).toBe('read');
    expect(candidate.seenScores[0]?.exchange?.mode).toBe('write');
  });

  it('finds a version equal to itself', async () => {
    const { body } = await score({ input: 'one two three', continuations: [' a b', ' c'], compare_to: 'v2' });
    expect(body.compared_to?.kl_mean).toBeCloseTo(0, 6);
    expect(body.compared_to?.same_top_share).toBe(1);
    expect(body.sequences.flatMap(({ tokens }) => tokens.map((token) => token.same_top))).toEqual([true, true, true]);
  });

  it('goes in passes over a text whose log probabilities would not fit one file, with the same result', async () => {
    const text = Array.from({ length: 40 }, (_, index) => `w${index}`).join(' ');
    const sharper = { distribution: sharp };
    candidate.behaviour = { distribution: flat };
    stable.behaviour = sharper;
    const once = await score({ input: text, compare_to: 'v2' });
    stable.behaviour = { ...sharper, capabilities: { vocabularySize: 5_592_405 } };
    candidate.seenScores.length = 0;
    const passes = await score({ input: text, compare_to: 'v2' });
    expect(candidate.seenScores.map((request) => request.exchange?.rows)).toEqual(
      Array.from({ length: 13 }, (_, index) => ({ from: 3 * index, to: 3 * index + 3 })),
    );
    expect(passes.body.sequences).toEqual(once.body.sequences);
    expect(passes.body.compared_to).toEqual(once.body.compared_to);
    const long = await refused({ input: `${text} ${text}`, compare_to: 'v2' });
    expect([long.status, long.body.error.param]).toEqual([400, 'compare_to']);
    expect(long.body.error.message).toContain('48');
  });

  it('removes its file when an engine fails in the middle', async () => {
    candidate.behaviour = { failWith: () => ({ code: 'engine.crashed', message: 'broken', retryable: true }) };
    expect((await refused({ input: 'one two', compare_to: 'v2' })).status).toBe(502);
    expect(await readdir(join(gateway.dataDir, 'gateway', 'exchange'))).toEqual([]);
  });

  it('is refused between vocabularies that differ, naming both', async () => {
    const { status, body } = await refused({ input: 'one two', compare_to: 'foreign' });
    expect([status, body.error.code, body.error.param]).toEqual([400, 'vocabulary_mismatch', 'compare_to']);
    expect(body.error.message).toContain('fa'.repeat(32));
    expect(body.error.message).toContain('bb'.repeat(32));
  });

  it('is for keys that may pin', async () => {
    await until(async () => (await post(weak, '/v1/score', { model: 'support', input: 'a b' })).status === 200, 'the key to be known');
    expect(await refused({ input: 'a b', compare_to: 'v2' }, weak)).toMatchObject({
      status: 403,
      body: { error: { code: 'missing_scope' } },
    });
  });
});

describe('POST /v1/score refuses', () => {
  it.each<[object, number, string, string | null]>([
    [{}, 400, 'invalid_value', 'input'],
    [{ input: '' }, 400, 'invalid_value', 'input'],
    [{ input: [] }, 400, 'invalid_value', 'input'],
    [{ input: { messages: [{ role: 'user', content: 'Hi' }] } }, 400, 'invalid_value', 'input'],
    [{ input: 'a', continuations: [] }, 400, 'invalid_value', 'continuations'],
    [{ input: 'a', continuations: [''] }, 400, 'invalid_value', 'continuations.0'],
    [{ input: 'a', continuations: Array.from({ length: 65 }, () => 'b') }, 400, 'invalid_value', 'continuations'],
    [{ input: 'a b', top_logprobs: 21 }, 400, 'invalid_value', 'top_logprobs'],
    [{ input: 'a b', temperature: 1 }, 400, 'unknown_parameter', 'temperature'],
    [{ model: 'nobody', input: 'a b' }, 404, 'model_not_found', 'model'],
    [{ model: 'mute', input: 'a b' }, 400, 'unsupported_parameter', 'model'],
    [{ input: 'a b', compare_to: 'mute' }, 400, 'unsupported_parameter', 'compare_to'],
    [{ input: 'a b', compare_to: 'v9' }, 404, 'version_not_found', 'compare_to'],
  ])('%j', async (extra, status, code, param) => {
    const reply = await refused(extra);
    expect([reply.status, reply.body.error.code, reply.body.error.param]).toEqual([status, code, param]);
  });

  it("what is too long for the version, by the input's name", async () => {
    stable.behaviour = { failWith: () => ({ code: 'engine.context-overflow', message: 'text 0 has 9000 tokens', retryable: false }) };
    expect((await refused({ input: 'a b' })).body.error).toMatchObject({ code: 'context_length_exceeded', param: 'input' });
  });

  it('what does not end in time', async () => {
    stable.behaviour = { firstTokenMs: 10_000 };
    const { status, body } = await post(at, '/v1/score', { model: 'support', input: 'a b' }, { 'x-serin-timeout-ms': '50' });
    expect([status, body.error.code]).toEqual([504, 'timeout']);
  });
});
