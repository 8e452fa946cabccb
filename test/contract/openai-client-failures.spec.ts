// The official OpenAI client when things go wrong, on an upstream and on a real model: its own error classes, its own retries, its own aborts.
import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ApiKeyStore } from '#libs/storage';
import { type BothEngines, bothEngines, usual } from '../support/both-engines.js';
import { aKey, readyz, until, untilServing } from '../support/gateway.js';

let served: BothEngines;
let client: OpenAI;
let oneAtATime: string;
let plain: string;

beforeAll(async () => {
  served = await bothEngines();
  client = aClient();
  plain = await aKey(served.database, ['inference:invoke']);
  const limits = { requestsPerMinute: null, tokensPerMinute: null, concurrentRequests: 1 };
  oneAtATime = (await new ApiKeyStore().create(served.database.database.manager, { name: 'one', scopes: ['inference:invoke'], limits }))
    .key;
  const known = async (apiKey: string) => await aClient({ apiKey }).models.list();
  for (const key of [plain, oneAtATime])
    await until(
      async () =>
        await known(key).then(
          () => true,
          () => false,
        ),
      'the keys to be known',
    );
}, 120_000);
afterAll(async () => await served?.remove());
afterEach(() => usual(served.upstream));

function aClient(more: ConstructorParameters<typeof OpenAI>[0] = {}): OpenAI {
  return new OpenAI({ baseURL: served.baseUrl, apiKey: served.key, maxRetries: 0, timeout: 30_000, ...more });
}

const messages = [{ role: 'user' as const, content: 'Shipped 2026-12-11, arrives in 2 days. Date?' }];
const engines = ['far', 'near'] as const;
/** Token 4 of the demo model ends an answer: without it this goes on for 900 tokens. */
const long = { messages, max_tokens: 900, logit_bias: { 4: -100 } };

/** Answers and retries as the client's own `fetch` sees them; `seen` is told each answer before the client is. */
function watched(seen: (response: Response, attempt: number) => void | Promise<void>): { readonly fetch: typeof fetch } {
  let attempt = 0;
  return {
    fetch: async (input, init) => {
      const response = await fetch(input, init);
      await seen(response, attempt);
      attempt += 1;
      return response;
    },
  };
}

interface Requests {
  readonly inFlight: number;
  readonly versions: Readonly<Record<string, { readonly label: string; readonly counts: Readonly<Record<string, number>> }>>;
}

async function requests(): Promise<Requests> {
  return ((await readyz(served.gateway.url)) as unknown as { checks: { requests: Requests } }).checks.requests;
}

/** How often clients left a version. */
async function left(label: string): Promise<number> {
  return Object.values((await requests()).versions).find((version) => version.label === label)?.counts['clientGone'] ?? 0;
}

describe.each(engines)('a refusal on %s is thrown as', (model) => {
  type ErrorClass = abstract new (...given: never[]) => Error;
  const ask = async (more: object, options: { apiKey?: string; headers?: Record<string, string> } = {}) =>
    await aClient(options.apiKey === undefined ? {} : { apiKey: options.apiKey }).chat.completions.create(
      { model, messages, ...more },
      options.headers ? { headers: options.headers } : {},
    );

  it.each<[string, ErrorClass, () => [object, Parameters<typeof ask>[1]?], object]>([
    ['BadRequestError, for a value', OpenAI.BadRequestError, () => [{ temperature: 9 }], { code: 'invalid_value', param: 'temperature' }],
    [
      'BadRequestError, for a name',
      OpenAI.BadRequestError,
      () => [{ tempreature: 1 }],
      { code: 'unknown_parameter', param: 'tempreature' },
    ],
    [
      'AuthenticationError, for a wrong key',
      OpenAI.AuthenticationError,
      () => [{}, { apiKey: 'sk-serin-wrong' }],
      { status: 401, code: 'invalid_api_key' },
    ],
    [
      'PermissionDeniedError, for a key that may not pin',
      OpenAI.PermissionDeniedError,
      () => [{}, { apiKey: plain, headers: { 'x-serin-version': model } }],
      { status: 403, code: 'missing_scope' },
    ],
    ['NotFoundError, for a model', OpenAI.NotFoundError, () => [{ model: 'nobody' }], { code: 'model_not_found', param: 'model' }],
    [
      'NotFoundError, for a version',
      OpenAI.NotFoundError,
      () => [{}, { headers: { 'x-serin-version': 'v9' } }],
      { code: 'version_not_found' },
    ],
  ])('%s', async (_, kind, given, told) => {
    const error: unknown = await ask(...given()).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(kind);
    expect(error).toMatchObject({ ...told, requestID: expect.any(String), message: expect.stringMatching(/\w/) });
  });

  it('the same before a stream begins', async () => {
    await expect(client.chat.completions.create({ model, messages, stream: true, temperature: 9 })).rejects.toBeInstanceOf(
      OpenAI.BadRequestError,
    );
  });
});

