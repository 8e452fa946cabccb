// The wire format of OpenAI-compatible servers as their sources and documentation have it: what a stream's chunks, refusals and pages look like, per family.
export type FakeDialect = 'vllm' | 'sglang' | 'llama-server' | 'tgi' | 'ollama' | 'openai';

/** One position of an answer: what is said, and the whole distribution that it came from, as [text, probability], likeliest first. */
export interface FakeToken {
  readonly text: string;
  readonly distribution: readonly (readonly [text: string, probability: number])[];
}

export interface Wire {
  readonly dialect: FakeDialect;
  readonly model: string;
  readonly chat: boolean;
  /** Likely tokens to tell with each token; null: no log probabilities. */
  readonly top: number | null;
  /** 1 tells the model's own distribution. */
  readonly temperature: number;
}

const impossible = -3.4028234663852886e38;
const bytesOf = (text: string): number[] => [...Buffer.from(text, 'utf8')];

/** The distribution at a temperature, likeliest first, as log probabilities. */
function logprobsOf({ distribution }: FakeToken, temperature: number): [text: string, logprob: number][] {
  const weights = distribution.map(([text, p]) => [text, p ** (1 / temperature)] as const);
  const sum = weights.reduce((total, [, weight]) => total + weight, 0);
  return weights.map(([text, weight]) => [text, weight === 0 ? impossible : Math.log(weight / sum)]);
}

/** `logprobs` of a choice for one token. */
export function listed(token: FakeToken, { dialect, chat, top, temperature }: Wire): unknown {
  if (top === null) return null;
  const all = logprobsOf(token, temperature);
  const own = all.find(([text]) => text === token.text)?.[1] ?? impossible;
  const likely = all.slice(0, top);
  if (chat || dialect === 'llama-server') {
    const id = dialect === 'llama-server' ? { id: 1 } : {};
    const one = ([text, logprob]: [string, number]) => ({ ...id, token: text, bytes: dialect === 'tgi' ? null : bytesOf(text), logprob });
    return { content: [{ ...one([token.text, own]), top_logprobs: likely.map(one) }] };
  }
  // The older form: a map, in which the chosen token has a place of its own.
  const map = Object.fromEntries([...likely, [token.text, own]]);
  return { tokens: [token.text], token_logprobs: [own], top_logprobs: top === 0 ? null : [map], text_offset: [0] };
}

function chunk(wire: Wire, choices: readonly unknown[], more: object = {}): string {
  const object = wire.chat ? 'chat.completion.chunk' : 'text_completion';
  const fingerprint = wire.dialect === 'llama-server' ? { system_fingerprint: 'b1-fake' } : {};
  return JSON.stringify({ id: 'chatcmpl-fake', object, created: 1_764_000_000, model: wire.model, ...fingerprint, choices, ...more });
}

/** The chunk before the first token that chat servers send, with no token in it. */
export function roleChunk(wire: Wire, index: number): string | null {
  if (!wire.chat) return null;
  return chunk(wire, [{ index, delta: { role: 'assistant', content: wire.dialect === 'llama-server' ? null : '' }, finish_reason: null }]);
}

export function tokenChunk(wire: Wire, index: number, token: FakeToken): string {
  const said = wire.chat ? { delta: { content: token.text } } : { text: token.text };
  return chunk(wire, [{ index, ...said, logprobs: listed(token, wire), finish_reason: null }]);
}

export function toolChunk(wire: Wire, delta: object): string {
  return chunk(wire, [{ index: 0, delta, logprobs: null, finish_reason: null }]);
}

export function finishChunk(wire: Wire, index: number, finishReason: string, usage: object | null): string {
  const said = wire.chat ? { delta: {} } : { text: '' };
  // llama-server's plain completions carry the usage here, always.
  const early = !wire.chat && wire.dialect === 'llama-server' && usage !== null ? { usage } : {};
  return chunk(wire, [{ index, ...said, logprobs: null, finish_reason: finishReason }], early);
}

export function usageOf({ dialect }: Wire, inputTokens: number, outputTokens: number, cachedTokens: number): object {
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    ...(dialect === 'tgi' || dialect === 'ollama' ? {} : { prompt_tokens_details: { cached_tokens: cachedTokens } }),
  };
}

export function usageChunk(wire: Wire, usage: object): string {
  return chunk(wire, [], { usage });
}

/** The most likely tokens per token that a family takes by default; null: knows no log probabilities. */
export function mostTop(dialect: FakeDialect, chat: boolean): number | null {
  if (dialect === 'ollama') return null;
  if (dialect === 'tgi') return 5;
  if (dialect === 'llama-server') return 1_000;
  return dialect === 'openai' && !chat ? 5 : 20;
}

export function refusalBody(dialect: FakeDialect, status: number, message: string): string {
  switch (dialect) {
    case 'tgi':
      return JSON.stringify({ error: message, error_type: status === 429 ? 'overloaded' : 'validation' });
    case 'sglang':
      return JSON.stringify({ object: 'error', message, type: 'BadRequestError', param: null, code: status });
    case 'ollama':
      return JSON.stringify({ error: { message, type: 'api_error', param: null, code: null } });
    case 'llama-server':
      return JSON.stringify({ error: { code: status, message, type: 'invalid_request_error' } });
    case 'vllm':
      return JSON.stringify({ error: { message, type: 'BadRequestError', param: null, code: status } });
    case 'openai':
      return JSON.stringify({ error: { message, type: 'invalid_request_error', param: null, code: 'invalid_value' } });
  }
}

/** The pages beside the API, by path; `models` under the API. */
export function pagesOf(
  dialect: FakeDialect,
  models: readonly string[],
  { contextSize, vocabularySize }: { contextSize: number; vocabularySize: number },
): Record<string, object> {
  const list = (owner: string, more: object = {}) => ({
    object: 'list',
    data: models.map((id) => ({ id, object: 'model', created: 1_764_000_000, owned_by: owner, ...more })),
  });
  switch (dialect) {
    case 'vllm':
      return { models: list('vllm', { root: '/models/x', max_model_len: contextSize }), '/version': { version: '0.11.2' } };
    case 'sglang':
      return {
        models: list('sglang', { root: 'x', max_model_len: contextSize }),
        '/get_server_info': { version: '0.5.3', tokenizer_path: 'x', max_running_requests: 256, max_total_num_tokens: 65_536 },
      };
    case 'llama-server':
      return {
        models: list('llamacpp', { meta: { vocab_type: 2, n_vocab: vocabularySize, n_ctx: contextSize, n_ctx_train: contextSize } }),
        '/props': { default_generation_settings: { n_ctx: contextSize, params: {} }, total_slots: 4, build_info: 'b1-fake' },
      };
    case 'tgi':
      return {
        models: list(models[0] ?? ''),
        '/info': { model_id: models[0], max_total_tokens: contextSize, max_concurrent_requests: 128, version: '3.3.6' },
      };
    case 'ollama':
      return { models: list('library'), '/api/version': { version: '0.12.3' } };
    case 'openai':
      return { models: list('system') };
  }
}
