// What docs/api.md says of each field, sent to an upstream and to a real model: the table is true, or this fails.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { EngineFactory } from '#apps/gateway';
import { createEngine } from '#libs/engine';
import { chatFieldNames, completionFieldNames, embeddingFieldNames, responseFieldNames } from '#libs/openai';
import { createLog } from '#libs/telemetry';
import { type BothEngines, bothEngines } from '../support/both-engines.js';
import { type ErrorBody, post } from '../support/client.js';
import { type FieldRow, fieldRows } from '../support/field-table.js';
import { demoModels } from '../support/gateway.js';

type Json = Readonly<Record<string, unknown>>;

let served: BothEngines;
/** What the native engine was asked, apart from the name of the request. */
const told: string[] = [];

const listening: EngineFactory = async (spec, version) => {
  const log = createLog('test-engine', 'silent');
  const made = await createEngine(spec, { modelRoots: [demoModels], credential: () => undefined, freeGpuBytes: () => null, log });
  if (!made.ok || spec.kind !== 'llama' || version.label !== 'near') return made;
  const engine = made.value;
  const generate = engine.generate.bind(engine);
  engine.generate = ({ id: _, body: __, ticket: ___, ...asked }, signal) => {
    told.push(JSON.stringify(asked));
    return generate({ id: 'r', ...asked }, signal);
  };
  const embed = engine.embed?.bind(engine);
  if (embed) {
    engine.embed = ({ id: _, ticket: __, ...asked }, signal) => {
      told.push(JSON.stringify(asked));
      return embed({ id: 'r', ...asked }, signal);
    };
  }
  return made;
};

beforeAll(async () => {
  // What is asked on our own account, by chance, would differ from one request to the next.
  served = await bothEngines({ factory: listening }, { sampledShare: 0 });
  served.upstream.embeddings = [
    [3, 4],
    [4, 3],
  ];
}, 120_000);
afterAll(async () => await served?.remove());
beforeEach(() => {
  told.length = 0;
  served.upstream.requests.length = 0;
});

/** The smallest body of each endpoint. */
const endpoints = {
  'chat/completions': { messages: [{ role: 'user', content: 'Hi' }], temperature: 0, max_tokens: 4 },
  completions: { prompt: 'Hi', temperature: 0, max_tokens: 4 },
  responses: { input: 'Hi', temperature: 0, max_output_tokens: 4 },
  embeddings: { input: 'Hi' },
} as const;
type Endpoint = keyof typeof endpoints;

const tables: Readonly<Record<string, readonly Endpoint[]>> = {
  'Chat and plain completions': ['chat/completions', 'completions'],
  'Chat completions': ['chat/completions'],
  'Plain completions': ['completions'],
  Responses: ['responses'],
  Embeddings: ['embeddings'],
};
const rows = fieldRows();

interface Sent {
  readonly status: number;
  readonly code: string | null;
  /** What an engine got: an upstream's body, or a native engine's request. Null: nothing. */
  readonly got: string | null;
  /** The answer without what no two have in common. */
  readonly answer: string;
}

async function send(model: 'far' | 'near', endpoint: Endpoint, more: Json): Promise<Sent> {
  const at = { url: served.baseUrl.replace(/\/v1$/, ''), key: served.key };
  const { status, body, text } = await post<ErrorBody | null>(at, `/v1/${endpoint}`, { model, ...endpoints[endpoint], ...more });
  const got = model === 'far' ? served.upstream.requests.findLast(({ method }) => method === 'POST')?.text : told.at(-1);
  const answer = text.replace(/"(?:id|item_id)":"[^"]*"|"created(?:_at)?":\d+/g, '');
  return { status, code: status === 200 ? null : (body?.error.code ?? ''), got: got ?? null, answer };
}

function valueAt(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((one, name) => (one as Json | undefined)?.[name], value);
}

function without({ example, fields: [field = ''] }: FieldRow): Json {
  const [first = '', ...rest] = field.split('.');
  const { [first]: given, ...others } = example;
  return rest.length === 0 ? others : { ...others, [first]: { ...(given as object), [rest.join('.')]: undefined } };
}

/** Every text and number in a value. */
function leaves(value: unknown): string[] {
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(leaves) : [JSON.stringify(value)];
}

/** Fields that change how an answer is told, and not what an engine is asked. */
const ofTheAnswer = new Set(['stream', 'stream_options.include_usage', 'encoding_format']);

async function check(row: FieldRow, model: 'far' | 'near', endpoint: Endpoint): Promise<void> {
  const claim = row[model];
  const [field = ''] = row.fields;
  const sent = await send(model, endpoint, row.example);
  const refused = /^(\d{3}) (\w+)$/.exec(claim);
  if (refused !== null) {
    expect([String(sent.status), sent.code, sent.got]).toEqual([refused[1], refused[2], null]);
    return;
  }
  expect(sent.status, sent.answer).toBe(200);
  const asked = JSON.parse(sent.got ?? 'null') as unknown;
  const value = valueAt(row.example, field);
  switch (claim) {
    case 'passed':
      return expect(valueAt(asked, field)).toEqual(value);
    case 'translated': {
      for (const leaf of leaves(value)) expect(sent.got).toContain(leaf);
      return;
    }
    case 'honoured': {
      const plain = await send(model, endpoint, without(row));
      if (ofTheAnswer.has(field)) expect(sent.answer).not.toBe(plain.answer);
      else expect(sent.got).not.toBe(plain.got);
      return;
    }
    case 'kept':
    case 'ignored': {
      const plain = await send(model, endpoint, without(row));
      expect(sent.got).toBe(plain.got);
      if (ofTheAnswer.has(field)) expect(sent.answer).toBe(plain.answer);
      return;
    }
    default:
      throw new Error(`docs/api.md says "${claim}" of ${field}, which is none of its words`);
  }
}

const cases = rows.flatMap((row) => (tables[row.table] ?? []).map((endpoint) => [row.fields.join(', '), endpoint, row] as const));

describe.each(['far', 'near'] as const)('the table of fields is true on %s', (model) => {
  it.each(cases)('of %s at %s', async (_, endpoint, row) => await check(row, model, endpoint));
});

describe('the table of fields', () => {
  it('has the tables that are known here, and no other', () => {
    expect([...new Set(rows.map((row) => row.table))]).toEqual(Object.keys(tables));
  });

  it.each<[Endpoint, readonly string[]]>([
    ['chat/completions', chatFieldNames],
    ['completions', completionFieldNames],
    ['responses', responseFieldNames],
    ['embeddings', embeddingFieldNames],
  ])('names every field of %s', (endpoint, known) => {
    const named = cases.filter(([, at]) => at === endpoint).flatMap(([, , row]) => row.fields.map((field) => field.split('.')[0]));
    expect(known.filter((field) => field !== 'model' && !named.includes(field))).toEqual([]);
  });
});