describe('what an upstream answers is thrown as', () => {
  type ErrorClass = abstract new (...given: never[]) => Error;
  it.each<[number, ErrorClass, object]>([
    [400, OpenAI.BadRequestError, { status: 400, code: 'invalid_value' }],
    [401, OpenAI.InternalServerError, { status: 502, code: 'engine_failed' }],
    [404, OpenAI.InternalServerError, { status: 502, code: 'engine_failed' }],
    [422, OpenAI.BadRequestError, { status: 400, code: 'invalid_value' }],
    [429, OpenAI.RateLimitError, { status: 429, code: 'overloaded' }],
    [500, OpenAI.InternalServerError, { status: 502, code: 'engine_failed' }],
    [503, OpenAI.RateLimitError, { status: 429, code: 'overloaded' }],
    [504, OpenAI.InternalServerError, { status: 504, code: 'timeout' }],
  ])('%i: its class, whole and streamed', async (status, kind, told) => {
    served.upstream.fault = { kind: 'status', status };
    for (const stream of [false, true]) {
      const error: unknown = await client.chat.completions.create({ model: 'far', messages, stream }).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(kind);
      expect(error).toMatchObject(told);
    }
  });

  it.each<['data' | 'event', object]>([
    ['data', { error: { message: 'out of memory', code: 500 } }],
    ['event', { message: 'out of memory' }],
  ])('an error in the middle of a stream (%s), and what came before it is there', async (as, error) => {
    served.upstream.fault = { kind: 'error', after: 2, as, error };
    const stream = await client.chat.completions.create({ model: 'far', messages, stream: true });
    let text = '';
    const read = async (): Promise<void> => {
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    };
    await expect(read()).rejects.toMatchObject({ code: 'engine_failed' });
    expect(text).toBe('Hello there');
  });
});

describe.each(engines)('the client by itself tries again on %s', (model) => {
  it('when its key has too much at once, after the time that it is told', async () => {
    const holding = new AbortController();
    const apiKey = oneAtATime;
    served.upstream.tokenMs = model === 'far' ? 50 : 0;
    const held = await aClient({ apiKey }).chat.completions.create({ model, ...long, stream: true }, { signal: holding.signal });
    const answers: [status: number, retryAfter: string | null][] = [];
    const trying = aClient({
      apiKey,
      maxRetries: 3,
      ...watched((response) => {
        answers.push([response.status, response.headers.get('retry-after')]);
        holding.abort();
      }),
    });
    const answer = await trying.chat.completions.create({ model, messages, max_tokens: 4 });
    expect(answer.choices).toHaveLength(1);
    expect(answers[0]).toEqual([429, expect.stringMatching(/^[1-9]\d*$/)]);
    expect(answers.at(-1)?.[0]).toBe(200);
    // The stream that was held ends in its abort.
    await (async () => {
      for await (const _chunk of held);
    })().catch(() => undefined);
  });
});

describe('the client by itself tries again', () => {
  it.each([429, 503, 500])('when an upstream answers %i, and is told when where the upstream says it', async (status) => {
    served.upstream.fault = { kind: 'status', status, headers: { 'retry-after': '1' } };
    const answers: [status: number, retryAfter: string | null][] = [];
    const trying = aClient({
      maxRetries: 2,
      ...watched((response) => {
        answers.push([response.status, response.headers.get('retry-after')]);
        served.upstream.fault = null;
      }),
    });
    const answer = await trying.chat.completions.create({ model: 'far', messages });
    expect(answer.choices[0]?.message.content).toBe('Hello there, you two.');
    expect(answers).toEqual([status === 500 ? [502, null] : [429, '1'], [200, null]]);
  });

  it('never for what is wrong with its request', async () => {
    const statuses: number[] = [];
    const trying = aClient({ maxRetries: 2, ...watched(({ status }) => void statuses.push(status)) });
    await expect(trying.chat.completions.create({ model: 'far', messages, temperature: 9 })).rejects.toBeInstanceOf(OpenAI.BadRequestError);
    expect(statuses).toEqual([400]);
  });
});

describe.each(engines)('an answer of %s that nobody waits for any more', (model) => {
  const gone = async (work: () => Promise<void>): Promise<void> => {
    const [before, { abandoned }] = [await left(model), served.upstream];
    await work();
    await until(async () => (await left(model)) === before + 1, 'the gateway to see that the client left');
    if (model === 'far') await until(() => served.upstream.abandoned === abandoned + 1, 'the upstream to be left');
    await until(async () => (await requests()).inFlight === 0, 'nothing to be open');
  };

  it.each([true, false])('is stopped in the engine by an AbortController (stream: %s)', async (stream) => {
    served.upstream.tokenMs = 100;
    await gone(async () => {
      const abort = new AbortController();
      const asked = client.chat.completions.create({ model, ...long, stream }, { signal: abort.signal });
      if (stream) {
        const events = (await asked) as AsyncIterable<OpenAI.ChatCompletionChunk>;
        const read = async (): Promise<void> => {
          for await (const _chunk of events) abort.abort();
        };
        // The client ends an aborted stream in good order.
        await read().catch((error: unknown) => expect(error).toBeInstanceOf(OpenAI.APIUserAbortError));
      } else {
        const failed = expect(asked).rejects.toBeInstanceOf(OpenAI.APIUserAbortError);
        await until(async () => (await requests()).inFlight === 1, 'the request to be open');
        abort.abort();
        await failed;
      }
    });
    served.upstream.tokenMs = 0;
    expect((await client.chat.completions.create({ model, messages, max_tokens: 4 })).choices).toHaveLength(1);
  });

  it('is stopped when the reader of a stream breaks off', async () => {
    served.upstream.tokenMs = 100;
    await gone(async () => {
      const stream = await client.chat.completions.create({ model, ...long, stream: true });
      for await (const _chunk of stream) break;
    });
  });

  it("is stopped by the client's own timeout, which the client says by its own class", async () => {
    served.upstream.tokenMs = 1_000;
    await gone(async () => {
      const hasty = aClient({ timeout: 60 });
      await expect(hasty.chat.completions.create({ model, ...long })).rejects.toBeInstanceOf(OpenAI.APIConnectionTimeoutError);
    });
  });
});

describe('a native version whose process dies', () => {
  it('in the middle of a stream is an error for the client, and answers again', async () => {
    const stream = await client.chat.completions.create({ model: 'near', ...long, stream: true });
    const { engines: running } = (await readyz(served.gateway.url)).checks;
    const pid = Object.values(running).find((engine) => engine.pid !== null)?.pid;
    const read = async (): Promise<void> => {
      for await (const _chunk of stream) if (pid) process.kill(pid, 'SIGKILL');
    };
    await expect(read()).rejects.toMatchObject({ code: 'engine_failed' });
    const { routingTable } = (await readyz(served.gateway.url)).checks;
    await untilServing(served.gateway.url, routingTable?.generation ?? 0);
    expect((await client.chat.completions.create({ model: 'near', messages, max_tokens: 4 })).choices).toHaveLength(1);
  });
});
